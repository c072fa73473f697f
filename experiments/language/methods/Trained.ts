/** What a method gives. */
import type { Comparison, Encoder, Tree } from "tapweight"
import type * as Common from "../../common/Trained.ts"
import type { Lambda } from "../../common/Weightings.ts"
import type { Finetuning } from "../Settings.ts"

export type Scores = Common.Scores<Finetuning>
export type Trained = Common.Trained<Finetuning, Lambda>

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
