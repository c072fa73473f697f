import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as LossScale from "../../src/dsl/LossScale.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Precision from "../../src/dsl/Precision.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as XlaEngine from "../../src/engines/xla/XlaEngine.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import type * as Program from "../../src/runs/Program.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Law from "../../src/testing/Law.ts"
import { tinyTransformer } from "../support/transformer.ts"

type Any = Problem.Problem<Var.Var.Any, any, never>

const plugin = process.env["TAPWEIGHT_PJRT_PLUGIN"]
const xla = XlaEngine.layer()

const ticksOf = (problem: Any, ticks: number) =>
  Run.ticks(problem, { ticks, seed: 2 }).pipe(
    Stream.mapEffect((tick) => Effect.map(tick.snapshot, (state) => ({ levels: tick.levels, state }))),
    Stream.runCollect
  )
const numbers = (tree: unknown) => Tree.hostEntries(tree as Tree.HostTree).flatMap(([, { data }]) => Array.from(data))

const ones = (...shape: [number, number]) => NdArray.float32(shape, new Float32Array(shape[0] * shape[1]).fill(1))

/** A weight of `n` equal elements from 1 whose gradient is −1 in each: its loss is a mean of its products with ones. */
const falling = (n: number, optimizer = Optimizer.sgd(1e-4)) =>
  Level.minimize(
    Var.make("w", () => ones(n, 1)),
    {
      name: "falling",
      data: Dataset.constant("ones", { x: ones(2, n), weights: NdArray.float32([2, 1], [0.5, 0.5]) }),
      optimizer,
      objective: ({ w }, { weights, x }) => tf.neg(tf.sum(tf.mul(weights, tf.relu(tf.matMul(x, w)))))
    }
  )

/** A net below, a decay above; what each computes in. */
const held = (lower: Precision.Precision, upper: Precision.Precision, estimator: Hypergradient.Hypergradient) => {
  const rows = 16
  const draw = (name: string, shape: [number, number]) =>
    NdArray.float32(shape, Seed.normal(Seed.fold(Seed.make(5), name), shape[0] * shape[1]))
  const table = (name: string) => ({ x: draw(`${name} x`, [rows, 3]), y: draw(`${name} y`, [rows, 2]) })
  const w = Var.make("w", Mlp.init([3, 8, 2]))
  const decay = Var.make("decay", () => NdArray.scalar(-1))
  const error = (params: Tree.Tree, { x, y }: { readonly x: tf.Tensor2D; readonly y: tf.Tensor2D }) =>
    tf.mean(tf.squaredDifference(Mlp.apply(params as never, x), y)) as tf.Scalar
  const fit = Level.minimize(w, {
    name: "fit",
    given: [decay],
    data: Dataset.fromRows("train", table("train"), { batch: 8 }),
    optimizer: Optimizer.adam(0.01, { epsilon: 0.01 }),
    objective: ({ decay, w }, batch) => {
      const norm = tf.addN(Tree.leaves(w).map((leaf) => tf.sum(tf.square(leaf))))
      return tf.add(error(w, batch), tf.mul(tf.exp(decay), norm))
    }
  }).pipe(Level.hypergradient(estimator), Level.precision(lower))
  const tune = Level.minimize(decay, {
    name: "tune",
    upstream: [fit],
    data: Dataset.fromRows("validation", table("validation"), { batch: 8 }),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ w }, batch) => error(w, batch)
  }).pipe(Level.precision(upper))
  return Problem.close(tune)
}
const product = Product.finiteDifference({ radius: 0.01 })
const cg = Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 3 }), product })
const exact = Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 3 }), product: Product.exact })

describe("an engine without numbers in 16 bits", () => {
  for (const [name, engine] of Object.entries({ cpu: Eager.layer("cpu"), compiled: Compiled.layer({ threads: 1 }) })) {
    it.live(`${name}: refuses them, saying which has them`, () =>
      Effect.gen(function* () {
        for (const precision of [Precision.bfloat16, Precision.float16()]) {
          const problem = Problem.close(falling(2)).pipe(Problem.precision(precision))
          const error = yield* Effect.flip(ticksOf(problem, 1))
          assert.match(
            (error as Error).message,
            new RegExp(`'?falling'?.*${precision._tag}, which the engine 'xla' does`)
          )
        }
      }).pipe(Effect.provide(engine))
    )
    it.live(`${name}: computes in float32 where TF32 is allowed, to the same bits`, () =>
      Effect.gen(function* () {
        const [asked, whole] = [
          held(Precision.tf32, Precision.tf32, cg),
          held(Precision.float32, Precision.float32, cg)
        ]
        assert.deepStrictEqual(yield* ticksOf(asked, 3), yield* ticksOf(whole, 3))
      }).pipe(Effect.provide(engine))
    )
  }
})

