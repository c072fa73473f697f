import { spawn } from "node:child_process"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import type { HostTree } from "../../../src/dsl/values/Tree.ts"
import * as Checkpoint from "../../../src/runtime/run/Checkpoint.ts"
import * as loop from "../../support/checkpointLoop.ts"

const expected = { program: "9f3c", seed: 3 }
const manifest = (tick: number, attempt = 1): Checkpoint.Manifest => ({
  version: 1,
  tick,
  attempt,
  ...expected,
  extra: { best: { tick: 2, value: 0.5 }, patience: [1, null] }
})
const state = (x: number) => ({
  omega: { layers: [{ w: NdArray.float32([2, 2], [x, NaN, -0, 1]) }, {}] },
  k: NdArray.int32([], [x])
})
const like = state(0)

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
const names = (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.map(fs.readDirectory(directory), (all) => [...all].sort()))
const saveAll = Effect.fnUntraced(function* (directory: string, ticks: ReadonlyArray<number>, attempt = 1) {
  for (const tick of ticks) yield* Checkpoint.save(directory, manifest(tick, attempt), state(tick))
})
const load = (directory: string, tree: HostTree = like, of = expected) => Checkpoint.load(directory, of, tree)
const whyNot = (directory: string, tree: HostTree = like, of = expected) =>
  Effect.map(Effect.flip(load(directory, tree, of)), (error) => error.message)

