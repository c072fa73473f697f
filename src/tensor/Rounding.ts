/** Functions computed in fewer bits, which a backend must know how to do: TensorFlow.js has float32 alone. */
import * as tf from "@tensorflow/tfjs-core"
import type { Tree } from "../dsl/values/Tree.ts"

/** What products, and what is computed between them, are rounded to. */
export type Format = "tf32" | "bfloat16" | "float16"

/**
 * `f(x)` with the products of what comes from `x`, and what stands between products, computed in a format; what it returns is
 * float32 again.
 */
export type Rounded = <X extends Tree, Y extends Tree>(format: Format, f: (x: X) => Y, x: X) => Y

/** A backend that rounds what runs on it. */
export interface Rounding {
  readonly rounded: Rounded
}

/** What an engine that has no such numbers says. */
export const unavailable = (format: Format): string =>
  `its gradient is to be computed in ${format}, which the engine 'xla' does and this one does not: run with --engine xla, or in Precision.float32`

/** See {@link Rounded}. Throws where the current backend has no such numbers; `tf32` only allows a backend to round. */
export const rounded: Rounded = (format, f, x) => {
  const backend = tf.backend() as Partial<Rounding>
  if (backend.rounded !== undefined) return backend.rounded(format, f, x)
  if (format === "tf32") return f(x)
  throw new Error(unavailable(format))
}
