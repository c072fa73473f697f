/**
 * A value that is there and cannot be read: the test part of a split, until a trial has ended. Only the outcome of a trial
 * opens one, and this module is no part of the package's doors.
 */
export interface Concealed<out A> {
  readonly "~concealed": () => A
}

const values = new WeakMap<Concealed<unknown>, unknown>()

/** Puts a value out of reach. */
export const conceal = <A>(value: A): Concealed<A> => {
  const concealed = Object.freeze({}) as Concealed<A>
  values.set(concealed, value)
  return concealed
}

/** The value: for what makes one concealed part from another, and for the end of a trial. */
export const reveal = <A>(concealed: Concealed<A>): A => {
  if (!values.has(concealed)) throw new TypeError("Split: this is no test part; take the one that Split.make gave")
  return values.get(concealed) as A
}
