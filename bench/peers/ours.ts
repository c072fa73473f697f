// One round of one workload on one of our engines, as JSON: node bench/peers/ours.ts <workload> <engine> <threads>
//   [<precision> <settling> <steps>]
// The engine is one of the command line's, or `spinning` (onnx, its threads spinning); eager ones run on one thread and for
// fewer steps.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Options from "../../src/cli/Options.ts"
import * as Precision from "../../src/dsl/Precision.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import type { Clocks } from "./Side.ts"
import { workloads } from "./workloads.ts"

/** Steps whose losses are told, to hold them against the other side's. */
const told = 3

const [name = "", kind = "compiled", threads = "2", rounding = "float32", first, count] = process.argv.slice(2)
const workload = workloads[name]!()
const { levels, ticks } = workload
const precision = Precision.named(rounding as Precision.Name)
const problem = rounding === "float32" ? workload.problem : Problem.precision(precision)(workload.problem)
const few = kind === "wasm"
const [settling, steps] =
  count !== undefined
    ? [Number(first), Number(count)]
    : few
      ? [1, Math.ceil(workload.steps / 20)]
      : [workload.settling, workload.steps]
const named = kind as Options.EngineName
const engine =
  kind === "spinning"
    ? Compiled.layer({ threads: Number(threads), spinning: true })
    : Options.engineLayer(named, Options.isCompiled(named) ? { threads: Option.some(Number(threads)) } : {})

const now = (): Clocks => {
  const { system, user } = process.cpuUsage()
  return { wall: performance.now(), cpu: (user + system) / 1000 }
}
const between = (from: Clocks, to: Clocks, count = 1): Clocks => ({
  wall: (to.wall - from.wall) / count,
  cpu: (to.cpu - from.cpu) / count
})

const main = Effect.gen(function* () {
  const begun = now()
  let [first, settled, last] = [begun, begun, begun]
  const losses: Array<ReadonlyArray<number>> = []
  yield* Run.ticks(problem, { ticks: (steps + settling) * ticks, seed: 0 }).pipe(
    Stream.runForEach((tick) =>
      Effect.sync(() => {
        if (tick.index % ticks !== 0) return
        const step = tick.index / ticks
        if (step === 1) first = now()
        if (step === settling) settled = now()
        if (step === settling + steps) last = now()
        if (step <= told) losses.push(levels.map((level) => tick.levels[level]!.loss))
      })
    )
  )
  const round = {
    step: between(settled, last, steps),
    start: between(begun, first),
    peak: process.resourceUsage().maxRSS / 1024,
    losses
  }
  yield* Console.log(JSON.stringify(round))
}).pipe(Effect.provide(engine))

NodeRuntime.runMain(main)
