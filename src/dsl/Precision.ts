import * as LossScale from "./LossScale.ts"

/**
 * What a level computes its loss and its gradient in: matrix products, convolutions and activations; the rest stays in float32.
 * Weights, the optimizer's state, sums, normalisations and everything that a solve computes are in float32 whatever it is.
 */
export type Precision =
  | { readonly _tag: "float32" }
  | { readonly _tag: "tf32" }
  | { readonly _tag: "bfloat16" }
  | { readonly _tag: "float16"; readonly lossScale: LossScale.LossScale }

/** 24 bits of precision throughout, which is what a level has that says nothing. */
export const float32: Precision = { _tag: "float32" }

/**
 * Float32 whose products may round their factors to 11 bits, as NVIDIA's cards do faster; elsewhere the same as {@link float32}.
 * Products are never rounded so unless a level asks for it.
 */
export const tf32: Precision = { _tag: "tf32" }

/** 8 bits of precision and the range of float32: needs no loss scale. */
export const bfloat16: Precision = { _tag: "bfloat16" }

/**
 * 11 bits of precision and numbers up to 65504, down to about 6e-8: with a {@link LossScale}, a dynamic one where none is given.
 *
 * ```ts
 * Precision.describe(Precision.float16({ lossScale: LossScale.constant(128) })) // => "float16, loss × 128"
 * ```
 */
export const float16 = (options: { readonly lossScale?: LossScale.LossScale } = {}): Precision => ({
  _tag: "float16",
  lossScale: options.lossScale ?? LossScale.dynamic()
})

/** Names of precisions, as a command line has them. */
export const names = ["float32", "tf32", "bfloat16", "float16"] as const

/** The name of a precision. */
export type Name = (typeof names)[number]

/** The precision of a name: float16 with a dynamic scale. */
export const named = (name: Name): Precision =>
  name === "float16" ? float16() : name === "bfloat16" ? bfloat16 : name === "tf32" ? tf32 : float32

/** One line, as plans print it. */
export const describe = (self: Precision): string =>
  self._tag === "float16" ? `float16, loss × ${LossScale.describe(self.lossScale)}` : self._tag
