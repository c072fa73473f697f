// Milliseconds a tick of the compiled engine beside eager ones, all in one process: medians of interleaved rounds.
//   npm run bench
//   npm run bench -- tensorflow webgpu compiled-webgpu   # and these engines too
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { type EngineName, engineLayer } from "../src/cli/Options.ts"
import type { Problem } from "../src/dsl/Problem.ts"
import * as Levels from "../experiments/brown/Levels.ts"
import { defaults } from "../experiments/brown/Settings.ts"
import * as Task from "../experiments/brown/Task.ts"
import * as Compiled from "../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../src/engines/eager/Eager.ts"
import type { EngineError, Engine } from "../src/engines/Engine.ts"
import * as Run from "../src/runtime/run/Run.ts"
import { triLevel } from "../test/support/programs.ts"

const others = process.argv.slice(2) as ReadonlyArray<EngineName>
const engines: { readonly [name: string]: Layer.Layer<Engine, EngineError> } = {
  ...Object.fromEntries(others.map((name) => [name, engineLayer(name)])),
  compiled: Compiled.layer(),
  "eager wasm": Eager.layer("wasm"),
  "eager cpu": Eager.layer("cpu")
}

const settling = 5

interface Timed {
  /** Until the first tick is done: planning, data, tracing, compiling. */
  readonly start: number
  readonly tick: number
}

const timed = (problem: Problem<any>, engine: Layer.Layer<Engine, EngineError>, ticks: number) =>
  Effect.gen(function* () {
    const begun = performance.now()
    let first = 0
    let settled = 0
    yield* Run.ticks(problem, { ticks: ticks + settling, seed: 0 }).pipe(
      Stream.runForEach((tick) =>
        Effect.sync(() => {
          if (tick.index === 1) first = performance.now()
          if (tick.index === settling) settled = performance.now()
        })
      )
    )
    return { start: first - begun, tick: (performance.now() - settled) / ticks } satisfies Timed as Timed
  }).pipe(Effect.provide(engine))

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const compare = (
  name: string,
  problem: Problem<any>,
  ticks: number,
  which: ReadonlyArray<string>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const found = new Map<string, Array<Timed>>(which.map((engine) => [engine, []]))
    for (let round = 0; round < 3; round++) {
      for (const engine of which) found.get(engine)!.push(yield* timed(problem, engines[engine]!, ticks))
    }
    const reference = median(found.get(which[0]!)!.map((t) => t.tick))
    yield* Console.log(name)
    for (const [engine, times] of found) {
      const tick = median(times.map((t) => t.tick))
      const ratio = engine === which[0] ? "" : `  ${(tick / reference).toFixed(1)} × ${which[0]}`
      const start = median(times.map((t) => t.start))
      yield* Console.log(
        `  ${engine.padEnd(15)} ${tick.toFixed(2).padStart(8)} ms a tick  start ${start.toFixed(0)} ms${ratio}`
      )
    }
  })

const main = Effect.gen(function* () {
  const settings = { ...defaults, warmup: 0 }
  const { model, batch, length, vocabulary } = settings
  const task = yield* Task.make(settings, 0)
  yield* compare("three-level net, 3-4-1, batch 8", triLevel() as never, 200, [
    "compiled",
    "eager wasm",
    "eager cpu",
    ...others
  ])
  const sizes = `vocabulary ${vocabulary}, length ${length}, width ${model.width}, batches ${Object.values(batch).join("/")}`
  yield* compare(`TapWeight on Brown, ${sizes}`, Levels.make(settings, task).tapweight as never, 15, [
    "compiled",
    "eager wasm",
    ...others
  ])
})

NodeRuntime.runMain(main.pipe(Effect.provide(NodeServices.layer)))
