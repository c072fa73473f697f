/** Initial values: each is a function of a seed, so that `Var.make("beta", Init.zeros([3]))` reads as it should. */
import * as NdArray from "../dsl/values/NdArray.ts"
import * as Seed from "../dsl/values/Seed.ts"

/** A shape's initial value as a function of the seed. */
export type Init<S extends ReadonlyArray<number>> = (seed: Seed.Seed) => NdArray.NdArray<NdArray.TensorOf<S>>

/** Bytes that one variable's tensor has at most; a run holds several of its size: gradients, moments, what an engine computes with. */
const most = 2 ** 31

/** Elements of a shape that there may be; a width typed with some zeros too many is refused before memory is asked for. */
const countOf = (shape: ReadonlyArray<number>): number => {
  const count = NdArray.size(shape)
  const named = `an initial value of shape [${shape.join(", ")}]`
  if (!shape.every((n) => Number.isInteger(n) && n >= 0)) {
    throw new RangeError(`Init: ${named}: a shape is of whole numbers of at least 0`)
  }
  if (4 * count > most) {
    const takes = (count / 2 ** 28).toPrecision(3)
    throw new RangeError(
      `Init: ${named} takes ${takes} GiB, of ${most / 2 ** 30} GiB that a tensor may take: make it smaller`
    )
  }
  return count
}

/** Every element `value`. */
export const constant =
  <const S extends ReadonlyArray<number>>(value: number, shape: S): Init<S> =>
  () =>
    NdArray.float32(shape, new Float32Array(countOf(shape)).fill(value))

/**
 * Every element 0.
 *
 * ```ts
 * const w = Var.make("w", Init.zeros([2, 2]))
 * Var.initial(w, Seed.make(0)).data // => [0, 0, 0, 0]
 * ```
 */
export const zeros = <const S extends ReadonlyArray<number>>(shape: S): Init<S> => constant(0, shape)

/** Every element 1. */
export const ones = <const S extends ReadonlyArray<number>>(shape: S): Init<S> => constant(1, shape)

/** Normal with mean 0 and standard deviation `stddev`. */
export const normal =
  <const S extends ReadonlyArray<number>>(stddev: number, shape: S): Init<S> =>
  (seed) =>
    NdArray.float32(
      shape,
      Seed.normal(seed, countOf(shape)).map((z) => stddev * z)
    )

/** Uniform in [-limit, limit). */
export const uniform =
  <const S extends ReadonlyArray<number>>(limit: number, shape: S): Init<S> =>
  (seed) =>
    NdArray.float32(
      shape,
      Seed.uniform(seed, countOf(shape)).map((u) => limit * (2 * u - 1))
    )

/**
 * Uniform with variance 2 / (fan in + fan out) (Glorot and Bengio 2010), for weights [..., in, out] whose leading axes are
 * the receptive field of a convolution.
 */
export const glorot = <const S extends readonly [...ReadonlyArray<number>, number, number]>(shape: S): Init<S> => {
  const [fanIn, fanOut] = shape.slice(-2) as [number, number]
  const receptive = NdArray.size(shape.slice(0, -2))
  return uniform(Math.sqrt(6 / (receptive * (fanIn + fanOut))), shape)
}
