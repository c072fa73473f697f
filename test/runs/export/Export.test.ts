import { parquetReadObjects } from "hyparquet"
import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as NodeServices from "../../../src/files/NodeServices.ts"
import * as Csv from "../../../src/runs/export/Csv.ts"
import * as Export from "../../../src/runs/export/Export.ts"
import * as TensorBoard from "../../../src/runs/export/TensorBoard.ts"

let root = ""
const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(Effect.provide(effect, NodeServices.layer))
const folder = () => ({ id: "one", program: "p", path: join(root, "one") })

const lines = [
  { t: "head", v: 1, run: "one", attempt: 1, from: 0, at: "2026-01-01T00:00:00Z" },
  { t: "step", k: 2, level: "=low", w: 0.5, tick: 1, loss: 1.5, gnorm: 2, parts: { "a,b": 0.25 } },
  { t: "lambda", k: 2, level: "up", w: 0.5, names: ["m"], beta: [0], lambda: [1], entropy: 0 },
  {
    t: "hyper",
    k: 2,
    level: "up",
    norm: 3,
    direct: 0,
    parts: [{ via: ["=low"], norm: 3, cos: 1 }],
    solves: [{ level: "=low", solver: "cg", residual: null }]
  },
  { t: "eval", k: 2, level: "up", split: "validation", n: 3, metrics: { acc: "NaN" } },
  { t: "ckpt", k: 2, path: "c" },
  { t: "end", state: "done" }
]
const expected = [
  ["=low", 1, 0.5, "loss", 1.5],
  ["=low", 1, 0.5, "gradient norm", 2],
  ["=low", 1, 0.5, "loss/a,b", 0.25],
  ["up", null, 0.5, "lambda/m", 1],
  ["up", null, null, "hypergradient/norm", 3],
  ["up", null, null, "hypergradient/direct", 0],
  ["up", null, null, "hypergradient/=low/norm", 3],
  ["up", null, null, "hypergradient/=low/cosine", 1],
  ["up", null, null, "validation/acc", NaN]
]

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tapweight-export-"))
  const trial = join(root, "one/trials/x/y")
  mkdirSync(trial, { recursive: true })
  writeFileSync(join(trial, "metrics-1.ndjson"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe("CSV", () => {
  it("quotes what has to be, and lets no text be a formula", () => {
    const bytes = Csv.bytes(
      ["a", "b"],
      [
        ["x,y", -1],
        ['say "so"', null],
        ["=1+1", "-2"],
        ["@a", "two\nlines"]
      ]
    )
    assert.strictEqual(
      new TextDecoder().decode(bytes),
      `a,b\r\n"x,y",-1\r\n"say ""so""",\r\n'=1+1,'-2\r\n'@a,"two\nlines"\r\n`
    )
  })

  it("has every number of every record, a row each", async () => {
    const text = readFileSync(await run(Export.write(folder(), "csv")), "utf8")
    const rows = text.trimEnd().split("\r\n")
    assert.strictEqual(rows[0], "run,trial,step,level,tick,seconds,name,value")
    assert.strictEqual(rows[1], "one,x/y,2,'=low,1,0.5,loss,1.5")
    assert.strictEqual(rows[3], `one,x/y,2,'=low,1,0.5,"loss/a,b",0.25`)
    assert.strictEqual(rows.length, 1 + expected.length)
  })
})

describe("Parquet", () => {
  it("has the same rows", async () => {
    const bytes = readFileSync(await run(Export.write(folder(), "parquet")))
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    const rows = await parquetReadObjects({ file })
    assert.deepStrictEqual(
      rows.map(({ level, name, seconds, tick, value }) => [level, tick, seconds, name, value]),
      expected
    )
  })
})

describe("TensorBoard", () => {
  /** The records of an event file, their checksums held against the definition bit by bit. */
  const records = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
    const checksum = (data: Uint8Array): number => {
      let c = 0xffffffff
      for (const byte of data) {
        c ^= byte
        for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
      }
      c = (c ^ 0xffffffff) >>> 0
      return (((c >>> 15) | (c << 17)) + 0xa282ead8) >>> 0
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const out: Array<Uint8Array> = []
    for (let at = 0; at < bytes.length;) {
      const length = Number(view.getBigUint64(at, true))
      assert.strictEqual(view.getUint32(at + 8, true), checksum(bytes.subarray(at, at + 8)))
      const data = bytes.subarray(at + 12, at + 12 + length)
      assert.strictEqual(view.getUint32(at + 12 + length, true), checksum(data))
      out.push(data)
      at += 16 + length
    }
    return out
  }

  it("writes a file for each level, its events on the level's own count", async () => {
    const place = await run(Export.write(folder(), "tensorboard", join(root, "board")))
    assert.deepStrictEqual(readdirSync(join(place, "x/y")).toSorted(), ["_low", "up"])
    const [name] = readdirSync(join(place, "x/y/_low"))
    const [version, loss, ...others] = records(readFileSync(join(place, "x/y/_low", name!)))
    assert.include(Buffer.from(version!).toString("latin1"), "brain.Event:2")
    // wall_time (0x09), step (0x10 0x01), summary (0x2a) of one value: tag "loss", simple_value 1.5.
    assert.deepStrictEqual(
      Buffer.from(loss!).subarray(9),
      Buffer.from([0x10, 1, 0x2a, 13, 0x0a, 11, 0x0a, 4, ...Buffer.from("loss"), 0x15, 0, 0, 0xc0, 0x3f])
    )
    assert.strictEqual(others.length, 2)
  })

  it("writes steps of any size", () => {
    const value = { run: "", trial: "", step: 300, level: "", tick: 2 ** 33, seconds: 0, name: "a", value: 0 }
    const file = new TensorBoard.EventFile(0)
    file.add(value)
    const [, event] = records(file.bytes())
    assert.deepStrictEqual(Buffer.from(event!).subarray(9, 15), Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80, 0x20]))
  })
})
