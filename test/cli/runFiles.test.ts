import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as PlatformError from "effect/PlatformError"
import * as Command from "effect/cli/Command"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { commands } from "../../src/cli/Commands.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Sentence from "../../src/dsl/errors/Sentence.ts"
import * as RunFolder from "../../src/runs/folder/RunFolder.ts"
import { filling } from "../support/failingDisk.ts"
import unruly from "../support/unruly.ts"
import { long } from "../support/long.ts"

const command = Command.make("tapweight").pipe(Command.withSubcommands(commands({ unruly })))
const silent: Console.Console = { ...console, log: () => {}, error: () => {} }
const tapweight = (...args: ReadonlyArray<string>) =>
  (Command.runWith(command, { version: "0" })(args) as Effect.Effect<void, unknown, NodeServices.NodeServices>).pipe(
    Effect.provideService(Console.Console, silent)
  )
// What the checkout looks like is no matter here, and takes its time.
const withoutGit = Effect.provideService(ChildProcessSpawner, {
  ...({} as ChildProcessSpawner["Service"]),
  spawn: () => Effect.fail(PlatformError.badArgument({ module: "test", method: "spawn" }))
})

const onFull = (root: string, room: number) =>
  Effect.gen(function* () {
    const { calls, fileSystem } = filling(yield* FileSystem.FileSystem, room)
    const run = tapweight("run", "unruly", "-s", "ticks=7", "--engine", "cpu", "--runs", root)
    const exit = yield* Effect.exit(run.pipe(Effect.provideService(FileSystem.FileSystem, fileSystem)))
    const [folder, ...others] = yield* RunFolder.list(root)
    assert.isEmpty(others)
    return { exit, calls: calls(), folder }
  })

const bytes = (folder: string) =>
  ["final.safetensors", "result.json"].map((name) => readFileSync(join(folder, name)).toString("base64"))

describe("a disk that is full from any moment of a run on", () => {
  it.live.skipIf(!long)("leaves a run that goes on to the same bytes, or none, and says what is the matter", () =>
    Effect.gen(function* () {
      const root = mkdtempSync(join(tmpdir(), "tapweight-full-"))
      try {
        const whole = yield* onFull(join(root, "whole"), Infinity)
        assert.strictEqual(whole.exit._tag, "Success")
        assert.isAbove(whole.calls, 40)
        let [none, some] = [0, 0]
        for (let room = 0; room < whole.calls; room++) {
          const at = join(root, String(room))
          const { exit, folder } = yield* onFull(at, room)
          if (exit._tag === "Failure") {
            const sentence = yield* Effect.flip(Effect.andThen(exit, Effect.void))
            assert.match(Sentence.of(sentence), /the disk is full/, `with room for ${room} calls`)
          }
          if (folder === undefined) {
            none++
            const left = readdirSync(root).includes(String(room)) ? readdirSync(at, { recursive: true }) : []
            assert.includeMembers(["unruly"], left as Array<string>, `with room for ${room} calls`)
          } else {
            some++
            yield* tapweight("resume", folder.path)
            assert.deepStrictEqual(bytes(folder.path), bytes(whole.folder!.path), `with room for ${room} calls`)
            const left = readdirSync(folder.path, { recursive: true, encoding: "utf8" })
            assert.isEmpty(left.filter((name) => name.includes(".tmp-")))
          }
        }
        assert.isAbove(none, 10)
        assert.isAbove(some, 10)
      } finally {
        rmSync(root, { recursive: true, force: true })
      }
    }).pipe(withoutGit, Effect.provide(NodeServices.layer))
  )
})

describe("a run's files", () => {
  it.live("are refused by name where a bit is not as it was written", () =>
    Effect.gen(function* () {
      const root = mkdtempSync(join(tmpdir(), "tapweight-bits-"))
      try {
        yield* tapweight("run", "unruly", "-s", "ticks=7", "--engine", "cpu", "--runs", root)
        const folder = (yield* RunFolder.list(root))[0]!.path
        const kept = join(root, "kept")
        cpSync(folder, kept, { recursive: true })
        const flips: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
          ["result.json", []],
          ["done.json", ["result.json"]],
          ["final.safetensors", ["result.json"]],
          ["manifest.json", ["result.json", "done.json"]],
          ["config.json", ["result.json", "done.json"]]
        ]
        const draws = Seed.uniform(Seed.make(11), 2 * 8 * flips.length)
        for (const [i, [name, removed]] of flips.entries()) {
          for (let j = 0; j < 8; j++) {
            rmSync(folder, { recursive: true })
            cpSync(kept, folder, { recursive: true })
            for (const other of removed) rmSync(join(folder, other))
            const bytes = readFileSync(join(folder, name))
            const bit = Math.floor(draws[8 * i + j]! * 8 * bytes.length)
            bytes[bit >> 3]! ^= 1 << (bit & 7)
            writeFileSync(join(folder, name), bytes)
            const exit = yield* Effect.exit(tapweight("resume", folder))
            // A space between two fields is none of what was written.
            if (Exit.isSuccess(exit)) assert.match(String.fromCharCode(readFileSync(join(kept, name))[bit >> 3]!), /\s/)
            else assert.include(Sentence.of(Cause.squash(exit.cause)), name)
          }
        }
      } finally {
        rmSync(root, { recursive: true, force: true })
      }
    }).pipe(withoutGit, Effect.provide(NodeServices.layer))
  )
})
