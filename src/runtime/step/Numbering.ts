/**
 * Fields of batches that number rows or classes, as token ids and labels do: which there are shows as an objective runs, and
 * every engine holds their numbers against how many rows or classes there are before it computes with them.
 */
import * as tf from "@tensorflow/tfjs-core"
import { entries, type Tree } from "../../dsl/values/Tree.ts"
import { StepFailure } from "./Failure.ts"

/** A field of a level's data. */
export interface Field {
  readonly level: string
  readonly dataset: string
  readonly field: string
}

/** A field whose numbers must be at least 0 and below a count of rows or classes. */
export interface Numbering extends Field {
  readonly below: number
  readonly operation: string
}

const fields = new WeakMap<object, Field>()

/** Remembers which fields the tensors of a batch are. */
export const declare = (level: string, dataset: string, batch: { readonly [field: string]: Tree }): void => {
  for (const [field, tree] of Object.entries(batch))
    for (const [path, { dataId, dtype }] of entries(tree))
      if (dtype === "int32") fields.set(dataId, { level, dataset, field: path === "" ? field : `${field}.${path}` })
}

/** The field whose numbers a tensor shares. */
export const fieldOf = (dataId: object): Field | undefined => fields.get(dataId)

/** Kernels that number rows or classes by their input `indices`: under which name, and of how many. */
export const numbering: {
  readonly [kernel: string]: {
    readonly operation: string
    readonly below: (x: { readonly shape: ReadonlyArray<number> } | undefined, attrs: any) => number
  }
} = {
  [tf.GatherV2]: {
    operation: "tf.gather",
    below: (x, { axis }) => x!.shape.at(axis)!
  },
  [tf.OneHot]: { operation: "tf.oneHot", below: (_, { depth }) => depth }
}

/** What is wrong with the numbers of a field, if something is. */
export const outside = (
  { below, dataset, field, level, operation }: Numbering,
  data: ArrayLike<number>,
  rows: number
): StepFailure | undefined => {
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!
    if (value >= 0 && value < below) continue
    const row = Math.floor(i / (data.length / rows))
    return new StepFailure(
      level,
      `dataset '${dataset}', field '${field}', row ${row}: ${value} is none of the ${below} that ${operation} counts ` +
        `from 0 to ${below - 1}: mend the data, or, where it means that there is none, replace it in the objective ` +
        "(tf.maximum with 0) and mask what comes of it"
    )
  }
  return undefined
}

/** A numbering with the array of a batch that it is of, and how many rows that has. */
export type Numbered = Numbering & { readonly array: number; readonly rows: number }

/** Numberings of a traced function's inputs, the first `held` of which are no batch's. */
export const numbered = (
  numberings: ReadonlyArray<Numbering & { readonly input: number }>,
  inputs: ReadonlyArray<{ readonly shape: ReadonlyArray<number> }>,
  held: number
): ReadonlyArray<Numbered> =>
  numberings.flatMap(({ input, ...each }) =>
    input < held ? [] : [{ ...each, array: input - held, rows: inputs[input]!.shape[0] ?? 1 }]
  )

/** What is wrong with the numbers of a batch's arrays, if something is. */
export const outsideOf = (
  numberings: ReadonlyArray<Numbered>,
  arrays: ReadonlyArray<ArrayLike<number>>
): StepFailure | undefined => {
  for (const each of numberings) {
    const failure = outside(each, arrays[each.array]!, each.rows)
    if (failure !== undefined) return failure
  }
  return undefined
}
