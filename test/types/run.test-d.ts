import * as tf from "@tensorflow/tfjs-core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { describe, expectTypeOf, test } from "vitest"
import type * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Config from "../../src/runs/trial/Config.ts"
import type * as Comparison from "../../src/runs/statistics/Comparison.ts"
import * as Program from "../../src/runs/Program.ts"
import type * as Session from "../../src/runs/trial/Session.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Watch from "../../src/runtime/run/Watch.ts"
import * as Cli from "../../src/cli/Cli.ts"

// As in wiring.test-d.ts: the sentence after each `@ts-expect-error` is what the compiler says of the line under it.

/** A service that no command line gives. */
class Store extends Context.Service<Store, { readonly rows: number }>()("my/Store") {}

declare const train: Dataset.Dataset<{ readonly x: tf.Tensor2D }, "TrainError">
declare const stored: Dataset.Dataset<{ readonly x: tf.Tensor2D }, never, Store>
const optimizer = Optimizer.sgd(0.1)
const vector = () => NdArray.float32([2], [0, 0])
const theta = Var.make("theta", () => ({ encoder: NdArray.float32([2, 2], [1, 0, 0, 1]), head: vector() }))
const beta = Var.make("beta", vector)
const statistics = Var.make("statistics", () => ({ mean: vector() }))
const lower = Level.minimize(theta, {
  given: [beta],
  buffers: statistics,
  data: train,
  optimizer,
  objective: ({ beta, statistics, theta }, { x }) => ({
    loss: tf.sum(tf.mul(tf.matMul(x, theta.encoder), tf.add(theta.head, beta))) as tf.Scalar,
    buffers: statistics
  })
})
const upper = Level.minimize(beta, { upstream: [lower], data: train, optimizer, objective: ({ beta }) => tf.sum(beta) })
const problem = Problem.close(upper)
const ticks = Run.ticks(problem, { ticks: 9, seed: 0 })
type Tick = typeof ticks extends Stream.Stream<infer A, infer _E, infer _R> ? A : never
declare const tick: Tick
declare const session: Session.Session
const config = Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 9 } })
/** A program's words. */
const words = { name: "mine", description: "", config }
declare const result: Program.Result

describe("what the compiler refuses of runs", () => {
  test("reading a variable that the problem does not have", () => {
    // @ts-expect-error Type '"omega"' is not assignable to type '"beta" | "statistics" | "theta"'
    void tick.read(["theta", "omega"])
  })

  test("evaluating such a variable", () => {
    // @ts-expect-error Property 'omega' does not exist on type
    void tick.evaluate(({ omega }) => ({ norm: tf.norm(omega) }), {})
  })

  test("evaluating on another batch than the function reads", () => {
    // @ts-expect-error 'y' does not exist in type '{ readonly x: NdArray<Tensor1D>; }'
    void tick.evaluate(({ beta }, { x }: { readonly x: tf.Tensor1D }) => ({ dot: tf.dot(beta, x) }), { y: vector() })
  })

  test("a score that reads what the problem does not have", () => {
    const score = (_: Run.Tick<{ readonly omega: tf.Tensor1D }>) => Effect.succeed({ loss: 1 })
    // @ts-expect-error Property 'omega' is missing in type
    void session.trial("a", { problem, ticks: 9, seed: 0, validation: { every: 3, rows: 1, score } })
  })

  test("a score that reads a variable in another shape", () => {
    const score = (_: Run.Tick<{ readonly beta: tf.Tensor2D }>) => Effect.succeed({ loss: 1 })
    // @ts-expect-error Type 'Rank.R1' is not assignable to type 'Rank.R2'
    void session.trial("a", { problem, ticks: 9, seed: 0, validation: { every: 3, rows: 1, score } })
  })

  test("an outcome's variable that the problem does not have", () => {
    // @ts-expect-error Property 'omega' does not exist on type
    void Effect.map(session.trial("a", { problem, ticks: 9, seed: 0 }), ({ vars }) => vars.omega)
  })

  test("a state that is none", () => {
    // @ts-expect-error 'theta' does not exist in type '{ readonly vars:
    void Run.ticks(problem, { ticks: 9, seed: 0, from: { tick: 3, state: { theta: vector() } } })
  })
})

