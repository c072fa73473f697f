/** How an optimizer is called: what it is and everything that it depends on. */
export const named = (
  what: string,
  options: { readonly [option: string]: number | boolean | undefined },
  ...unlabelled: ReadonlyArray<string>
): string => {
  const labelled = Object.entries(options).filter(([, value]) => value !== undefined)
  return `${what}(${[...unlabelled, ...labelled.map(([option, value]) => `${option}=${value}`)].join(", ")})`
}

const refuse = (what: string, value: number, wanted: string): never => {
  throw new RangeError(`Optimizer.${what} is ${value}: give ${wanted}`)
}

/** Throws a `RangeError` unless 0 ≤ value < 1. */
export const fraction = (what: string, value: number): void => {
  if (!(value >= 0 && value < 1)) refuse(what, value, "a number of at least 0 and less than 1")
}

/** Throws a `RangeError` unless the value is finite and not negative. */
export const nonNegative = (what: string, value: number): void => {
  if (!(Number.isFinite(value) && value >= 0)) refuse(what, value, "a finite number that is not negative")
}

/** Throws a `RangeError` unless the value is finite and positive. */
export const positive = (what: string, value: number): void => {
  if (!(Number.isFinite(value) && value > 0)) refuse(what, value, "a finite number greater than 0")
}
