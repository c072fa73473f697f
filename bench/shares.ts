// What the third level costs, and what is lost where it costs less: a tick of TapWeight over a tick of its levels I and II alone,
// on the same batches, under each way of differentiating the responses; and the cosine of its hypergradient with that of central
// differences and of exact products on whole batches, at the same points of a run. With level III at every k-th tick, k ticks hold
// one of its turns. Operations are those of matrix products, where there are no convolutions. Times are least processor times of
// ticks that take turns, in one process.
//   npm run bench:shares [-- transformer resnet --rounds=2 --ticks=3 --threads=2 --points=0,3 --small]
// Without rounds, or without points, there are no times, or no cosines; --small is a smaller Transformer, to compare gradients.
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Hypergradient from "../src/dsl/Hypergradient.ts"
import type { NdArray } from "../src/dsl/values/NdArray.ts"
import type { Problem } from "../src/dsl/Problem.ts"
import * as Product from "../src/levels/Product.ts"
import * as Solver from "../src/levels/Solver.ts"
import * as Compiled from "../src/engines/onnx/OnnxEngine.ts"
import * as Run from "../src/runtime/run/Run.ts"
import { ofProducts } from "./operations.ts"
import { threeLevels } from "./peers/threeLevels.ts"
import { darts, exact } from "./peers/Workload.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "2" },
    ticks: { type: "string", default: "3" },
    points: { type: "string", default: "0,3" },
    small: { type: "boolean", default: false },
    threads: { type: "string", default: "2" }
  }
})

const oneSide = Product.finiteDifference({ radius: 0.01, sides: "one" })
const quarter = { fraction: 0.25 }
const identity = { solver: Solver.identity }
const central = Product.finiteDifference({ radius: 0.01 })

const estimators = [
  darts,
  Hypergradient.implicit({ ...identity, product: central, rows: quarter }),
  Hypergradient.implicit({ ...identity, product: oneSide, at: "update" }),
  Hypergradient.unrolled({ steps: 1, product: oneSide }),
  exact,
  Hypergradient.implicit({ ...identity, product: Product.exact, rows: quarter }),
  Hypergradient.implicit({ ...identity, product: Product.exact, at: "update" }),
  Hypergradient.unrolled({ steps: 1, product: Product.exact })
]

/** Ticks from one turn of level III to the next. */
const paces = [1, 2, 3]
/** Ticks measured in a round, after the first. */
const steps = Number(values.ticks)
/** Updates of levels I and II before the hypergradients that are compared. */
const points = values.points === "" ? [] : values.points.split(",").map(Number)

const engine = Compiled.layer({ threads: Number(values.threads) })

/** Milliseconds of processor time of a tick, the least of some. */
const timed = (problem: Problem<any>) =>
  Effect.gen(function* () {
    const ends: Array<number> = []
    yield* Run.ticks(problem, { ticks: 1 + steps, seed: 0 }).pipe(
      Stream.runForEach(() =>
        Effect.sync(() => {
          const { system, user } = process.cpuUsage()
          ends.push((system + user) / 1000)
        })
      )
    )
    return Math.min(...ends.slice(1).map((end, i) => end - ends[i]!))
  }).pipe(Effect.provide(engine))

/** The hypergradients at the points: what the first update of the weights, a step of size 1 from zero, subtracts. */
const hypergradients = (name: keyof typeof threeLevels, estimator: Hypergradient.Hypergradient) =>
  Effect.forEach(points, (warmup) =>
    Run.ticks(threeLevels[name](estimator, { warmup, every: 1 }, values.small).problem, {
      ticks: warmup + 1,
      seed: 0
    }).pipe(
      Stream.filter(({ index }) => index === warmup + 1),
      Stream.mapEffect((tick) => tick.read(["beta"])),
      Stream.runCollect,
      Effect.map(([vars]) => Array.from((vars as { readonly beta: NdArray }).beta.data))
    )
  ).pipe(Effect.provide(engine))

type Vector = ReadonlyArray<number>
const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0)
const cosine = (a: Vector, b: Vector): number => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
const shown = (found: ReadonlyArray<Vector>, whole: ReadonlyArray<Vector>): string =>
  found.map((vector, i) => cosine(vector, whole[i]!).toFixed(3)).join(" ")

const measure = (name: keyof typeof threeLevels) =>
  Effect.gen(function* () {
    const made = estimators.map((estimator) => threeLevels[name](estimator, undefined, values.small))
    const problems = [made[0]!.held!, ...made.map(({ problem }) => problem)]
    const times: ReadonlyArray<Array<number>> = problems.map(() => [])
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [i, problem] of problems.entries()) times[i]!.push(yield* timed(problem))
    }
    const [base, ...ticks] = times.map((each) => Math.min(...each)) as [number, ...ReadonlyArray<number>]
    const timing = Number(values.rounds) > 0
    const found = yield* Effect.forEach(estimators, (estimator) => hypergradients(name, estimator))
    const whole = [darts, exact].map((estimator) => found[estimators.indexOf(estimator)]!)
    const counted = problems.map(ofProducts)
    const titles = [
      ...(counted[0] === undefined ? [] : ["operations, k = 1"]),
      ...(timing ? paces.map((k) => `k = ${k}`) : []),
      ...(points.length === 0 ? [] : ["cosine with central", "with exact"])
    ]
    const rows = estimators.map((estimator, i) => {
      const share = counted[0] === undefined ? [] : [`${(counted[i + 1]! / counted[0]).toFixed(2)} ×`]
      const shares = (timing ? paces : []).map((k) => `${((k - 1 + ticks[i]! / base) / k).toFixed(2)} ×`)
      const cosines = points.length === 0 ? [] : whole.map((vectors) => shown(found[i]!, vectors))
      return `| ${[Hypergradient.describe(estimator), ...share, ...shares, ...cosines].join(" | ")} |`
    })
    yield* Console.log(
      [
        "",
        timing
          ? `${made[0]!.title}: levels I and II take ${base.toFixed(0)} ms of processor time a tick`
          : made[0]!.title,
        "",
        `| ${["responses differentiated by", ...titles].join(" | ")} |`,
        `| --- |${titles.map(() => " ---: |").join("")}`,
        ...rows
      ].join("\n")
    )
  })

const main = Effect.gen(function* () {
  for (const name of positionals.length > 0 ? positionals : Object.keys(threeLevels)) {
    if (!Object.hasOwn(threeLevels, name)) {
      return yield* Effect.fail(`no workload '${name}': there are ${Object.keys(threeLevels).join(", ")}`)
    }
    yield* measure(name as keyof typeof threeLevels)
  }
})

NodeRuntime.runMain(main)
