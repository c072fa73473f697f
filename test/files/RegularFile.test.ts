import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as FileHash from "../../src/files/FileHash.ts"
import * as JsonFile from "../../src/files/JsonFile.ts"
import * as RegularFile from "../../src/files/RegularFile.ts"
import * as Safetensors from "../../src/files/tensors/Safetensors.ts"
import * as SafetensorsFile from "../../src/files/tensors/SafetensorsFile.ts"
import * as Checkpoint from "../../src/runtime/run/Checkpoint.ts"

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))
let root = ""
const at = (name: string) => join(root, name)
/** A file of that many bytes which takes next to none. */
const sparse = (name: string, size: number, head: Uint8Array = new Uint8Array()) => {
  const file = openSync(at(name), "w")
  writeSync(file, head)
  ftruncateSync(file, size)
  closeSync(file)
  return at(name)
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tapweight-files-"))
  execFileSync("mkfifo", [at("pipe")])
  symlinkSync(at("pipe"), at("link"))
  mkdirSync(at("folder"))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const reason = <A, R>(effect: Effect.Effect<A, { readonly message: string }, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.message)

describe("files that are none", () => {
  const readers: {
    readonly [kind: string]: (file: string) => Effect.Effect<unknown, JsonFile.RunFileError, FileSystem.FileSystem>
  } = {
    json: (file: string) => JsonFile.read(file, Schema.Json),
    weights: (file: string) => SafetensorsFile.read(file),
    hash: (file: string) =>
      Effect.tryPromise({ try: () => FileHash.sha256(file), catch: (error) => JsonFile.because(file)(error as Error) }),
    whole: (file: string) => RegularFile.read(file, 10)
  }

  it.live.each(Object.keys(readers))("%s: a pipe, a device and a folder are not read", (kind) =>
    Effect.gen(function* () {
      for (const name of ["pipe", "link", "folder"]) {
        assert.match(yield* reason(readers[kind]!(at(name))), /not a file that can be read/)
      }
      assert.match(yield* reason(readers[kind]!("/dev/zero")), /not a file that can be read/)
      assert.match(yield* reason(readers[kind]!(at("nothing"))), /there is no such file/)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a file of many gigabytes is refused by its size, or by its first bytes", () =>
    Effect.gen(function* () {
      const size = 2 ** 36
      assert.include(yield* reason(JsonFile.read(sparse("large.json", size), Schema.Json)), `it has ${size} bytes`)
      assert.include(yield* reason(SafetensorsFile.read(sparse("zeros", size))), "no JSON object")
      const long = new Uint8Array(8).fill(0xff)
      assert.include(yield* reason(SafetensorsFile.read(sparse("long", size, long))), "a header length of")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("of a file of tensors only those that are needed are read", () =>
    Effect.gen(function* () {
      const small = NdArray.float32([2, 2], [1, 2, 3, 4])
      const count = NdArray.int32([1], [7])
      const bytes = Safetensors.encode(
        [
          ["a", small],
          ["b", count]
        ],
        { about: "it" }
      )
      // The header once more, with a tensor of 64 GiB between the two.
      const wide = 2 ** 36
      const head = JSON.stringify({
        a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] },
        large: { dtype: "F32", shape: [wide / 4], data_offsets: [16, 16 + wide] },
        b: { dtype: "I32", shape: [1], data_offsets: [16 + wide, 20 + wide] }
      })
      const length = new Uint8Array(8)
      new DataView(length.buffer).setBigUint64(0, BigInt(head.length), true)
      const file = sparse(
        "wide",
        8 + head.length + 20 + wide,
        Buffer.concat([length, Buffer.from(head), bytes.subarray(-20, -4)])
      )
      const handle = openSync(file, "r+")
      writeSync(handle, bytes.subarray(-4), 0, 4, 8 + head.length + 16 + wide)
      closeSync(handle)
      const { header, tensors } = yield* SafetensorsFile.read(file, ({ name }) => name !== "large")
      assert.deepStrictEqual(
        tensors,
        new Map<string, NdArray.NdArray>([
          ["a", small],
          ["b", count]
        ])
      )
      assert.deepStrictEqual(
        header.tensors.map(({ name }) => name),
        ["a", "large", "b"]
      )
      writeFileSync(at("plain"), bytes)
      const plain = yield* SafetensorsFile.read(at("plain"))
      assert.deepStrictEqual(plain.tensors, tensors)
      assert.deepStrictEqual(plain.header.metadata, { about: "it" })
      assert.strictEqual(statSync(file).size, 8 + head.length + 20 + wide)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a checkpoint whose files are pipes or giants is passed over by name", () =>
    Effect.gen(function* () {
      const directory = at("checkpoints")
      const state = { a: NdArray.float32([1], [1]) }
      const expected = { program: "p", seed: 1 }
      for (const [tick, name] of [
        [1, "COMPLETE"],
        [2, "state.json"],
        [3, "state.safetensors"],
        [4, "state.safetensors"]
      ] as const) {
        const saved = yield* Checkpoint.save(
          directory,
          { version: 1, tick, attempt: 1, ...expected, extra: {} },
          state,
          { keep: 9 }
        )
        const file = join(directory, saved, name)
        rmSync(file)
        if (tick === 4) sparse(join("checkpoints", saved, name), 2 ** 36)
        else execFileSync("mkfifo", [file])
      }
      const error = yield* Effect.flip(Checkpoint.load(directory, expected, state))
      const found = error instanceof Checkpoint.CheckpointError ? error.found : []
      assert.match(found.map((one) => one.reason).join("\n"), /68719476736 bytes.*\n.*a pipe.*\n.*a pipe.*\nCOMPLETE/)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it("a pipe given as program, settings or wiring ends a command with a sentence", async () => {
    execFileSync("mkfifo", [at("program.ts"), at("wiring.json")])
    for (const args of [
      ["run", at("program.ts")],
      ["plan", at("wiring.json")]
    ]) {
      const child = spawn(process.execPath, [main, ...args], { cwd: root })
      let err = ""
      child.stderr.on("data", (chunk) => (err += chunk))
      const [code] = (await once(child, "close")) as [number]
      assert.strictEqual(code, 2, err)
      assert.include(err, "it is a pipe")
    }
  })
})
