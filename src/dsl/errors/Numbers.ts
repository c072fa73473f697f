/** Checks of numbers that authors give: each throws a `RangeError` that says whose number it is, and what to give. */

/** A whole number of at least `least`, and no more than can be counted exactly. `of` names it, e.g. `Run.ticks: ticks`. */
export const whole = (of: string, value: number, least: number): void => {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${of} is ${value}; give a whole number${least === -Infinity ? "" : ` of at least ${least}`}`)
  }
}

/** A finite number above 0. */
export const positive = (of: string, value: number): void => {
  if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`${of} is ${value}; give a positive number`)
}

/** A number above 0 and at most 1. */
export const fraction = (of: string, value: number): void => {
  if (!(value > 0 && value <= 1)) throw new RangeError(`${of} is ${value}; give a number above 0 and at most 1`)
}
