import { Split } from "tapweight"

/** All three parts of a split, opened as a test may. */
export const partsOf = <A>(split: Split.Split<A>): { readonly [P in Split.Part]: A } => {
  const parts: Partial<{ [P in Split.Part]: A }> = {}
  Split.map(split, (value, part) => {
    parts[part] = value
  })
  return parts as { readonly [P in Split.Part]: A }
}
