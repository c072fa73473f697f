import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Problem } from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import type { Var } from "../../src/dsl/Var.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as Feed from "../../src/runtime/run/Feed.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import { initial, initialVars, levelsOf, type State } from "../../src/runtime/step/State.ts"
import * as Sweep from "../../src/runtime/step/Direction.ts"

/** The swept gradient of a problem's top level at its initial values, on batch 0 of each level, flattened. */
export const swept = <V extends Var.Any, E, R>(problem: Problem<V, E, R>, seed = 0) =>
  Effect.scoped(
    Effect.gen(function* () {
      const engine = yield* Engine
      const plan = Result.getOrThrow(Plan.make(problem))
      const levels = levelsOf(problem)
      const name = problem.top.name
      const feed = yield* Feed.open(problem, Seed.make(seed))
      const batches = yield* feed(Object.fromEntries(plan.levels.map((l) => [l.name, [0]])))
      const state = yield* engine.start(initial(problem, plan), initialVars(problem, Seed.make(seed)))
      const observe = yield* engine.observe((s: State, b: Sweep.Batches) => {
        const moment = { acting: [name], restarting: [], frozen: [], past: {}, diagnostics: true }
        const found = Sweep.direction(
          levels.get(name)!,
          levels,
          new Map(plan.sweeps.map((each) => [each.level, each])),
          s,
          b[name]!.at(-1)!,
          b,
          moment
        )
        return { gradient: found.gradient, report: found.metrics.report } as never as {
          gradient: Tree.Tree
          report: Sweep.Report
        }
      })
      const host = yield* observe(state, batches)
      yield* engine.release(state)
      const flat = Tree.hostEntries(host.gradient as Tree.HostTree).flatMap(([, leaf]) => Array.from(leaf.data))
      const numbers = (scalars: { readonly [level: string]: unknown }) =>
        Object.fromEntries(Object.entries(scalars).map(([level, r]) => [level, (r as { data: Float32Array }).data[0]!]))
      const residuals = numbers(host.report.residuals)
      const curvatures = numbers(host.report.curvatures)
      return { gradient: flat, residuals, curvatures, report: host.report, plan }
    })
  )
