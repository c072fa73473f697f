// The program run from code: planned, watched, checkpointed, resumed to the bits of a run that nothing disturbed.
import assert from "node:assert/strict"
import { rmSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Checkpoint, NodeServices, OnnxEngine, Plan, PlanText, Run, Watch } from "tapweight"
import program, { problem } from "./program.ts"

const directory = "checkpoints"
const of = { program: program.name, seed: 1 }

const main = Effect.gen(function* () {
  const plan = yield* Effect.fromResult(Plan.make(problem))
  assert.match(PlanText.text(plan), /tune/)

  const scores: Array<number> = []
  const whole = yield* Run.ticks(problem, { ticks: 40, seed: of.seed }).pipe(
    Watch.scoring({
      every: 10,
      last: 40,
      score: (tick) => Effect.succeed({ loss: tick.levels["tune"]!.loss })
    }),
    Watch.selecting({ metric: "loss", mode: "min" }),
    Stream.tap((tick) => Effect.sync(() => void (tick.scores && scores.push(tick.scores["loss"]!)))),
    Stream.mapEffect((tick) => (tick.index === 40 ? tick.snapshot : Effect.succeed(undefined))),
    Stream.runLast,
    Effect.flatMap(Effect.fromOption)
  )
  assert.equal(scores.length, 4)

  yield* Run.ticks(problem, { ticks: 25, seed: of.seed }).pipe(
    Stream.tap((tick) =>
      tick.index % 10 > 0
        ? Effect.void
        : Effect.flatMap(tick.snapshot, (state) =>
            Checkpoint.save(directory, { version: 1, tick: tick.index, attempt: 1, ...of, extra: {} }, state)
          )
    ),
    Stream.runDrain
  )
  const { manifest, state } = yield* Checkpoint.load(directory, of, whole!)
  assert.equal(manifest.tick, 20)
  const resumed = yield* Run.ticks(problem, { ticks: 40, seed: of.seed, from: { tick: manifest.tick, state } }).pipe(
    Stream.mapEffect((tick) => (tick.index === 40 ? tick.snapshot : Effect.succeed(undefined))),
    Stream.runLast,
    Effect.flatMap(Effect.fromOption)
  )
  assert.deepEqual(resumed, whole)
})

rmSync(directory, { recursive: true, force: true })
await Effect.runPromise(Effect.provide(main, [OnnxEngine.layer(), NodeServices.layer]))
process.stdout.write("resumed to the bits of the whole run\n")
