import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import koffi from "koffi"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as XlaEngine from "../../../src/engines/xla/XlaEngine.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { triLevel } from "../../support/programs.ts"

const folder = mkdtempSync(join(tmpdir(), "tapweight-stub-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const plugin = join(folder, "stub.so")
// The stub writes no executables, which is no failure of a run.
const cache = join(folder, "cache")
const source = fileURLToPath(new URL("./stub.c", import.meta.url))
const compiler = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", plugin, source])
const built = compiler.status === 0
if (!built) process.stdout.write("skipped: no C compiler is here to build the stub of a PJRT plugin\n")

// Whose numbers are all zero, as a stub gives them, and no error.
const estimator = Hypergradient.implicit({
  solver: Solver.identity,
  product: Product.finiteDifference({ radius: 0.1 })
})

describe.runIf(built)("a plugin whose n-th call fails", () => {
  it.live.each([1, 2])("gives a typed error and leaves nothing on %i devices, whichever call that is", (devices) =>
    Effect.gen(function* () {
      const library = koffi.load(plugin)
      library.func("stub_devices", "void", ["int"])(devices)
      const failAt = library.func("stub_fail_at", "void", ["int"])
      const calls = library.func("stub_calls", "int", [])
      const alive = library.func("stub_alive", "int", ["int"])
      const leftOver = () => [0, 1, 2, 3].map((what) => alive(what))
      const run = Effect.exit(
        Run.ticks(triLevel({ estimator }), { ticks: devices === 1 ? 3 : 1, seed: 1 }).pipe(
          Stream.tap((tick) => tick.snapshot),
          Stream.runDrain,
          Effect.provide(XlaEngine.layer({ plugin, devices, shardOptimizer: true, cache }))
        )
      )
      failAt(0)
      assert.isTrue(Exit.isSuccess(yield* run))
      const all = calls()
      assert.isAbove(all, 40)
      assert.deepStrictEqual(leftOver(), [0, 0, 0, 0])
      let failures = 0
      for (let n = 1; n <= all; n++) {
        failAt(n)
        const exit = yield* run
        assert.deepStrictEqual(leftOver(), [0, 0, 0, 0], `call ${n}`)
        if (Exit.isSuccess(exit)) continue
        failures++
        assert.lengthOf(
          exit.cause.reasons.filter((reason) => !Cause.isFailReason(reason)),
          0,
          `call ${n}: ${Cause.pretty(exit.cause)}`
        )
        const error = Cause.squash(exit.cause) as { readonly _tag: string; readonly message: string }
        assert.strictEqual(error._tag, "EngineError", `call ${n}`)
        assert.match(error.message, /[A-Z][A-Za-z]+_[A-Za-z]+: the stub fails here/)
      }
      assert.isFalse(existsSync(cache))
      // Only of what ends a run nobody is left to be told: destructions at its end.
      assert.isAbove(failures, all / 2)
    })
  )
  it.live("that has fewer devices than are asked for says how many it has", () =>
    Effect.gen(function* () {
      const library = koffi.load(plugin)
      library.func("stub_fail_at", "void", ["int"])(0)
      library.func("stub_devices", "void", ["int"])(2)
      const error = yield* Effect.flip(Effect.provide(Effect.void, XlaEngine.layer({ plugin, devices: 4 })))
      assert.deepInclude(error, { _tag: "EngineError", kind: "Refused" })
      assert.match(error.message, /4 devices are asked for, and there are 2 here: ask for at most 2$/)
      assert.strictEqual(library.func("stub_alive", "int", ["int"])(3), 0)
    })
  )
})

describe.runIf(built)("a plugin that is held long", () => {
  it.live("has after ten thousand ticks what it had after one hundred", () =>
    Effect.gen(function* () {
      const library = koffi.load(plugin)
      library.func("stub_fail_at", "void", ["int"])(0)
      library.func("stub_devices", "void", ["int"])(1)
      const alive = library.func("stub_alive", "int", ["int"])
      let [before, after] = [
        [0, 0, 0],
        [0, 0, 0]
      ]
      yield* Run.ticks(triLevel({ estimator }), { ticks: 10_000, seed: 1 }).pipe(
        Stream.runForEach(({ index }) =>
          Effect.sync(() => {
            const now = [0, 1, 2].map((what) => alive(what))
            if (index <= 100) before = before.map((most, i) => Math.max(most, now[i]!))
            else after = after.map((most, i) => Math.max(most, now[i]!))
          })
        ),
        Effect.provide(XlaEngine.layer({ plugin, cache }))
      )
      assert.isAbove(before[0]!, 10)
      assert.deepStrictEqual(after, before)
      assert.deepStrictEqual(
        [0, 1, 2, 3].map((what) => alive(what)),
        [0, 0, 0, 0]
      )
    })
  )
})
