import { positive, whole } from "./errors/Numbers.ts"

/**
 * What a loss in float16 is multiplied by before it is differentiated, so that small gradients do not become zero; gradients are
 * divided by it again in float32. An update whose gradients are not finite is skipped, and reported.
 */
export type LossScale =
  | { readonly _tag: "Constant"; readonly scale: number }
  | {
      readonly _tag: "Dynamic"
      readonly initial: number
      /** Factor after `interval` updates in a row that were made. */
      readonly growth: number
      /** Factor after one that was skipped. */
      readonly backoff: number
      readonly interval: number
    }

/**
 * The same scale at every update.
 *
 * ```ts
 * LossScale.describe(LossScale.constant(1024)) // => "1024"
 * LossScale.constant(0) // => throws "scale is 0"
 * ```
 */
export const constant = (scale: number): LossScale => {
  positive("LossScale.constant: scale", scale)
  return { _tag: "Constant", scale }
}

/**
 * A scale that falls by `backoff` at an update whose gradients are not finite, which is skipped, and rises by `growth` after
 * `interval` in a row that are. It stays between 1 and 2⁶⁰: gradients that are not finite at 1 end a run. Defaults are PyTorch's.
 *
 * ```ts
 * LossScale.describe(LossScale.dynamic({ initial: 256, interval: 10 })) // => "256, × 2 after 10, × 0.5"
 * ```
 */
export const dynamic = (
  options: {
    readonly initial?: number
    readonly growth?: number
    readonly backoff?: number
    readonly interval?: number
  } = {}
): LossScale => {
  const { backoff = 0.5, growth = 2, initial = 65_536, interval = 2000 } = options
  if (!(initial >= least && initial <= most)) {
    throw new RangeError(`LossScale.dynamic: initial is ${initial}; give a number between 1 and 2 ** 60`)
  }
  if (!(growth > 1 && Number.isFinite(growth))) {
    throw new RangeError(`LossScale.dynamic: growth is ${growth}; give a number above 1`)
  }
  if (!(backoff > 0 && backoff < 1)) {
    throw new RangeError(`LossScale.dynamic: backoff is ${backoff}; give a number between 0 and 1`)
  }
  whole("LossScale.dynamic: interval", interval, 1)
  return { _tag: "Dynamic", initial, growth, backoff, interval }
}

/** The least that a dynamic scale falls to. */
export const least = 1
/** The most that a dynamic scale rises to. */
export const most = 2 ** 60

/** Where a scale starts. */
export const initial = (self: LossScale): number => (self._tag === "Constant" ? self.scale : self.initial)

/** One line, as plans print it. */
export const describe = (self: LossScale): string =>
  self._tag === "Constant"
    ? `${self.scale}`
    : `${self.initial}, × ${self.growth} after ${self.interval}, × ${self.backoff}`
