import * as tf from "@tensorflow/tfjs-core"

/**
 * A learning-rate schedule: a pure tensor function of the clock, so that one traced step serves every tick.
 *
 * The clock is an int32 scalar, the number of updates already made; it is exact in float32 up to 2²⁴ updates.
 */
export interface Rate {
  /** Printed in plans and part of a program's fingerprint, e.g. `cosine(peak=0.1, warmup=0, total=1000, floor=0)`. */
  readonly name: string
  readonly at: (clock: tf.Scalar) => tf.Scalar
  /** Whether it is zero at every update, so that nothing moves. */
  readonly zero?: boolean
}

const named = (
  schedule: string,
  options: { readonly [option: string]: number },
  highest: number,
  at: Rate["at"]
): Rate => ({
  name: `${schedule}(${Object.entries(options)
    .map(([option, value]) => `${option}=${value}`)
    .join(", ")})`,
  at,
  zero: highest === 0
})

const nonNegative = (what: string, value: number): void => {
  if (!(Number.isFinite(value) && value >= 0)) {
    throw new RangeError(`Rate.${what} is ${value}: give a finite number that is not negative`)
  }
}

const whole = (what: string, value: number, least: number): void => {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(`Rate.${what} is ${value}: give a whole number of updates, at least ${least}`)
  }
}

const spanned = (schedule: string, warmup: number, total: number): void => {
  whole(`${schedule}: warmup`, warmup, 0)
  whole(`${schedule}: total`, total, 1)
  if (total <= warmup) {
    throw new RangeError(
      `Rate.${schedule}: total is ${total} and warmup is ${warmup}: the decay needs total to be greater than warmup`
    )
  }
}

const updates = (clock: tf.Scalar): tf.Scalar => tf.cast(clock, "float32")

/** min(1, clock / warmup): how far warm-up has come. */
const ramp = (clock: tf.Scalar, warmup: number): tf.Scalar =>
  warmup === 0 ? tf.scalar(1) : tf.minimum(tf.div(updates(clock), warmup), 1)

/** (clock − warmup) / (total − warmup), held within [0, 1]: how far the decay has come. */
const progress = (clock: tf.Scalar, warmup: number, total: number): tf.Scalar =>
  tf.minimum(tf.maximum(tf.div(tf.sub(updates(clock), warmup), total - warmup), 0), 1)

/** The same rate at every update. Throws a `RangeError` where it is negative or not finite. */
export const constant = (rate: number): Rate => {
  nonNegative("constant: rate", rate)
  return { name: `${rate}`, at: () => tf.scalar(rate), zero: rate === 0 }
}

/** A schedule as it is; a number as {@link constant}. */
export const from = (rate: number | Rate): Rate => (typeof rate === "number" ? constant(rate) : rate)

/**
 * rate / (clock + 1)^exponent, as the theory of stochastic methods asks for: two time scales are two exponents.
 *
 * Throws a `RangeError` unless the rate is finite and not negative, and the exponent finite and not negative.
 *
 * ```ts
 * Rate.power({ rate: 1, exponent: 0.5 }).at(tf.scalar(3, "int32")) // => 0.5
 * ```
 */
export const power = (options: { readonly rate: number; readonly exponent: number }): Rate => {
  const { exponent, rate } = options
  nonNegative("power: rate", rate)
  nonNegative("power: exponent", exponent)
  return named("power", { rate, exponent }, rate, (clock) =>
    tf.mul(rate, tf.exp(tf.mul(-exponent, tf.log(tf.add(updates(clock), 1)))))
  )
}

/**
 * rate · factor^⌊clock / every⌋, as `torch.optim.lr_scheduler.StepLR`. `every` is in updates.
 *
 * Throws a `RangeError` unless the rate is finite and not negative, `every` a positive integer, the factor positive.
 */
export const step = (options: { readonly rate: number; readonly every: number; readonly factor: number }): Rate => {
  const { rate, every, factor } = options
  nonNegative("step: rate", rate)
  whole("step: every", every, 1)
  if (!(Number.isFinite(factor) && factor > 0)) {
    throw new RangeError(`Rate.step: factor is ${factor}: give a finite number greater than 0`)
  }
  return named("step", { rate, every, factor }, rate, (clock) => {
    // Half an update more changes no floor of whole numbers, and keeps one just reached when a backend's division rounds down.
    const drops = tf.floor(tf.div(tf.add(updates(clock), 0.5), every))
    // exp(k ln factor), because a factor near 1 rounded to float32 is far off after thousands of drops.
    return tf.mul(rate, tf.exp(tf.mul(Math.log(factor), drops)))
  })
}

/**
 * Linear warm-up from 0 to `peak`, then linear decay to 0, where it stays:
 * peak · min(clock / warmup, (total − clock) / (total − warmup)), as `get_linear_schedule_with_warmup` of Hugging Face
 * Transformers. `warmup` and `total` are in updates, warm-up counted in `total`.
 *
 * Throws a `RangeError` unless the peak is finite and not negative and 0 ≤ warmup < total are integers.
 */
export const linear = (options: { readonly peak: number; readonly warmup: number; readonly total: number }): Rate => {
  const { peak, warmup, total } = options
  nonNegative("linear: peak", peak)
  spanned("linear", warmup, total)
  return named("linear", { peak, warmup, total }, peak, (clock) =>
    tf.mul(tf.mul(peak, ramp(clock, warmup)), tf.sub(1, progress(clock, warmup, total)))
  )
}

/**
 * Linear warm-up from 0 to `peak`, then half a cosine down to `floor`, where it stays:
 * floor + (peak − floor) · (1 + cos(π · (clock − warmup) / (total − warmup))) / 2
 * (Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, one period).
 * `floor` is a rate, by default 0; `warmup`, by default 0, and `total` are in updates, warm-up counted in `total`.
 *
 * Throws a `RangeError` unless 0 ≤ floor ≤ peak are finite and 0 ≤ warmup < total are integers.
 *
 * ```ts
 * const rate = Rate.cosine({ peak: 0.1, warmup: 10, total: 110 })
 * rate.at(tf.scalar(5, "int32")) // => 0.05
 * rate.at(tf.scalar(60, "int32")) // => 0.05
 * rate.at(tf.scalar(1000, "int32")) // => 0
 * ```
 */
export const cosine = (options: {
  readonly peak: number
  readonly warmup?: number
  readonly total: number
  readonly floor?: number
}): Rate => {
  const { peak, warmup = 0, total, floor = 0 } = options
  nonNegative("cosine: peak", peak)
  nonNegative("cosine: floor", floor)
  spanned("cosine", warmup, total)
  if (floor > peak) {
    throw new RangeError(`Rate.cosine: floor is ${floor} and peak is ${peak}: the floor cannot be above the peak`)
  }
  return named("cosine", { peak, warmup, total, floor }, peak, (clock) => {
    const fall = tf.div(tf.add(1, tf.cos(tf.mul(Math.PI, progress(clock, warmup, total)))), 2)
    return tf.mul(ramp(clock, warmup), tf.add(floor, tf.mul(peak - floor, fall)))
  })
}
