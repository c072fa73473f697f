import type * as Seed from "../dsl/values/Seed.ts"
import { stream } from "./Draws.ts"
import type { Estimator, LevelWiring, Wiring } from "../runtime/plan/Wiring.ts"

/** An implicit estimator of two evaluations. */
export const implicit: Estimator = {
  kind: "implicit",
  name: "identity × fd",
  evaluations: 2,
  evaluationsPerElement: 0,
  steps: 1
}
/** An implicit estimator whose solve can be differentiated, so that responses contain responses. */
export const solving: Estimator = {
  ...implicit,
  name: "cg(3) × fd",
  evaluations: 8,
  solve: { products: 3, productsPerElement: 0, evaluations: 2, differentiable: true }
}
/** An estimator that lets no gradient through. */
export const detached: Estimator = {
  kind: "detached",
  name: "detached",
  evaluations: 0,
  evaluationsPerElement: 0,
  steps: 0
}

/** A level that stands alone, with some of its parts changed. */
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

/** Any wiring at all over a few names, at most six: mostly acyclic, often wrong somewhere. */
export const random = (seed: Seed.Seed, levels?: number): Wiring => {
  const draw = stream(seed)
  const n = levels ?? 1 + draw.below(6)
  const names = Array.from({ length: n }, (_, i) => `l${i}`)
  const variables = names.map((_, i) => `v${i}`)
  const wired = names.map((name, i) => ({
    ...level(draw.chance(0.02) ? draw.pick(names) : name),
    variable: draw.chance(0.02) ? draw.pick(variables) : variables[i]!,
    upstream: names.filter((_, j) => (j < i ? draw.chance(j === i - 1 ? 0.85 : 0.4) : draw.chance(0.01))),
    given: variables.filter((_, j) => (j > i ? draw.chance(0.25) : draw.chance(0.015))),
    estimator: draw.chance(0.1) ? null : draw.chance(0.3) ? detached : draw.chance(0.4) ? solving : implicit,
    unroll: draw.chance(0.01) ? 0 : 1 + draw.below(3),
    ...(draw.chance(0.1) ? { buffers: draw.chance(0.05) ? draw.pick([...variables, "b0"]) : `b${i}` } : {})
  }))
  if (draw.chance(0.03)) wired[draw.below(n)]!.upstream.push("nobody")
  const twice = wired[draw.below(n)]!
  if (draw.chance(0.03) && twice.upstream.length > 0) twice.upstream.push(twice.upstream[0]!)
  if (draw.chance(0.03)) wired[draw.below(n)]!.given.push("nothing")
  if (draw.chance(0.02)) wired[draw.below(n)]!.given.push("b0")
  return {
    levels: wired,
    fixed: draw.chance(0.05) ? [draw.pick(draw.chance(0.1) ? ["b0"] : variables)] : [],
    top: draw.chance(0.02) ? "nobody" : names[n - 1]!,
    simultaneous: false
  }
}