describe("what the compiler refuses of programs", () => {
  const data = { prepare: () => Effect.void, problems: () => ({ mine: problem }) }

  test("settings without ticks and a seed", () => {
    const bare = Config.make({ schema: Schema.Struct({ rate: Schema.Finite }), defaults: { rate: 1 } })
    // @ts-expect-error missing the following properties from type
    Program.fromProblem({ ...words, config: bare, problem: () => problem })
  })

  test("a problem that the program does not state", () => {
    // @ts-expect-error Property 'yours' does not exist on type '{ mine:
    Program.make({ ...words, ...data, run: (_, { problems }) => Effect.as(Effect.succeed(problems.yours), result) })
  })

  test("a service for running that no command line gives", () => {
    const mine = Program.make({ ...words, ...data, run: () => Effect.as(Store, result) })
    // @ts-expect-error this program needs a service 'my/Store' that no command line gives: provide it in prepare and run
    Cli.make({ programs: { mine } })
  })

  test("a service for preparing that no command line gives", () => {
    const mine = Program.make({ ...words, ...data, prepare: () => Store, run: () => Effect.succeed(result) })
    // @ts-expect-error this program needs a service 'my/Store' that no command line gives: provide it in prepare and run
    Cli.make({ programs: { mine } })
  })

  test("a service for data that no command line gives", () => {
    const level = Level.minimize(beta, { data: stored, optimizer, objective: ({ beta }) => tf.sum(beta) })
    const mine = Program.fromProblem({ ...words, problem: () => Problem.close(level) })
    // @ts-expect-error this program needs a service 'my/Store' that no command line gives: provide it in prepare and run
    Cli.make({ programs: { mine } })
  })

  test("a comparison's row of another method", () => {
    const rows = [] as ReadonlyArray<Comparison.Row<"ours" | "theirs", { readonly score: number }>>
    // @ts-expect-error have no overlap
    rows.filter(({ method }) => method === "our")
  })
})

type HostTheta = { readonly encoder: NdArray.NdArray<tf.Tensor2D>; readonly head: NdArray.NdArray<tf.Tensor1D> }

describe("what types tell of runs", () => {
  test("a tick reads the problem's variables, buffers among them, as they are on the host", () => {
    const one = tick.read(["theta"])
    expectTypeOf<Effect.Success<typeof one>>().toEqualTypeOf<{ readonly theta: HostTheta }>()
    const two = tick.read(["statistics", "beta"])
    type Mean = { readonly mean: NdArray.NdArray<tf.Tensor1D> }
    expectTypeOf<Effect.Success<typeof two>["statistics"]>().toEqualTypeOf<Mean>()
    expectTypeOf<keyof Effect.Success<typeof two>>().toEqualTypeOf<"statistics" | "beta">()
  })

  test("a run fails and needs as its data do, and the engine", () => {
    type E = typeof ticks extends Stream.Stream<infer _A, infer E, infer _R> ? E : never
    expectTypeOf<"TrainError">().toExtend<E>()
    expectTypeOf<Run.RunError>().toExtend<E>()
  })

  test("operators keep what a tick can read", () => {
    const scored = ticks.pipe(
      Watch.scoring({ every: 2, last: 9, score: (tick) => Effect.map(tick.read(["beta"]), () => ({ loss: 1 })) }),
      Watch.selecting({ metric: "loss", mode: "min" }),
      Stream.mapEffect((tick) => tick.read(["theta"]))
    )
    expectTypeOf(scored).toExtend<Stream.Stream<{ readonly theta: HostTheta }, unknown, unknown>>()
  })

  test("an outcome has the problem's variables on the host", () => {
    const outcome = session.trial("a", { problem, ticks: 9, seed: 0 })
    expectTypeOf<Effect.Success<typeof outcome>["vars"]["theta"]>().toEqualTypeOf<HostTheta>()
  })

  test("a program whose services are all there is accepted, one that provides its own too", () => {
    const needy = Program.make({
      ...words,
      prepare: () => Store,
      problems: () => ({ mine: problem }),
      run: () => Effect.succeed(result)
    })
    expectTypeOf(needy).toExtend<Program.Program<typeof Program.Common, unknown, Store>>()
    const whole = Program.make({
      ...words,
      prepare: () => Effect.provideService(Store, Store, { rows: 3 }),
      problems: () => ({ mine: problem }),
      run: (session, { problems }) =>
        Effect.as(session.trial("", { problem: problems.mine, ticks: 9, seed: 0 }), result)
    })
    Cli.make({ programs: { whole } })
  })
})
