// What the third level costs: a tick of TapWeight over a tick of its levels I and II alone, on the same batches, under each way
// of differentiating the responses. Medians of rounds that take turns, in one process.
//   npm run bench:shares [-- transformer resnet --rounds=3 --threads=2]
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Hypergradient from "../src/dsl/Hypergradient.ts"
import type { Problem } from "../src/dsl/Problem.ts"
import * as Product from "../src/levels/Product.ts"
import * as Compiled from "../src/engines/onnx/OnnxEngine.ts"
import * as Run from "../src/runtime/run/Run.ts"
import { threeLevels } from "./peers/threeLevels.ts"
import { darts, exact } from "./peers/Workload.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "3" }, threads: { type: "string", default: "2" } }
})

const estimators = [darts, exact, Hypergradient.unrolled({ steps: 1, product: Product.exact })]

const [settling, steps] = [2, 5]

/** Milliseconds a tick. */
const timed = (problem: Problem<any>) =>
  Effect.gen(function* () {
    let [settled, last] = [0, 0]
    yield* Run.ticks(problem, { ticks: settling + steps, seed: 0 }).pipe(
      Stream.runForEach((tick) =>
        Effect.sync(() => {
          last = performance.now()
          if (tick.index === settling) settled = last
        })
      )
    )
    return (last - settled) / steps
  }).pipe(Effect.provide(Compiled.layer({ threads: Number(values.threads) })))

const median = (times: ReadonlyArray<number>): number => times.toSorted((a, b) => a - b)[times.length >> 1]!

const measure = (name: keyof typeof threeLevels) =>
  Effect.gen(function* () {
    const made = estimators.map((estimator) => threeLevels[name](estimator))
    const problems = [made[0]!.held!, ...made.map(({ problem }) => problem)]
    const times: ReadonlyArray<Array<number>> = problems.map(() => [])
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [i, problem] of problems.entries()) times[i]!.push(yield* timed(problem))
    }
    const base = median(times[0]!)
    yield* Console.log(`${made[0]!.title}\n  levels I and II  ${base.toFixed(1)} ms a tick`)
    for (const [i, estimator] of estimators.entries()) {
      const tick = median(times[i + 1]!)
      yield* Console.log(
        `  ${Hypergradient.describe(estimator).padEnd(34)} ${tick.toFixed(1)} ms a tick, ${(tick / base).toFixed(2)} × levels I and II`
      )
    }
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
