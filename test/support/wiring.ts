import * as Seed from "../../src/dsl/Seed.ts"
import type { Estimator, LevelWiring, Wiring } from "../../src/runtime/plan/Wiring.ts"

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

export const implicit: Estimator = {
  kind: "implicit",
  name: "identity × fd",
  evaluations: 2,
  evaluationsPerElement: 0,
  steps: 1
}
export const detached: Estimator = {
  kind: "detached",
  name: "detached",
  evaluations: 0,
  evaluationsPerElement: 0,
  steps: 0
}

export const level = (name: string, change: Partial<LevelWiring> = {}): LevelWiring => ({
  name,
  variable: `v${name}`,
  given: [],
  upstream: [],
  unroll: 1,
  repeat: 1,
  warmup: 0,
  freeze: null,
  restart: false,
  optimizer: "sgd(0.1)",
  data: "none",
  estimator: implicit,
  ...change
})

/** Any wiring at all over a few names: mostly acyclic, often wrong somewhere. */
export const random = (seed: Seed.Seed): Wiring => {
  const draw = stream(seed)
  const n = 1 + draw.below(6)
  const names = Array.from({ length: n }, (_, i) => `l${i}`)
  const variables = names.map((_, i) => `v${i}`)
  const levels = names.map((name, i) => ({
    ...level(draw.chance(0.02) ? draw.pick(names) : name),
    variable: draw.chance(0.02) ? draw.pick(variables) : variables[i]!,
    upstream: names.filter((_, j) => (j < i ? draw.chance(j === i - 1 ? 0.85 : 0.4) : draw.chance(0.01))),
    given: variables.filter((_, j) => (j > i ? draw.chance(0.25) : draw.chance(0.015))),
    estimator: draw.chance(0.1) ? null : draw.chance(0.3) ? detached : implicit,
    unroll: draw.chance(0.01) ? 0 : 1 + draw.below(3),
    ...(draw.chance(0.1) ? { buffers: draw.chance(0.05) ? draw.pick([...variables, "b0"]) : `b${i}` } : {})
  }))
  if (draw.chance(0.03)) levels[draw.below(n)]!.upstream.push("nobody")
  const twice = levels[draw.below(n)]!
  if (draw.chance(0.03) && twice.upstream.length > 0) twice.upstream.push(twice.upstream[0]!)
  if (draw.chance(0.03)) levels[draw.below(n)]!.given.push("nothing")
  if (draw.chance(0.02)) levels[draw.below(n)]!.given.push("b0")
  return {
    levels,
    fixed: draw.chance(0.05) ? [draw.pick(draw.chance(0.1) ? ["b0"] : variables)] : [],
    top: draw.chance(0.02) ? "nobody" : names[n - 1]!,
    simultaneous: false
  }
}
