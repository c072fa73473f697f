/** What runs recorded functions and holds arrays between them; an engine is the same on each (see `GraphEngine`). */
import type * as Effect from "effect/Effect"
import type { LeafType, Node } from "../../compiler/graph/Graph.ts"
import type { Numbered } from "../../runtime/step/Numbering.ts"
import type { EngineError, Failure } from "../Engine.ts"
import type { Shaped, Types } from "../Handles.ts"
import type { Numbers, Packed } from "../Packed.ts"

/** A function as a graph: inputs that are held, then those of a batch; results that stay, then those that are sent back. */
export interface Recorded {
  readonly inputs: ReadonlyArray<Node>
  readonly keeps: ReadonlyArray<Node>
  readonly sends: ReadonlyArray<Node>
  readonly batch: Types
  readonly kept: Shaped
  readonly sent: Shaped
  /** Which arrays of a batch number rows or classes. */
  readonly numberings: ReadonlyArray<Numbered>
}

/** A recorded function made ready, with the trees of what it takes, keeps and sends back. */
export interface Loaded extends Pick<Recorded, "batch" | "kept" | "numberings" | "sent"> {
  readonly inputs: ReadonlyArray<LeafType>
}

/** A function, and the arrays of its batch. */
export interface Call<L> {
  readonly loaded: L
  readonly arrays: ReadonlyArray<Numbers>
}

/** What calls gave. */
export interface Reply {
  /** What the last call leaves, if none failed. */
  readonly kept: ReadonlyArray<number>
  /** What the calls have sent, end to end, as far as they went. */
  readonly sent: Packed
  /** Calls that were not in vain. */
  readonly done: number
  /** Why the call after those failed. */
  readonly error: EngineError | undefined
  /** Bytes that came along. */
  readonly bytes: number
}

/** Runs functions. Arrays are held by number. */
export interface Backend<L extends Loaded> {
  /** What errors call it. */
  readonly name: string
  readonly load: (recorded: Recorded) => Effect.Effect<L, Failure>
  readonly unload: (loaded: L) => Effect.Effect<void>
  /** One call after another, each on what the one before leaves. With `consume` the held arrays end, however the calls do. */
  readonly run: (
    calls: ReadonlyArray<Call<L>>,
    held: ReadonlyArray<number>,
    consume: boolean
  ) => Effect.Effect<Reply, EngineError>
  readonly upload: (
    types: ReadonlyArray<LeafType>,
    arrays: ReadonlyArray<Numbers>
  ) => Effect.Effect<ReadonlyArray<number>, EngineError>
  readonly download: (handles: ReadonlyArray<number>) => Effect.Effect<Packed, EngineError>
  readonly release: (handles: ReadonlyArray<number>) => Effect.Effect<void>
  /** Arrays held. */
  readonly live: Effect.Effect<number>
}
