import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Records from "../../../src/runs/folder/Records.ts"
import { filling } from "../../support/failingDisk.ts"
import type { RunFolder } from "../../../src/runs/folder/RunFolder.ts"

const at = DateTime.makeUnsafe("2026-11-22T21:40:02Z")
const run = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()),
  (path): RunFolder => ({ id: "20261122-211530-k3f9", program: "bace", path })
)
const ckpt = (k: number): Records.Record => ({ t: "ckpt", k, path: `checkpoints/${k}` })
type Body = Exclude<Records.Record, { readonly t: "head" }>
const write = (folder: RunFolder, attempt: number, from: number, ...records: ReadonlyArray<Records.Record>) =>
  Effect.scoped(
    Effect.flatMap(Records.writer(folder, { attempt, from, at }), (writer) =>
      writer.append(...(records as Array<Body>))
    )
  )
const ticks = (records: ReadonlyArray<Records.Record>) => records.flatMap((r) => (r.t === "ckpt" ? r.k : []))

/** The examples of the format's description, to the letter. */
const examples = `{"t":"head","v":1,"run":"20261122-211530-k3f9","attempt":2,"from":4000,"at":"2026-11-22T21:40:02Z"}
{"t":"step","k":4100,"w":1632.4,"level":"pretrain","tick":4100,"loss":2.31,"parts":{"mlm":1.9,"cl":0.3,"sop":0.11},"gnorm":0.82}
{"t":"lambda","k":4100,"w":1632.6,"level":"reweight","names":["mlm","cl","sop"],"beta":[0.4,-0.2,0.1],"lambda":[0.44,0.24,0.32],"entropy":1.06}
{"t":"hyper","k":4100,"level":"reweight","norm":0.031,"direct":0,"parts":[{"via":["finetune","pretrain"],"norm":0.031,"cos":1}],"solves":[{"level":"finetune","solver":"cg","residual":0.003},{"level":"pretrain","solver":"identity","residual":null}]}
{"t":"eval","k":4100,"level":"reweight","split":"validation","n":950,"metrics":{"mcc":0.584}}
{"t":"ckpt","k":4000,"path":"checkpoints/00004000-a2"}
{"t":"end","state":"done"}
`

