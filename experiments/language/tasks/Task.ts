/** What a labelled task is: texts or pairs of texts with a class or a score each, in three parts. */
import type { Manifest, Split } from "tapweight"
import type { Metric } from "./Metric.ts"

/** Where a sentence stands in its document: `at` from 0, of so many. */
export interface Place {
  readonly at: number
  readonly of: number
}

/** A text, or a pair of texts, with its label. */
export interface Example {
  readonly text: string
  readonly pair?: string
  /** The number of its class, or its score. */
  readonly label: number
  /** The document that it is a sentence of; sentences of one document stand together, in order. */
  readonly document?: string
  /** Its place in that document. */
  readonly place?: Place
}

/** What labels are: classes by their names, or scores between two ends that both may occur. */
export type Kind =
  | { readonly type: "classes"; readonly names: ReadonlyArray<string> }
  | { readonly type: "score"; readonly range: readonly [low: number, high: number] }

/** A task whose parts cannot be mistaken for one another; the test part is concealed until a trial's end. */
export interface Task extends Split.Split<ReadonlyArray<Example>> {
  readonly name: string
  readonly kind: Kind
  /** What it is scored by: of all metrics more is better. */
  readonly metric: Metric
  /** What was read and how it was parted, in words. */
  readonly summary: string
  /** What was read, for the manifest. */
  readonly inputs: ReadonlyArray<typeof Manifest.Data.Type>
}

/** Outputs that a head for this kind of label has. */
export const outputs = (kind: Kind): number => (kind.type === "classes" ? kind.names.length : 1)
