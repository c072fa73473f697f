/** What a method gives. */
import type { Comparison, Encoder, Tree } from "tapweight"
import type { Lambda } from "../../common/Weightings.ts"
import type { Finetuning } from "../Settings.ts"

/** How long a method trained, and how much of that it waited for data. Heads that are trained before any pretraining, which all have in common, are not counted. */
export type Seconds = { readonly pretraining: number; readonly finetuning: number; readonly waiting: number }

/** What one finetuning gave, in the metric of the task. */
export type Scores = {
  readonly finetuning: Finetuning
  readonly validation: number
  /** Not a number where test rows were not to be scored. */
  readonly test: number
}

/** What one method gave on one task with one seed. */
export interface Trained {
  /** The trial that pretrained, which tasks may share; empty where nothing was trained but finetuning. */
  readonly pretraining: string
  /** Of each finetuning, in the order of the settings. */
  readonly scores: ReadonlyArray<Scores>
  readonly seconds: Seconds
  readonly updates: { readonly pretraining: number; readonly finetuning: number }
  /** The weights that were learned or chosen, where the method does that. */
  readonly lambda?: Lambda
}

/** A row of the comparisons on language. */
export type Row = Comparison.Row<string, Trained>

/** The pretrained model at the end of a trial. */
export type HostTheta = {
  readonly encoder: Encoder.HostParams
  readonly heads?: { readonly [head: string]: Tree.HostTree }
}

/** What a trial over θ ends with. */
export type Outcome = {
  readonly vars: { readonly theta: HostTheta }
  readonly seconds: { readonly training: number; readonly waiting: number }
}
