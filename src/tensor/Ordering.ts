/** Order between computations that need nothing of one another, which a backend must be told: one that records them is free to mix them. */
import * as tf from "@tensorflow/tfjs-core"
import type { Tree } from "../dsl/values/Tree.ts"

/** `x` itself, whose numbers are to be had only when `before` is computed, so that both need not be in memory at once. */
export type After = <X extends Tree>(x: X, before: Tree) => X

/** A backend that records what runs on it. */
export interface Ordering {
  readonly after: After
}

/** See {@link After}. Kernel by kernel everything is computed in order anyway. */
export const after: After = (x, before) => (tf.backend() as Partial<Ordering>).after?.(x, before) ?? x
