/** JSON in which every number stays what it is: JSON's own knows neither NaN nor the infinities nor −0. */

const exact = (value: unknown): unknown =>
  typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))
    ? { number: Object.is(value, -0) ? "-0" : String(value) }
    : value

/** The text of a value, another for every other value. `replace` stands in for what is no JSON. */
export const stringify = (value: unknown, replace: (value: unknown) => unknown = (each) => each): string =>
  JSON.stringify(value, (_, each: unknown) => exact(replace(each)))
