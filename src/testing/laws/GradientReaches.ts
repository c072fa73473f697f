import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import fc from "fast-check"
import * as Seed from "../../dsl/values/Seed.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Feed from "../../runtime/run/Feed.ts"
import * as Run from "../../runtime/run/Run.ts"
import * as Moment from "../../runtime/plan/Moment.ts"
import * as Plan from "../../runtime/plan/Plan.ts"
import * as Evaluation from "../../runtime/step/Evaluation.ts"
import { levelsOf, type Vars } from "../../runtime/step/State.ts"
import * as Vector from "../../tensor/Vector.ts"
import * as Property from "../Property.ts"

/** Ticks after which every level has acted twice, or as often as it ever does. */
const enough = (plan: Plan.Plan): number =>
  Math.max(...plan.levels.map(({ period, start }) => Math.max(start, period) + period))

/** What the wiring says a gradient arrives at, in words, by a name for each. */
const expected = (plan: Plan.Plan): ReadonlyMap<string, string> =>
  new Map([
    ...plan.levels.map(({ name, variable }) => [`own ${name}`, `'${variable}', which '${name}' minimizes`] as const),
    ...plan.levels.flatMap(({ given, name }) =>
      given.map((v) => [`given ${name} ${v}`, `'${v}', which '${name}' is given and its loss does not read`] as const)
    ),
    ...plan.sweeps.flatMap(({ hops, level }) => {
      const { variable } = plan.levels.find(({ name }) => name === level)!
      return hops.flatMap((hop) =>
        hop.into.includes(variable)
          ? [[`part ${level} ${hop.level}`, `'${variable}' through the response of '${hop.level}'`] as const]
          : []
      )
    })
  ])

/**
 * A gradient arrives wherever the wiring says that one does: at what a level minimizes, at what it is given, and at a
 * level's variable through each level below that reads it. Looked for at every tick until each level has acted twice, as
 * gradients may well be zero at the start. An objective that reads a variable through a rounding, a `stopGradient` or not at
 * all breaks it, and so do two terms that never meet: a response to λ in `f(x) + g(λ)` is zero.
 *
 * ```ts
 * yield* Law.gradientReaches(problem)
 * ```
 */
export const gradientReaches: Property.Law = (problem, options = {}) =>
  Property.holds("gradientReaches", fc.record({ seed: Property.seeds }), options, ({ seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const plan = yield* Effect.fromResult(Plan.make(problem))
        const levels = levelsOf(problem)
        const feed = yield* Feed.open(problem, Seed.make(seed))
        const missing = new Map(expected(plan))
        const seen = (key: string, norm: number) => (norm > 0 ? void missing.delete(key) : undefined)
        /** Norms of a loss's partial derivatives by what its level is given. */
        const norms = (name: string) => {
          const level = levels.get(name)!
          const given = level.given.map((v) => v.name)
          return (vars: Vars, batch: { readonly [field: string]: Tree }): { readonly [given: string]: tf.Tensor } => {
            const { gradient } = Evaluation.gradient(level, vars, batch, given)
            return Object.fromEntries(given.map((v) => [v, Vector.norm(gradient[v]!)]))
          }
        }
        const given = plan.levels.flatMap(({ given, name }) =>
          given.length === 0 ? [] : [[name, norms(name)] as const]
        )
        const ticks = Math.max(enough(plan), options.ticks ?? Property.defaults.ticks)
        yield* Stream.runForEach(Run.ticks(problem, { ticks, seed, diagnosticsEvery: 1 }), (tick) =>
          Effect.gen(function* () {
            for (const [name, { gradientNorm, report }] of Object.entries(tick.levels)) {
              seen(`own ${name}`, gradientNorm)
              for (const [lower, { norm }] of Object.entries(report?.parts ?? {})) seen(`part ${name} ${lower}`, norm)
            }
            const batches = yield* feed(Moment.batchIndices(plan, tick.index, Moment.at(plan, tick.index)))
            for (const [name, f] of given) {
              const last = batches[name]?.at(-1)
              const batch = Array.isArray(last) ? last.at(-1) : last
              if (batch === undefined || !missing.size) continue
              const found = yield* tick.evaluate(f as never, batch as never)
              for (const [v, norm] of Object.entries(found as { readonly [given: string]: { data: Float32Array } }))
                seen(`given ${name} ${v}`, norm.data[0]!)
            }
          })
        )
        return missing.size === 0
          ? undefined
          : `in ${ticks} ticks no gradient arrives at ${[...missing.values()].join(", nor at ")}`
      })
    )
  )