describe("a plan", () => {
  const text = (problem: Any) => PlanText.text(Result.getOrThrow(Plan.make(problem)))
  it("says which levels are rounded and what is promoted", () => {
    const found = text(held(Precision.bfloat16, Precision.float32, cg))
    assert.match(found, /fit .* in bfloat16 /)
    assert.include(found, "rounded: losses and gradients of fit for their own updates")
    assert.include(found, "so is every evaluation of a hypergradient at fit")
    assert.notInclude(text(held(Precision.float32, Precision.float32, cg)), "rounded")
    assert.include(
      text(held(Precision.float16(), Precision.float32, cg)),
      "in float16, loss × 65536, × 2 after 2000, × 0.5"
    )
  })
  it("has the problem's precision at levels that state none", () => {
    const problem = (precision: Precision.Precision) => Problem.close(falling(2)).pipe(Problem.precision(precision))
    assert.match(text(problem(Precision.bfloat16)), /in bfloat16/)
    const own = Problem.close(falling(2).pipe(Level.precision(Precision.float32)))
    assert.notMatch(text(own.pipe(Problem.precision(Precision.bfloat16))), /bfloat16/)
  })
  it("refuses estimators that look at past updates where float16 may skip some", () => {
    const refused = [
      Hypergradient.unrolled({ steps: 2, product }),
      Hypergradient.implicit({ solver: Solver.sama, product })
    ]
    for (const estimator of refused) {
      const found = Plan.make(held(Precision.float16(), Precision.float32, estimator))
      assert.strictEqual(Result.isFailure(found) ? found.failure.kind : "", "Precision")
      assert.isTrue(Result.isSuccess(Plan.make(held(Precision.bfloat16, Precision.float32, estimator))))
    }
  })
  it("does not count a pass as shared that is in another precision", () => {
    const shared = (lower: Precision.Precision) =>
      Result.getOrThrow(Plan.make(held(lower, Precision.float32, exact).pipe(Problem.simultaneous))).sweeps.some(
        ({ hops }) => hops.some((hop) => hop.shared)
      )
    assert.isTrue(shared(Precision.float32))
    assert.isFalse(shared(Precision.bfloat16))
  })
})

