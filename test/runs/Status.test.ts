import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { TestClock } from "effect/testing"
import type { RunFolder } from "../../src/runs/RunFolder.ts"
import * as Status from "../../src/runs/Status.ts"

const run = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()),
  (path): RunFolder => ({ id: "20261122-211530-k3f9", program: "bace", path })
)
const progress = (state: Status.State): Status.Progress => ({ state, tick: 7, attempt: 1, exit: null, error: null })

layer(NodeServices.layer)("Status", (it) => {
  it.effect("is lost after a minute of silence, in the eyes of the reader only", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* run
      const state = Effect.map(Status.read(folder), (status) => status.state)
      for (const alive of ["running", "checkpointing"] as const) {
        yield* Status.write(folder, progress(alive))
        yield* TestClock.adjust("60 seconds")
        assert.strictEqual(yield* state, alive)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* state, "lost")
      }
      assert.include(yield* fs.readFileString(`${folder.path}/status.json`), '"state": "checkpointing"')
      for (const ended of ["queued", "done", "failed", "cancelled", "interrupted"] as const) {
        yield* Status.write(folder, { ...progress(ended), exit: 1, error: "finetune, tick 7: loss is NaN" })
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* state, ended)
      }
      const { error, exit, pid, tick } = yield* Status.read(folder)
      assert.deepStrictEqual([error, exit, pid, tick], ["finetune, tick 7: loss is NaN", 1, process.pid, 7])
    })
  )

  it.effect("does not call a run lost whose clock goes ahead of the reader's", () =>
    Effect.gen(function* () {
      const folder = yield* run
      yield* TestClock.setTime(7_200_000)
      yield* Status.write(folder, progress("running"))
      yield* TestClock.setTime(3_600_000)
      assert.strictEqual((yield* Status.read(folder)).state, "running")
    })
  )
})