/** Runs the loop until it is killed; what it last said it had saved. */
const killed = (directory: string, delay: number): Promise<number> =>
  new Promise((done, fail) => {
    const child = spawn(process.execPath, ["test/support/checkpointLoop.ts", directory], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let said = ""
    let wrong = ""
    child.stderr.on("data", (chunk) => (wrong += chunk))
    child.stdout.on("data", (chunk) => {
      if (said === "") setTimeout(() => child.kill("SIGKILL"), delay)
      said += chunk
    })
    child.on("close", (_, signal) =>
      signal === "SIGKILL" ? done(Number(said.trim().split("\n").at(-1))) : fail(new Error(wrong))
    )
  })

layer(NodeServices.layer)("Checkpoint", (it) => {
  it.effect("gives back what was saved, bit for bit, and keeps the last two", () =>
    Effect.gen(function* () {
      const directory = `${yield* temporary}/checkpoints`
      yield* saveAll(directory, [1000, 2000, 3000])
      assert.deepStrictEqual(yield* names(directory), ["00002000-a1", "00003000-a1"])
      const loaded = yield* load(directory)
      assert.deepStrictEqual(loaded, { name: "00003000-a1", manifest: manifest(3000), state: state(3000), skipped: [] })
      assert.deepStrictEqual(yield* names(`${directory}/00003000-a1`), ["COMPLETE", "state.json", "state.safetensors"])
    })
  )

  it.effect("never prunes a pinned tick, and keeps as many others as it is told", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      for (const tick of [1, 2, 3, 4, 5]) {
        yield* Checkpoint.save(directory, manifest(tick), state(tick), { keep: 1, pinned: [2] })
      }
      assert.deepStrictEqual(yield* names(directory), ["00000002-a1", "00000005-a1"])
    })
  )

  it.effect("prefers a later attempt to a higher tick, and replaces what is saved twice", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      yield* saveAll(directory, [4000, 4500], 1)
      yield* saveAll(directory, [4100], 2)
      yield* Checkpoint.save(directory, manifest(4100, 2), state(7))
      assert.deepStrictEqual(yield* names(directory), ["00004100-a2", "00004500-a1"])
      const loaded = yield* load(directory)
      assert.strictEqual(loaded.name, "00004100-a2")
      assert.deepStrictEqual(loaded.state, state(7))
    })
  )

  it.effect("loads a tick by its number and says which there are", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      yield* saveAll(directory, [1, 2])
      assert.strictEqual((yield* Checkpoint.loadAt(directory, 1, expected, like)).name, "00000001-a1")
      const { message } = yield* Effect.flip(Checkpoint.loadAt(directory, 3, expected, like))
      assert.include(message, "there is none at tick 3")
      assert.include(message, "00000002-a1: another tick")
    })
  )

  it.effect("refuses another program, another seed and another problem by name", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      assert.include(yield* whyNot(directory), "there is none")
      yield* saveAll(directory, [1, 2])
      const program = yield* whyNot(directory, like, { ...expected, program: "aaaa" })
      assert.include(program, "00000001-a1: it belongs to program 9f3c, not to aaaa")
      assert.include(program, "00000002-a1: it belongs to program 9f3c, not to aaaa")
      assert.include(yield* whyNot(directory, like, { ...expected, seed: 4 }), "it belongs to seed 3, not to 4")
      assert.include(
        yield* whyNot(directory, { ...like, extra: like.k }),
        "the problem has a tensor 'extra', the checkpoint has none"
      )
      assert.include(
        yield* whyNot(directory, { k: like.k }),
        "the checkpoint has a tensor 'omega.layers.0.w', the problem has none"
      )
      assert.include(
        yield* whyNot(directory, { ...like, k: NdArray.int32([1], [0]) }),
        "'k' is int32 [], the problem wants int32 [1]"
      )
      assert.include(
        yield* whyNot(directory, { ...like, k: NdArray.float32([], [0]) }),
        "'k' is int32 [], the problem wants float32 []"
      )
    })
  )

  it.effect("skips a damaged one by name and says why, whatever was cut off and whichever bit was flipped", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      yield* saveAll(directory, [1, 2])
      const draws = Seed.uniform(Seed.make(5), 120)
      let draw = 0
      for (const name of ["state.safetensors", "state.json", "COMPLETE"]) {
        const file = `${directory}/00000002-a1/${name}`
        const whole = yield* fs.readFile(file)
        const damaged = Effect.fnUntraced(function* (bytes: Uint8Array) {
          yield* fs.writeFile(file, bytes)
          const loaded = yield* load(directory)
          assert.strictEqual(loaded.name, "00000001-a1")
          assert.deepStrictEqual(loaded.state, state(1))
          assert.strictEqual(loaded.skipped[0]!.name, "00000002-a1")
          assert.include(loaded.skipped[0]!.reason, name)
        })
        for (let i = 0; i < 20; i++) {
          yield* damaged(whole.subarray(0, Math.floor(draws[draw++]! * whole.length)))
          const flipped = Uint8Array.from(whole)
          const bit = Math.floor(draws[draw++]! * whole.length * 8)
          flipped[bit >> 3]! ^= 1 << (bit & 7)
          yield* damaged(flipped)
        }
        yield* fs.remove(file)
        assert.include(
          (yield* load(directory)).skipped[0]!.reason,
          name === "COMPLETE" ? "COMPLETE is missing" : `${name} is missing`
        )
        yield* fs.writeFile(file, whole)
      }
      assert.strictEqual((yield* load(directory)).name, "00000002-a1")
      yield* fs.rename(`${directory}/00000002-a1`, `${directory}/00000009-a1`)
      assert.include((yield* load(directory)).skipped[0]!.reason, "it was written as 00000002-a1")
    })
  )

  it.effect("ignores what an interrupted save has left, and clears it at the next", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      yield* saveAll(directory, [1])
      yield* fs.copy(`${directory}/00000001-a1`, `${directory}/.tmp-00000002-a1`)
      assert.deepStrictEqual((yield* load(directory)).skipped, [])
      yield* saveAll(directory, [2])
      assert.deepStrictEqual(yield* names(directory), ["00000001-a1", "00000002-a1"])
    })
  )

  it.effect("says what cannot be written and leaves nothing behind", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      const bad = { ...manifest(1), extra: { best: Infinity } }
      const { message } = yield* Effect.flip(Checkpoint.save(directory, bad, state(1)))
      assert.include(message, "00000001-a1 cannot be written")
      assert.deepStrictEqual(yield* names(directory), [])
      yield* fs.writeFileString(`${directory}/file`, "")
      const error = yield* Effect.flip(Checkpoint.save(`${directory}/file`, manifest(1), state(1)))
      assert.include(error.message, "cannot be written")
    })
  )
})

describe("Checkpoint under kill -9", () => {
  it.live("leaves a whole checkpoint no older than the last one announced, at 20 moments", () =>
    Effect.gen(function* () {
      const delays = Seed.uniform(Seed.make(7), 20)
      // Four folders at a time, five kills each: every child goes on from what the one before it has left.
      const folder = Effect.fnUntraced(function* (n: number) {
        const directory = yield* temporary
        for (let i = 0; i < 5; i++) {
          const announced = yield* Effect.promise(() => killed(directory, delays[n * 5 + i]! * 60))
          const { manifest, skipped, state } = yield* Checkpoint.load(directory, loop.expected, loop.stateAt(0))
          assert.isAtLeast(manifest.tick, announced)
          assert.deepStrictEqual(state, loop.stateAt(manifest.tick))
          assert.deepStrictEqual(skipped, [])
          // What was being pruned is there whole as well, or no longer under its name.
          for (const name of (yield* names(directory)).filter((entry) => !entry.startsWith("."))) {
            yield* Checkpoint.loadAt(directory, Number(name.slice(0, 8)), loop.expected, loop.stateAt(0))
          }
        }
      })
      yield* Effect.forEach([0, 1, 2, 3], folder, { concurrency: 4 })
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
