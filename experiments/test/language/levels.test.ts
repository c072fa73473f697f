import { assert, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { CompiledEngine, NdArray, type Problem, Run, Seed, Tree } from "tapweight"
import { Law } from "tapweight/testing"
import "tapweight/testing/vitest"
import * as Weightings from "../../common/Weightings.ts"
import { contrast } from "../../language/objectives/Contrast.ts"
import { masked } from "../../language/objectives/Masked.ts"
import type * as Objective from "../../language/objectives/Objective.ts"
import { order } from "../../language/objectives/Order.ts"
import * as FrozenHead from "../../language/methods/FrozenHead.ts"
import * as Levels from "../../language/methods/Levels.ts"
import type { Settings } from "../../language/Settings.ts"
import { documents, encoder, head, setting, settings, task } from "../support/language.ts"
import { long } from "../../../test/support/long.ts"

const texts = documents(30)
const objectives = [masked(setting, texts, { head }), contrast(setting, texts), order(setting, texts)]
const levels = (own: Partial<Settings> = {}) =>
  Levels.make({ ...settings, ...own }, { setting, encoder }, task(), objectives)

/** The named variable's leaves after some ticks. */
const after = (problem: Problem.Problem.Any, variable: string, ticks: number) =>
  Run.ticks(problem as Problem.Problem<never>, { ticks, seed: 3 }).pipe(
    Stream.filter(({ index }) => index === ticks),
    Stream.mapEffect((tick) => tick.read([variable] as never)),
    Stream.runCollect,
    Effect.map(([vars]) => new Map(Tree.hostEntries(vars as Tree.HostTree).map(([path, { data }]) => [path, data]))),
    Effect.provide(CompiledEngine.layer({ threads: 1 }))
  )

describe("the levels on language", () => {
  it.live("equal weights are TapWeight with λ held, bit for bit", () =>
    Effect.gen(function* () {
      const { beta, pretraining, tapweight } = levels({ warmup: 100 })
      const equal = yield* after(pretraining(Weightings.equal(beta.elements)), "theta", 4)
      const held = yield* after(tapweight(), "theta", 4)
      assert.isAbove(equal.size, 10)
      for (const [path, data] of equal) assert.deepStrictEqual(held.get(path), data, path)
    })
  )

  it.live("an objective without a share changes nothing, and one alone is that objective", () =>
    Effect.gen(function* () {
      const { pretraining } = levels()
      const alone = Levels.make(settings, { setting, encoder }, task(), [objectives[0]!])
      const corner = yield* after(pretraining({ mlm: 1, contrast: 0, order: 0 }), "theta", 3)
      const own = yield* after(alone.pretraining({ mlm: 1 }), "theta", 3)
      for (const [path, data] of own) assert.deepStrictEqual(corner.get(path), data, path)
    })
  )

  it.live("heads alone move no encoder, and pretraining starts from them", () =>
    Effect.gen(function* () {
      const of = (problem: Problem.Problem.Any, ticks: number) =>
        Effect.map(after(problem, "theta", ticks), Object.fromEntries)
      const [first, last] = [yield* of(levels().heads(), 1), yield* of(levels().heads(), 3)]
      for (const [path, { data }] of Tree.hostEntries({ theta: { encoder } }))
        assert.deepStrictEqual(last[path], data, path)
      const own = Object.keys(last).filter((path) => path.startsWith("theta.heads."))
      assert.isAbove(own.length, 5)
      for (const path of own) assert.notDeepEqual(last[path], first[path], path)
      const nested = yield* Run.ticks(levels().heads() as Problem.Problem<never>, { ticks: 3, seed: 3 }).pipe(
        Stream.filter(({ index }) => index === 3),
        Stream.mapEffect((tick) => tick.read(["theta"] as never)),
        Stream.runCollect,
        Effect.map(([vars]) => (vars as unknown as { readonly theta: Objective.HostTheta }).theta.heads),
        Effect.provide(CompiledEngine.layer({ threads: 1 }))
      )
      // At next to no rate what a tick ends with is what it began with.
      const still = { ...settings, rates: { ...settings.rates, pretrain: 1e-12 } }
      const begun = Levels.make(still, { setting, encoder, heads: nested }, task(), objectives)
      const held = yield* of(begun.pretraining(Weightings.equal(begun.beta.elements)), 1)
      for (const path of own)
        for (const [i, x] of held[path]!.entries()) assert.approximately(x, last[path]![i]!, 1e-6, path)
    })
  )

  it("a gradient reaches the encoder, every head and λ, and runs resume", async () => {
    const { bilevel, finetuning, solved, tapweight } = levels({ product: "exact" })
    for (const problem of [tapweight(), bilevel(), solved(), finetuning(encoder, "held")])
      await expect(problem).toObey(Law.gradientReaches, { cases: 1, ticks: 4 })
    for (const problem of [tapweight(), solved()]) await expect(problem).toObey(Law.resume, { cases: 1, ticks: 5 })
  })

  it.live.skipIf(!long)("λ moves with each estimator and each proximal term", () =>
    Effect.gen(function* () {
      const ways: ReadonlyArray<Partial<Settings>> = [
        { estimator: "identity", product: "difference" },
        { estimator: "unrolled", product: "exact" },
        { estimator: "window", product: "exact" },
        { proximal: "mean" },
        { proximal: "kl", product: "exact" }
      ]
      for (const way of ways) {
        const moved = yield* after(levels(way).tapweight(), "beta", 6)
        const shares = [...moved.values()][0]!
        assert.isTrue(
          shares.every((share) => Number.isFinite(share)),
          JSON.stringify(way)
        )
        assert.isTrue(
          shares.some((share) => share !== 0),
          JSON.stringify(way)
        )
      }
    })
  )

  it("the head on frozen features goes to the minimum of its regression", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const [rows, width] = [30, 8]
        const x = NdArray.float32([rows, width] as const, Seed.normal(Seed.make(1), rows * width))
        const labels = NdArray.int32([rows] as const, Seed.integers(Seed.make(2), rows, 3))
        const long = { ...settings.frozen, ticks: 400, rate: 0.05 }
        const problem = FrozenHead.problem(long, task().kind, { x, labels })
        const vars = yield* after(problem, "head", 400)
        const [b, w] = [vars.get("head.b")!, vars.get("head.w")!]
        // At the minimum the penalty's pull is the data's push, feature by feature.
        const push = new Float64Array(width * 3)
        for (let i = 0; i < rows; i++) {
          const z = [0, 1, 2].map((k) =>
            Array.from({ length: width }, (_, j) => x.data[i * width + j]! * w[j * 3 + k]!).reduce(
              (s, v) => s + v,
              b[k]!
            )
          )
          const sum = z.reduce((total, v) => total + Math.exp(v), 0)
          for (let j = 0; j < width; j++) {
            for (let k = 0; k < 3; k++) {
              const excess = Math.exp(z[k]!) / sum - (labels.data[i] === k ? 1 : 0)
              push[j * 3 + k]! += (excess * x.data[i * width + j]!) / rows
            }
          }
        }
        for (const [at, slope] of push.entries()) assert.approximately(slope, -long.penalty * w[at]!, 1e-4)
      })
    ))
})

describe("weightings", () => {
  it("have the sum 1, and a grid has every corner", () => {
    const names = ["a", "b", "c"]
    const all = [
      ...Weightings.handful(names).map(([, lambda]) => lambda),
      ...Weightings.grid(names, 4),
      ...Array.from({ length: 20 }, (_, i) => Weightings.random(names, Seed.make(i)))
    ]
    for (const lambda of all) {
      assert.deepStrictEqual(Object.keys(lambda), names)
      assert.approximately(
        names.reduce((sum, name) => sum + lambda[name]!, 0),
        1,
        1e-9
      )
    }
    const grid = Weightings.grid(names, 4)
    assert.strictEqual(grid.length, 15)
    assert.strictEqual(new Set(grid.map((lambda) => JSON.stringify(lambda))).size, 15)
    for (const name of names) assert.isTrue(grid.some((lambda) => lambda[name] === 1))
  })
})