layer(NodeServices.layer)("Records", (it) => {
  it.effect("reads the examples of the format and writes them back as they were", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* run
      yield* fs.writeFileString(`${folder.path}/metrics-2.ndjson`, examples)
      const records = yield* Records.read(folder)
      assert.deepStrictEqual(
        records.map(({ t }) => t),
        ["head", "step", "lambda", "hyper", "eval", "ckpt", "end"]
      )
      yield* fs.remove(`${folder.path}/metrics-2.ndjson`)
      yield* write(folder, 2, 4000, ...records.slice(1))
      const parsed = (text: string) =>
        text
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown)
      const written = yield* fs.readFileString(`${folder.path}/metrics-2.ndjson`)
      assert.deepStrictEqual(parsed(written), parsed(examples.replace("40:02Z", "40:02.000Z")))
    })
  )

  it.effect("training time is that of the ticks that count, over every attempt", () =>
    Effect.gen(function* () {
      const folder = yield* run
      const step = (k: number, w: number, wait: number): Records.Record => ({
        t: "step",
        k,
        w,
        wait,
        level: "finetune",
        tick: k,
        loss: 1
      })
      yield* write(folder, 1, 0, step(1, 10, 1), step(2, 20, 2), step(3, 30, 4))
      // The third tick was lost with its ten seconds, and is done again in seven.
      yield* write(folder, 2, 2, step(3, 7, 0.5), step(4, 12, 0.5))
      assert.deepStrictEqual(Records.seconds(yield* Records.read(folder)), { training: 32, waiting: 2.5 })
      assert.deepStrictEqual(Records.seconds([]), { training: 0, waiting: 0 })
    })
  )

  it.effect("keeps numbers that JSON has no words for", () =>
    Effect.gen(function* () {
      const folder = yield* run
      const step: Records.Record = {
        t: "step",
        k: 1,
        w: 0.5,
        level: "a",
        tick: 1,
        loss: NaN,
        parts: { x: -Infinity, y: Infinity }
      }
      yield* write(folder, 1, 0, step)
      assert.deepStrictEqual((yield* Records.read(folder))[1], step)
      const text = yield* Effect.flatMap(FileSystem.FileSystem, (fs) =>
        fs.readFileString(`${folder.path}/metrics-1.ndjson`)
      )
      assert.include(text, '"loss":"NaN","parts":{"x":"-Infinity","y":"Infinity"}')
    })
  )

  it.effect("lets a later attempt hide what it replaced, over several restarts", () =>
    Effect.gen(function* () {
      const folder = yield* run
      yield* write(folder, 1, 0, ckpt(1000), ckpt(4000), ckpt(4001), ckpt(6000))
      assert.deepStrictEqual(ticks(yield* Records.read(folder)), [1000, 4000, 4001, 6000])
      yield* write(folder, 2, 4000, ckpt(4500), ckpt(5000), { t: "end", state: "interrupted" })
      assert.deepStrictEqual(ticks(yield* Records.read(folder)), [1000, 4000, 4500, 5000])
      yield* write(folder, 10, 2000, ckpt(2500))
      const records = yield* Records.read(folder)
      assert.deepStrictEqual(ticks(records), [1000, 2500])
      assert.deepStrictEqual(
        records.map(({ t }) => t),
        ["head", "ckpt", "head", "end", "head", "ckpt"]
      )
      const all = yield* Records.read(folder, { allAttempts: true })
      assert.deepStrictEqual(ticks(all), [1000, 4000, 4001, 6000, 4500, 5000, 2500])
      assert.deepStrictEqual(yield* Records.attempts(folder), [1, 2, 10])
    })
  )

  it.effect("loses one record at most to a torn last line, wherever it tore", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* run
      const file = `${folder.path}/metrics-2.ndjson`
      const bytes = new TextEncoder().encode(examples.replaceAll("mlm", "mλm"))
      for (let length = 0; length < bytes.length; length += 7) {
        yield* fs.writeFile(file, bytes.subarray(0, length))
        const whole = bytes.subarray(0, length).filter((b) => b === 10).length
        assert.lengthOf(yield* Records.read(folder), whole)
      }
      // An attempt that was killed before its head was written has replaced nothing.
      yield* write(folder, 1, 0, ckpt(9000))
      yield* fs.writeFileString(file, '{"t":"head","v":1,')
      assert.deepStrictEqual(ticks(yield* Records.read(folder)), [9000])
    })
  )

  it.effect("skips records of a kind it does not know, and names the place of one it cannot read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* run
      const file = `${folder.path}/metrics-1.ndjson`
      const failure = (line: string) =>
        fs.writeFileString(file, `{"t":"weather","k":1}\n${line}\n{"t":"ckpt","k":1,"path":"x"}\n`).pipe(
          Effect.andThen(Effect.flip(Records.read(folder))),
          Effect.map(({ message }) => message)
        )
      assert.include(yield* failure('{"t":"ckpt","k":1}'), `byte 22: Missing key\n  at ["path"]`)
      assert.include(yield* failure('{"t":"head","v":2}'), "byte 22: ")
      assert.include(yield* failure(`{"t":"${"x".repeat(1024 * 1024)}"}`), "expected at most 1048576")
      // The test split has no place among the metrics of a run.
      assert.include(
        yield* failure('{"t":"eval","k":1,"level":"a","split":"test","n":1,"metrics":{}}'),
        'Expected "train" | "validation"'
      )
      yield* fs.writeFileString(file, '{"t":"weather"}\nnull\n{"t":"ckpt","k":1,"path":"x"}\n')
      assert.deepStrictEqual(ticks(yield* Records.read(folder)), [1])
    })
  )

  it.effect("writes no record behind half of another, and loses only what there was no room for", () =>
    Effect.gen(function* () {
      const disk = yield* FileSystem.FileSystem
      const folder = yield* run
      // Opening, the head and the first record find room, the second only for its half.
      const { fileSystem, free } = filling(disk, 3)
      yield* Effect.gen(function* () {
        const writer = yield* Records.writer(folder, { attempt: 1, from: 0, at })
        yield* writer.append(ckpt(1) as Body)
        const { message } = yield* Effect.flip(writer.append(ckpt(2) as Body))
        assert.include(message, "the disk is full")
        yield* Effect.flip(writer.append(ckpt(2) as Body))
        free()
        yield* writer.append(ckpt(3) as Body, { t: "end", state: "failed" })
      }).pipe(Effect.scoped, Effect.provideService(FileSystem.FileSystem, fileSystem))
      const text = yield* disk.readFileString(`${folder.path}/metrics-1.ndjson`)
      assert.match(text, /checkpoints\/1"\}\n\{"t":"ckpt"[^}]*\n\{"t":"ckpt"[^}]*\n\{"t":"ckpt","k":3/)
      const records = yield* Records.read(folder)
      assert.deepStrictEqual(ticks(records), [1, 3])
      assert.deepStrictEqual(records.at(-1), { t: "end", state: "failed" })
    })
  )

  it.effect("gives each attempt one writer, whose records are on disk when append returns", () =>
    Effect.gen(function* () {
      const folder = yield* run
      const writer = yield* Records.writer(folder, { attempt: 1, from: 0, at })
      const { message } = yield* Effect.flip(Records.writer(folder, { attempt: 1, from: 0, at }))
      assert.include(message, "metrics-1.ndjson: this attempt has already written: take the next number")
      for (let k = 1; k <= 3; k++) {
        yield* writer.append(ckpt(2 * k) as Body, ckpt(2 * k + 1) as Body)
        assert.lengthOf(yield* Records.read(folder), 1 + 2 * k)
      }
    })
  )
})
