import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import type * as Tree from "../../src/dsl/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Compiled from "../../src/runtime/compiled/Compiled.ts"
import * as Eager from "../../src/runtime/Eager.ts"
import { fingerprint } from "../../src/runtime/Fingerprint.ts"
import * as Plan from "../../src/runtime/Plan.ts"
import { mermaid, text } from "../../src/runtime/PlanText.ts"
import * as Run from "../../src/runtime/Run.ts"

const engines = { cpu: Eager.layer("cpu"), compiled: Compiled.layer({ threads: 1 }) } as const
const cpu = Effect.provide(engines.cpu)

/** Batch i holds i + 1: what a level has seen can be told from what it carries. */
const counting = Dataset.make("counting", {
  fields: { x: Dataset.float32([1]) },
  open: Effect.succeed((_, index) => Effect.succeed({ x: NdArray.float32([1], [index + 1]) }))
})

const weight = Var.make("weight", () => NdArray.float32([1], [0.5]))
const running = Var.make("running", () => ({ mean: NdArray.float32([1], [2]), square: NdArray.float32([1], [0]) }))
const pull = Var.make("pull", () => NdArray.scalar(0.3))

/** An exponential average of `u`, as batch norm keeps one. */
const averaged = (before: tf.Tensor, u: tf.Tensor): tf.Tensor => tf.add(tf.mul(before, 0.9), tf.mul(u, 0.1))

const estimators = {
  identity: Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.1 }) }),
  cg: Hypergradient.implicit({
    solver: Solver.warm(Solver.conjugateGradient({ iterations: 2 })),
    product: Product.finiteDifference({ radius: 0.1 })
  }),
  unrolled: Hypergradient.unrolled({ steps: 2, product: Product.finiteDifference({ radius: 0.1 }) })
}

/** What the lower level carries depends on its weight, so that a move at any other weight would be seen. */
const lower = (estimator: Hypergradient.Hypergradient) =>
  Level.minimize(weight, {
    name: "lower",
    given: [pull],
    buffers: running,
    data: counting,
    optimizer: Optimizer.sgd(0.05),
    objective: ({ pull, running, weight }, { x }) => {
      const output = tf.mul(weight, x)
      return {
        loss: tf.add(tf.sum(tf.square(tf.sub(weight, pull))), tf.mul(0.01, tf.sum(tf.square(output)))) as tf.Scalar,
        buffers: {
          mean: averaged(running.mean, output),
          square: averaged(running.square, tf.square(output))
        }
      }
    }
  }).pipe(Level.hypergradient(estimator))

const above = (below: ReturnType<typeof lower>, rate: number) =>
  Level.minimize(pull, {
    name: "upper",
    upstream: [below],
    data: counting,
    optimizer: Optimizer.sgd(rate),
    objective: ({ running, weight }, { x }) => ({
      loss: tf.sum(tf.square(tf.sub(tf.mul(weight, x), running.mean))) as tf.Scalar,
      metrics: { mean: running.mean }
    })
  })

const bilevel = (estimator: Hypergradient.Hypergradient, rate: number) => Problem.close(above(lower(estimator), rate))

type Vars = { readonly [name: string]: Tree.HostTree }
type Some = Problem.Problem<any, any, never>

/** The state after `ticks` ticks, and what the run said at each. */
const run = (problem: Some, ticks: number, from?: { readonly tick: number; readonly state: Tree.HostTree }) =>
  Run.ticks(problem, { ticks, seed: 4, diagnosticsEvery: 2, ...(from === undefined ? {} : { from }) }).pipe(
    Stream.mapEffect((tick) => Effect.map(tick.snapshot, (state) => ({ levels: tick.levels, state }))),
    Stream.runCollect
  )
const varsOf = (state: Tree.HostTree): Vars => (state as never as { readonly vars: Vars }).vars
const stateAfter = (problem: Some, ticks: number) => Effect.map(run(problem, ticks), (all) => all.at(-1)!.state)

