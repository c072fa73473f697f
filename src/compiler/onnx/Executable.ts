/** What an engine loads: a lowered function whose model is encoded, and where its numbers come from. */
import type { LeafType } from "../graph/Graph.ts"
import type { Lowered, Source } from "./Lower.ts"

/** Part of a compiled function: a model and where its numbers come from. */
export interface Part {
  readonly model: Uint8Array | undefined
  readonly feeds: Lowered["feeds"]
  readonly draws: Lowered["draws"]
}

/** A compiled function as the worker keeps it. Its inputs are arrays that the worker holds, then arrays that come along. */
export interface Executable extends Part {
  readonly inputs: ReadonlyArray<LeafType>
  /** Results that stay with the worker, then results that are sent back. */
  readonly kept: ReadonlyArray<Result>
  readonly sent: ReadonlyArray<Result>
  /** What makes the keys of the noise. */
  readonly keys: (Part & { readonly results: ReadonlyArray<Result> }) | undefined
}
export type Result = LeafType & { readonly source: Source }
