import * as Seed from "../dsl/values/Seed.ts"

/** Draws in sequence from one seed. */
export const stream = (seed: Seed.Seed) => {
  let at = 0
  const unit = () => Seed.uniform(Seed.fold(seed, at++), 1)[0]!
  return {
    unit,
    below: (n: number) => Math.floor(unit() * n),
    chance: (p: number) => unit() < p,
    pick: <A>(items: ReadonlyArray<A>): A => items[Math.floor(unit() * items.length)]!
  }
}