/** A level whose weight stands still, so that its statistics have a closed form. */
const still = () =>
  Level.minimize(weight, {
    name: "still",
    buffers: running,
    data: counting,
    optimizer: Optimizer.sgd(0),
    objective: ({ running, weight }, { x }) => ({
      loss: tf.sum(weight) as tf.Scalar,
      buffers: { mean: averaged(running.mean, x), square: running.square }
    })
  })

/** ∑ of 0.1 · 0.9ⁿ⁻ⁱ xᵢ over the batches seen, and what is left of the start. */
const average = (seen: ReadonlyArray<number>): number => seen.reduce((sofar, x) => 0.9 * sofar + 0.1 * x, 2)
const meanOf = (vars: Vars): number => (vars["running"] as { readonly mean: NdArray.NdArray }).mean.data[0]!

describe("buffers move with their own level", () => {
  const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i)
  const cases: ReadonlyArray<readonly [string, Some, ReadonlyArray<number>]> = [
    ["at each tick", Problem.close(still()), upTo(9)],
    ["at each of several updates on a turn", Problem.close(still().pipe(Level.repeat(3))), upTo(27)],
    ["not after a freeze", Problem.close(still().pipe(Level.freeze(4))), upTo(4)],
    ["not during a warm-up", Problem.close(still().pipe(Level.warmup(4))), upTo(5)],
    [
      "from the start after a restart",
      Problem.close(still().pipe(Level.unroll(4), Level.restart)),
      // Rounds of four: the ninth update is the first of the third round.
      upTo(9, 9)
    ]
  ]
  for (const [name, problem, seen] of cases) {
    it.live(`${name}: an exponential average in closed form`, () =>
      Effect.gen(function* () {
        const vars = varsOf(yield* stateAfter(problem, 9))
        assert.closeTo(meanOf(vars), average(seen), 1e-5)
      }).pipe(cpu)
    )
  }

  for (const [engine, layer] of Object.entries(engines)) {
    for (const [name, estimator] of Object.entries(estimators)) {
      it.live(`${engine}, ${name}: the evaluations of a hypergradient leave them as they are, bit for bit`, () =>
        Effect.gen(function* () {
          // At rate 0 the level above differentiates and stands still.
          const swept = yield* run(bilevel(estimator, 0), 7)
          const alone = yield* stateAfter(Problem.close(lower(estimator).pipe(Level.fix(pull))), 7)
          const last = swept.at(-1)!
          assert.deepStrictEqual(varsOf(last.state), varsOf(alone))
          assert.isAbove(last.levels["upper"]!.gradientNorm, 1e-3)
        }).pipe(Effect.provide(layer))
      )
    }

    it.live(`${engine}: a run goes on with the bits of an undisturbed one`, () =>
      Effect.gen(function* () {
        for (const estimator of [estimators.cg, estimators.unrolled]) {
          const whole = yield* run(bilevel(estimator, 0.1), 6)
          for (const tick of [1, 4]) {
            const resumed = yield* run(bilevel(estimator, 0.1), 6, { tick, state: whole[tick - 1]!.state })
            assert.deepStrictEqual(resumed.at(-1)!.state, whole.at(-1)!.state)
          }
        }
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("a compiled step moves them as the eager step does", () =>
    Effect.gen(function* () {
      for (const estimator of Object.values(estimators)) {
        const at = (layer: Layer.Layer<any, any>) =>
          Effect.provide(Effect.map(stateAfter(bilevel(estimator, 0.01), 8), varsOf), Layer.fresh(layer))
        const [eager, compiled] = [yield* at(engines.cpu), yield* at(engines.compiled)]
        assert.closeTo(meanOf(compiled), meanOf(eager), 1e-5)
      }
    })
  )
})

describe("who reads buffers", () => {
  it.live("the level above sees them as just moved, or as in the snapshot where levels update together", () =>
    Effect.gen(function* () {
      const problem = bilevel(Hypergradient.detached, 0.1)
      const sequential = yield* run(problem, 5)
      const together = yield* run(problem.pipe(Problem.simultaneous), 5)
      const mean = (tick: (typeof sequential)[number]) => meanOf(varsOf(tick.state))
      const said = (tick: (typeof sequential)[number]) => (tick.levels["upper"]!.metrics["mean"] as number[])[0]!
      assert.deepStrictEqual(sequential.map(said), sequential.map(mean))
      assert.deepStrictEqual(together.map(said), [2, ...together.slice(0, -1).map(mean)])
    }).pipe(cpu)
  )

  it.live("no gradient passes through them, neither to what they were made of nor to what they are", () =>
    Effect.gen(function* () {
      // ∂(w·s)/∂w is s where s is a constant, though s moves with w.
      const level = Level.minimize(weight, {
        name: "product",
        buffers: running,
        data: counting,
        optimizer: Optimizer.sgd(0.1),
        objective: ({ running, weight }) => ({
          loss: tf.sum(tf.mul(weight, running.mean)) as tf.Scalar,
          buffers: { mean: averaged(running.mean, weight), square: running.square }
        })
      })
      const ticks = yield* run(Problem.close(level), 4)
      let [w, s] = [0.5, 2]
      for (const { levels, state } of ticks) {
        assert.closeTo(levels["product"]!.gradientNorm, s, 1e-6)
        ;[w, s] = [w - 0.1 * s, 0.9 * s + 0.1 * w]
        assert.closeTo(meanOf(varsOf(state)), s, 1e-6)
      }
    }).pipe(cpu)
  )

  it.live("a gradient through past updates is taken at the buffers of each", () =>
    Effect.gen(function* () {
      const rate = 0.2
      const inner = Level.minimize(weight, {
        name: "inner",
        given: [pull],
        buffers: running,
        data: counting,
        optimizer: Optimizer.sgd(rate),
        objective: ({ pull, running, weight }, { x }) => ({
          loss: tf.sum(tf.mul(tf.mul(0.5, pull), tf.mul(running.mean, tf.square(weight)))) as tf.Scalar,
          buffers: { mean: averaged(running.mean, x), square: running.square }
        })
      }).pipe(
        Level.unroll(3),
        Level.hypergradient(Hypergradient.unrolled({ steps: 3, product: Product.finiteDifference({ radius: 0.1 }) }))
      )
      const outer = Level.minimize(pull, {
        name: "outer",
        upstream: [inner],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0),
        objective: ({ weight }) => tf.sum(weight)
      })
      const ticks = yield* run(Problem.close(outer), 3)
      // w₃ = w₀ ∏ (1 − rate · pull · sₜ), with sₜ the average before update t.
      const seen = [[], [1], [1, 2]].map(average)
      const product = (p: number) => 0.5 * seen.reduce((w, s) => w * (1 - rate * p * s), 1)
      const derivative = (product(0.3 + 1e-4) - product(0.3 - 1e-4)) / 2e-4
      assert.closeTo(ticks.at(-1)!.levels["outer"]!.gradientNorm, Math.abs(derivative), 1e-4)
    }).pipe(cpu)
  )
})

describe("what is refused, and what is shown", () => {
  const failing = (objective: (vars: any, batch: any) => unknown, buffers: object = { buffers: running }) =>
    Level.minimize(weight, {
      name: "only",
      data: counting,
      optimizer: Optimizer.sgd(0.1),
      objective: objective as never,
      ...buffers
    })
  const loss = ({ weight }: { readonly weight: tf.Tensor1D }) => tf.sum(weight)
  const cases: ReadonlyArray<readonly [string, Parameters<typeof failing>, ReadonlyArray<string>]> = [
    ["none returned", [loss], ["returned no buffers", "'running'"]],
    ["some returned where there are none", [(v) => ({ loss: loss(v), buffers: {} }), {}], ["the level has none"]],
    [
      "a missing part",
      [(v) => ({ loss: loss(v), buffers: { mean: v.running.mean } })],
      ["returned nothing", "'running' at 'square'", "float32[1]"]
    ],
    [
      "another shape",
      [(v) => ({ loss: loss(v), buffers: { mean: tf.sum(v.weight), square: v.running.square } })],
      ["float32[]", "'running' at 'mean'", "float32[1]"]
    ],
    [
      "another type",
      [(v) => ({ loss: loss(v), buffers: { mean: tf.cast(v.weight, "int32"), square: v.running.square } })],
      ["int32[1]", "'running' at 'mean'", "float32[1]"]
    ]
  ]
  for (const [name, args, sentences] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const problem = Problem.close(failing(...args))
        const error = yield* Effect.flip(run(problem as Some, 1))
        assert.strictEqual((error as { readonly _tag: string })._tag, "StepError")
        for (const sentence of [...sentences, "'only'"]) assert.include((error as Error).message, sentence)
      }).pipe(cpu)
    )
  }
  it("buffers that others minimize, hold, are given or carry", () => {
    const any = Level as any
    const spec = { data: counting, optimizer: Optimizer.sgd(0.1), objective: loss }
    const carrier = any.minimize(weight, { ...spec, name: "carrier", buffers: running })
    const other = Var.make("other", () => NdArray.scalar(0))
    const refused: ReadonlyArray<readonly [unknown, string]> = [
      [any.minimize(running, { ...spec, name: "top", upstream: [carrier] }), "are minimized by a level"],
      [any.minimize(weight, { ...spec, name: "own", buffers: weight }), "are minimized by a level"],
      [
        any.minimize(other, { ...spec, name: "top", upstream: [carrier], given: [running] }),
        "the buffers of 'carrier'"
      ],
      [any.minimize(other, { ...spec, name: "top", upstream: [carrier], buffers: running }), "also those of 'carrier'"],
      [any.fix(running)(carrier), "also held constant"]
    ]
    for (const [top, sentence] of refused) {
      const plan = Plan.make(Problem.close(top as never))
      assert.isTrue(Result.isFailure(plan))
      if (Result.isFailure(plan)) {
        assert.strictEqual(plan.failure.kind, "Buffers")
        assert.include(plan.failure.message, sentence)
      }
    }
  })

  it("plans name them, and they are part of a program's fingerprint", () => {
    const problem = bilevel(Hypergradient.detached, 0.1)
    const plan = Result.getOrThrow(Plan.make(problem))
    assert.include(text(plan), "minimizes weight, carries running")
    assert.include(mermaid(plan), 'l0["lower<br/>min weight<br/>carries running"]')
    assert.notProperty(plan.levels[1], "buffers")
    const renamed = { ...plan, levels: plan.levels.map((l) => ("buffers" in l ? { ...l, buffers: "other" } : l)) }
    assert.notStrictEqual(fingerprint(problem, renamed), fingerprint(problem, plan))
  })

  it.live("the run reads them as it reads variables", () =>
    Effect.gen(function* () {
      const read = yield* Run.ticks(bilevel(Hypergradient.detached, 0.1), { ticks: 3, seed: 4 }).pipe(
        Stream.mapEffect((tick) =>
          Effect.all([
            tick.read(["running"]),
            tick.evaluate(({ running }, { x }: { readonly x: tf.Tensor }) => tf.mul((running as any).mean, x), {
              x: NdArray.float32([1], [10])
            } as never)
          ])
        ),
        Stream.runLast
      )
      const [vars, scaled] = Option.getOrThrow(read)
      assert.closeTo((scaled as NdArray.NdArray).data[0]!, 10 * meanOf(vars), 1e-4)
    }).pipe(cpu)
  )
})
