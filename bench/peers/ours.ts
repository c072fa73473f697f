// One round of one workload on one of our engines, as JSON: node bench/peers/ours.ts <workload> <engine> <threads>
// The engine is compiled, spinning (compiled, its threads spinning) or wasm (eager, on one thread and for fewer steps).
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as XlaEngine from "../../src/engines/xla/XlaEngine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { workloads } from "./workloads.ts"

/** Steps whose losses are told, to hold them against the other side's. */
const told = 3

const [name = "", kind = "compiled", threads = "2"] = process.argv.slice(2)
const workload = workloads[name]!()
const { levels, problem, ticks } = workload
const few = kind === "wasm"
const [settling, steps] = few ? [1, Math.ceil(workload.steps / 20)] : [workload.settling, workload.steps]
const engine =
  kind === "wasm"
    ? Eager.layer("wasm")
    : kind === "xla"
      ? XlaEngine.layer()
      : Compiled.layer({ threads: Number(threads), spinning: kind === "spinning" })

const main = Effect.gen(function* () {
  const begun = performance.now()
  let [first, settled, last] = [0, 0, 0]
  const losses: Array<ReadonlyArray<number>> = []
  yield* Run.ticks(problem, { ticks: (steps + settling) * ticks, seed: 0 }).pipe(
    Stream.runForEach((tick) =>
      Effect.sync(() => {
        if (tick.index % ticks !== 0) return
        const step = tick.index / ticks
        last = performance.now()
        if (step === 1) first = last
        if (step === settling) settled = last
        if (step <= told) losses.push(levels.map((level) => tick.levels[level]!.loss))
      })
    )
  )
  const round = {
    step: (last - settled) / steps,
    start: first - begun,
    peak: process.resourceUsage().maxRSS / 1024,
    losses
  }
  yield* Console.log(JSON.stringify(round))
}).pipe(Effect.provide(engine))

NodeRuntime.runMain(main)