describe.skipIf(plugin === undefined)("on XLA", () => {
  it.live("weights in float32 add up updates that bfloat16 would lose", () =>
    Effect.gen(function* () {
      // 2⁻⁷ lies between 1 and its successor in bfloat16: an update of 1e-4 would never arrive.
      for (const precision of [Precision.bfloat16, Precision.float16({ lossScale: LossScale.constant(128) })]) {
        const last = (yield* ticksOf(Problem.close(falling(2)).pipe(Problem.precision(precision)), 100)).at(-1)!
        for (const value of numbers(last.state.vars)) assert.closeTo(value, 1.01, 2e-6, precision._tag)
      }
    }).pipe(Effect.provide(xla))
  )

  it.live("products in bfloat16 are summed in float32", () =>
    Effect.gen(function* () {
      // 256 + 1 is 256 in bfloat16.
      const [first] = yield* ticksOf(Problem.close(falling(4096)).pipe(Problem.precision(Precision.bfloat16)), 1)
      assert.strictEqual(first!.levels["falling"]!.loss, -4096)
    }).pipe(Effect.provide(xla))
  )

  it.live("a number is rounded where the graph says so, also where it is widened again at once", () =>
    Effect.gen(function* () {
      // 1 + 2⁻⁹ is 1 in bfloat16: the product is rounded before its loss, which is float32, is taken.
      const level = Level.minimize(
        Var.make("w", () => ones(2, 1)),
        {
          name: "rounded",
          data: Dataset.constant("pair", { x: NdArray.float32([1, 2], [1, 2 ** -9]), y: ones(1, 1) }),
          optimizer: Optimizer.sgd(1e-3),
          objective: ({ w }, { x, y }) => tf.sum(tf.mul(y, tf.relu(tf.matMul(x, w))))
        }
      )
      const loss = (precision: Precision.Precision) =>
        Effect.map(
          ticksOf(Problem.close(level.pipe(Level.precision(precision))), 1),
          ([first]) => first!.levels["rounded"]!.loss
        )
      assert.strictEqual(yield* loss(Precision.bfloat16), 1)
      assert.strictEqual(yield* loss(Precision.float16()), 1 + 2 ** -9)
    }).pipe(Effect.provide(xla))
  )

  it.live("a level that is rounded leaves what estimators compute of it in float32, bit for bit", () =>
    Effect.gen(function* () {
      for (const estimator of [cg, exact]) {
        const of = (lower: Precision.Precision) =>
          Effect.map(
            ticksOf(held(lower, Precision.float32, estimator).pipe(Problem.simultaneous), 1),
            ([first]) => first!
          )
        const [half, whole] = [yield* of(Precision.bfloat16), yield* of(Precision.float32)]
        // From one snapshot: the level above moves by a solve, the one below by a rounded gradient.
        assert.deepStrictEqual(half.state.vars["decay"], whole.state.vars["decay"])
        assert.notDeepEqual(half.state.vars["w"], whole.state.vars["w"])
        const [is, want] = [numbers(half.state.optimizer["fit"]), numbers(whole.state.optimizer["fit"])]
        const size = Math.hypot(...want)
        assert.isBelow(Math.hypot(...is.map((x, i) => x - want[i]!)), 4 * 2 ** -8 * size)
      }
    }).pipe(Effect.provide(xla))
  )

  it.live("a Transformer in bfloat16 is one in float32 to 2⁻⁸ a product that a gradient passes through", () =>
    Effect.gen(function* () {
      const pretrain = tinyTransformer().top.upstream[0]!.upstream[0]!
      const problem = Problem.close((pretrain as any).pipe(Level.fix(pretrain.given[0]!))) as unknown as Any
      const [half] = yield* ticksOf(problem.pipe(Problem.precision(Precision.bfloat16)), 1)
      const [whole] = yield* ticksOf(problem, 1)
      // Two layers of six products each way, and the head.
      const bound = 26 * 2 ** -9
      for (const [name, { gradientNorm, loss }] of Object.entries(whole!.levels)) {
        assert.isBelow(Math.abs(half!.levels[name]!.loss - loss), bound * Math.abs(loss), name)
        assert.isBelow(Math.abs(half!.levels[name]!.gradientNorm - gradientNorm), bound * gradientNorm, name)
        assert.notStrictEqual(half!.levels[name]!.loss, loss, name)
      }
    }).pipe(Effect.provide(xla))
  )

  const examples = fileURLToPath(new URL("../../examples", import.meta.url))
  const programs = readdirSync(examples).filter(
    (name) => /^[^.]*\.ts$/.test(name) && /^export default Program/m.test(readFileSync(join(examples, name), "utf8"))
  )
  for (const file of programs) {
    it.live(`example ${file} in bfloat16 has float32's losses to 2⁻⁸ a layer`, () =>
      Effect.gen(function* () {
        const { default: program } = (yield* Effect.promise(() => import(join(examples, file)))) as {
          default: Program.Program.Needing<never>
        }
        const settings = program.config.defaults
        const { problems } = yield* program.prepare(settings)
        const rounded = (yield* program.prepare(settings, { precision: Precision.bfloat16 })).problems
        for (const [name, problem] of Object.entries(problems) as ReadonlyArray<[string, Any]>) {
          const [half, whole] = [yield* ticksOf(rounded[name] as Any, 1), yield* ticksOf(problem, 1)]
          for (const [level, { loss }] of Object.entries(whole[0]!.levels))
            assert.isBelow(Math.abs(half[0]!.levels[level]!.loss - loss), 4 * 2 ** -8 * (Math.abs(loss) + 0.1), level)
        }
      }).pipe(Effect.scoped, Effect.provide([xla, NodeServices.layer]))
    )
  }

  describe("in float16", () => {
    const dynamic = (initial: number) =>
      Precision.float16({ lossScale: LossScale.dynamic({ initial, growth: 4, interval: 3 }) })
    const scaled = (initial: number, optimizer = Optimizer.momentum(1e-3, { momentum: 0.5 })) =>
      Problem.close(falling(2, optimizer).pipe(Level.precision(dynamic(initial))))

    it.live("an update whose gradients overflow is skipped and halves the scale, several in a row raise it", () =>
      Effect.gen(function* () {
        // −1 · 2¹⁸ has no form in float16, whose largest number is 65504: 2¹⁵ is the first power that has one.
        const all = yield* ticksOf(scaled(2 ** 18), 9)
        const reports = all.map(({ levels }) => levels["falling"]!.lossScale!)
        assert.deepStrictEqual(
          reports.map(({ scale }) => Math.log2(scale)),
          // Three made, then 2¹⁷, which is skipped again, and 2¹⁶.
          [18, 17, 16, 15, 15, 15, 17, 16, 15]
        )
        assert.deepStrictEqual(
          reports.map(({ skipped }) => skipped),
          [true, true, true, false, false, false, true, true, false]
        )
        const plain = yield* ticksOf(Problem.close(falling(2, Optimizer.momentum(1e-3, { momentum: 0.5 }))), 4)
        let made = 0
        for (const { levels, state } of all) {
          if (!levels["falling"]!.lossScale!.skipped) made++
          else assert.strictEqual(levels["falling"]!.gradientNorm, 0)
          // As if the skipped ones had not been: variable, optimizer and clock.
          if (made === 0) continue
          const want = plain[made - 1]!.state
          for (const part of ["vars", "optimizer", "clock"] as const)
            assert.deepStrictEqual(numbers(state[part]), numbers(want[part]), part)
        }
        assert.strictEqual(made, 4)
      }).pipe(Effect.provide(xla))
    )

    it.live("a run goes on in the middle of an interval with the bits of an undisturbed one", () =>
      Effect.gen(function* () {
        yield* Law.resume(scaled(2 ** 17), { cases: 3, ticks: 8 })
        const whole = yield* ticksOf(scaled(2 ** 15), 8)
        const middle = whole[1]!.state
        assert.deepStrictEqual(numbers(middle.lossScale), [2 ** 15, 2])
        const rest = yield* Run.ticks(scaled(2 ** 15), { ticks: 8, seed: 2, from: { tick: 2, state: middle } }).pipe(
          Stream.mapEffect((tick) => tick.snapshot),
          Stream.runCollect
        )
        assert.deepStrictEqual(rest.at(-1), whole.at(-1)!.state)
      }).pipe(Effect.provide(xla))
    )

    it.live("a constant scale stays, and small gradients that would be zero are seen with it", () =>
      Effect.gen(function* () {
        // Each gradient is 1e-9, below float16's least number of 6e-8.
        const tiny = (precision: Precision.Precision) => {
          const level = falling(2, Optimizer.sgd(1))
          const objective = ((vars: never, batch: never) =>
            tf.mul(level.objective(vars, batch) as tf.Tensor, 1e-9)) as typeof level.objective
          return Problem.close({ ...level, objective, precision } as typeof level)
        }
        const norm = (problem: Any) =>
          Effect.map(ticksOf(problem, 2), (all) => all.at(-1)!.levels["falling"]!.gradientNorm)
        const at = (scale: number) => norm(tiny(Precision.float16({ lossScale: LossScale.constant(scale) })))
        assert.strictEqual(yield* at(1), 0)
        assert.closeTo((yield* at(2 ** 20)) / (Math.SQRT2 * 1e-9), 1, 2 ** -9)
      }).pipe(Effect.provide(xla))
    )

    it.live("gradients that are not finite at a scale of 1 end the run and say so", () =>
      Effect.gen(function* () {
        const level = falling(2)
        const objective = ((vars: never, batch: never) =>
          tf.mul(level.objective(vars, batch) as tf.Tensor, 1e6)) as typeof level.objective
        const problem = Problem.close({ ...level, objective, precision: dynamic(4) } as typeof level)
        const error = yield* Effect.flip(ticksOf(problem, 9))
        assert.match((error as Error).message, /tick 3, level 'falling': .* not finite in float16.*bfloat16/)
      }).pipe(Effect.provide(xla))
    )
  })
})
