/** ExecutableCache end to end as one: their operations as they are, so that the bits stay what they were. */
import type { LeafType } from "../graph/Graph.ts"
import type { Lowered, Source } from "./Lower.ts"
import { encode, type Model, type Operation, type Tensor, type Value } from "./Onnx.ts"
import type { Executable, Result } from "./Executable.ts"
import { size } from "../../dsl/values/NdArray.ts"

/** A executable as it is before it is encoded. */
export interface Piece extends Pick<Executable, "inputs" | "kept" | "sent"> {
  /** Equal for equal executables, whose constants are then held once. */
  readonly key: number
  readonly lowered: Lowered
}

/** Operations up to which it counts what it costs to start a executable. */
const mostOperations = 512

/** How many such executables are worth being one: only one where noise is made outside of a model. */
export const room = (pieces: ReadonlyArray<Piece>): number => {
  if (pieces.some(({ lowered }) => lowered.keys !== undefined)) return 1
  const operations = pieces.reduce((sum, { lowered }) => sum + (lowered.model?.operations.length ?? 0), 0)
  return Math.floor((mostOperations * pieces.length) / Math.max(1, operations))
}

const filled = (name: string, { dtype, shape }: LeafType, value: number): Tensor => {
  const values = dtype === "float32" ? new Float32Array(size(shape)) : new Int32Array(size(shape))
  return { name, type: dtype, shape, values: values.fill(value) }
}

/**
 * One executable that does what `pieces` do one after another, each on what the one before keeps; it sends what all of them
 * send. `labels` says which arrays each brings, by number: equal numbers are one input.
 */
export const chain = (pieces: ReadonlyArray<Piece>, labels: ReadonlyArray<ReadonlyArray<number>>): Executable => {
  const first = pieces[0]!
  const held = first.inputs.length - labels[0]!.length
  const inputs: Array<LeafType> = first.inputs.slice(0, held)
  const [feeds, outputs, operations] = [new Map<number, Value>(), new Map<string, Value>(), [] as Array<Operation>]
  const constants = new Map<string, Tensor>()
  const outside = (index: number): string => {
    const name = `in${index}`
    const { dtype, shape } = inputs[index]!
    feeds.set(index, { name, type: dtype, shape })
    return name
  }

  let state = inputs.map((_, index): Source => ({ from: "input", index }))
  let kept: ReadonlyArray<Result> = []
  const sent: Array<Result> = []
  for (const [i, piece] of pieces.entries()) {
    const { key, lowered } = piece
    labels[i]!.forEach((label, j) => {
      const type = piece.inputs[held + j]!
      const known = (inputs[held + label] ??= type)
      if (known.dtype !== type.dtype || known.shape.join() !== type.shape.join())
        throw new RangeError("one array comes in two shapes")
    })
    /** What stands at an input of this piece. */
    const given = (index: number): Source =>
      index < held ? state[index]! : { from: "input", index: held + labels[i]![index - held]! }
    const model: Model = lowered.model ?? { inputs: [], outputs: [], constants: [], operations: [] }
    const names = new Map<string, string>([["", ""]])
    for (const { index, name } of lowered.feeds) {
      const source = given(index)
      if (source.from === "model") names.set(name, source.name)
      else if (source.from === "input") names.set(name, outside(source.index))
      else {
        const constant = filled(`${i}/${name}`, piece.inputs[index]!, source.value)
        constants.set(constant.name, constant)
        names.set(name, constant.name)
      }
    }
    for (const constant of model.constants) {
      const name = `${key}:${constant.name}`
      constants.set(name, { ...constant, name })
      names.set(constant.name, name)
    }
    const named = (name: string): string => names.get(name) ?? `${i}/${name}`
    for (const each of model.operations) {
      const [taken, made] = [each.inputs.map(named), each.outputs.map(named)]
      operations.push({ ...each, name: `${i}/${each.name}`, inputs: taken, outputs: made })
    }
    for (const each of model.outputs) outputs.set(named(each.name), { ...each, name: named(each.name) })
    const resolved = (result: Result): Result => {
      const { source } = result
      if (source.from === "input") return { ...result, source: given(source.index) }
      return source.from === "fill" ? result : { ...result, source: { from: "model", name: named(source.name) } }
    }
    kept = piece.kept.map(resolved)
    sent.push(...piece.sent.map(resolved))
    state = kept.map(({ source }) => source)
  }
  const asked = new Set([...kept, ...sent].flatMap(({ source }) => (source.from === "model" ? [source.name] : [])))
  const model: Model = {
    inputs: [...feeds.values()],
    outputs: [...asked].map((name) => outputs.get(name)!),
    constants: [...constants.values()],
    operations
  }
  return {
    model: asked.size === 0 ? undefined : encode(model, true),
    feeds: [...feeds].map(([index, { name }]) => ({ index, name })),
    draws: [],
    inputs,
    kept,
    sent,
    keys: undefined
  }
}

const mostPieces = 16

/** Splits a sequence into parts that come again: of `ids` in a rhythm, the rhythm once, twice, four times, if `room` allows. */
export const parts = (ids: ReadonlyArray<number>, room: number): ReadonlyArray<number> => {
  const most = Math.min(mostPieces, room)
  const fits = (period: number) => ids.every((id, i) => i < period || id === ids[i - period])
  let period = 1
  while (period < ids.length && !fits(period)) period++
  const lengths: Array<number> = []
  for (let left = ids.length; left > 0;) {
    let length = period
    while (2 * length <= Math.min(most, left)) length *= 2
    if (length > Math.min(most, left)) length = 1
    lengths.push(length)
    left -= length
  }
  return lengths
}
