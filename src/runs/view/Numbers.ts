/** A number in five figures, for people. */
export const five = (value: number): string => `${Number(value.toPrecision(5))}`
