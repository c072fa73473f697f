/** A task as one seed has it: few labels, as rows of tokens. */
import { Seed, Split } from "tapweight"
import type { Setting } from "../objectives/Objective.ts"
import type { Labelled } from "../objectives/Supervised.ts"
import type { Settings } from "../Settings.ts"
import * as Subset from "../tasks/Subset.ts"
import type { Example, Kind, Task as Whole } from "../tasks/Task.ts"
import type { Metric } from "../tasks/Metric.ts"
import type { Row, Tokenizer } from "../tokenizers/Tokenizer.ts"

/** A task with its labelled rows. */
export interface Task extends Split.Split<Labelled> {
  readonly name: string
  readonly kind: Kind
  readonly metric: Metric
  /** The rows of both parts that are not for testing. */
  readonly known: Labelled
}

/** Rows of examples, each made once. */
export const rowsBy = (tokenizer: Tokenizer, longest: number) => {
  const known = new WeakMap<Example, Row>()
  return (example: Example): Row => {
    const own = known.get(example) ?? tokenizer.encode(example.text, example.pair, longest)
    known.set(example, own)
    return own
  }
}

/** Labels of examples: numbers of classes, or scores between 0 and 1. */
export const labelsOf = (kind: Kind, examples: ReadonlyArray<Example>): ReadonlyArray<number> =>
  examples.map(({ label }) =>
    kind.type === "classes" ? label : (label - kind.range[0]) / (kind.range[1] - kind.range[0])
  )

/** Examples as labelled rows. */
export const labelled = (row: (example: Example) => Row, kind: Kind, examples: ReadonlyArray<Example>): Labelled => ({
  rows: examples.map(row),
  labels: labelsOf(kind, examples)
})

/** The task's examples under a seed; those for testing are the same under each. */
export const examplesOf = ({ labels }: Pick<Settings, "labels">, whole: Whole, seed: number) =>
  Split.map(whole as Split.Split<ReadonlyArray<Example>>, (examples, part) => {
    const most = labels[part]
    const own = Seed.fold(Seed.make(part === "test" ? 0 : seed), part)
    return most === null ? examples : Subset.few(own, whole.kind, examples, most)
  })

/** The task's rows under a seed. */
export const ofSeed = (
  settings: Pick<Settings, "labels">,
  row: (example: Example) => Row,
  whole: Whole,
  seed: number
): Task => {
  const { kind, metric, name } = whole
  const split = Split.map(examplesOf(settings, whole, seed), (examples) => labelled(row, kind, examples))
  const { train, validation } = split
  const known: Labelled = {
    rows: [...train.rows, ...validation.rows],
    labels: [...train.labels, ...validation.labels]
  }
  return { name, kind, metric, known, ...split }
}

/** Rows of a setting for tasks. */
export const settingOf = (setting: Setting, { length }: Pick<Settings, "length">, batch: number): Setting => ({
  ...setting,
  batch,
  length: length.task
})
