import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { TestClock } from "effect/testing"
import * as FolderLock from "../../../src/runs/folder/FolderLock.ts"
import type { RunFolder } from "../../../src/runs/folder/RunFolder.ts"
import * as Status from "../../../src/runs/folder/Status.ts"

const run = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()),
  (path): RunFolder => ({ id: "20261122-211530-k3f9", program: "bace", path })
)
const progress = (state: Status.State): Status.Progress => ({ state, tick: 7, attempt: 1, exit: null, error: null })

layer(NodeServices.layer)("Status", (it) => {
  it.effect("is lost where it says it runs and no process holds its folder, in the eyes of the reader only", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* run
      const state = Effect.map(Status.read(folder), (status) => status.state)
      yield* Status.write(folder, progress("running"))
      assert.strictEqual(yield* state, "lost")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* FolderLock.hold(folder.path)
          // However long it says nothing.
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(yield* state, "running")
        })
      )
      assert.strictEqual(yield* state, "lost")
      assert.include(yield* fs.readFileString(`${folder.path}/status.json`), '"state": "running"')
      for (const ended of ["done", "failed", "interrupted"] as const) {
        yield* Status.write(folder, { ...progress(ended), exit: 1, error: "finetune, tick 7: loss is NaN" })
        assert.strictEqual(yield* state, ended)
      }
      const { error, exit, pid, tick } = yield* Status.read(folder)
      assert.deepStrictEqual([error, exit, pid, tick], ["finetune, tick 7: loss is NaN", 1, process.pid, 7])
    })
  )
})
