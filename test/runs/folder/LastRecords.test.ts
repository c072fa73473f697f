import * as Effect from "effect/Effect"
import { appendFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as NodeServices from "../../../src/files/NodeServices.ts"
import * as LastRecords from "../../../src/runs/folder/LastRecords.ts"
import * as Records from "../../../src/runs/folder/Records.ts"
import { Follower } from "../../../src/runs/watch/Follower.ts"

let path = ""
const folder = () => ({ id: "20260101-000000-abcd", program: "p", path })
const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(Effect.provide(effect, NodeServices.layer))
const line = (k: number): string =>
  `${JSON.stringify({ t: "step", k, level: "low", w: k, tick: k, loss: k, parts: { [`λ${"é".repeat(k % 300)}`]: k } })}\n`

beforeAll(() => {
  path = mkdtempSync(join(tmpdir(), "tapweight-last-"))
  for (let k = 1; k <= 2000; k++) appendFileSync(join(path, "metrics-1.ndjson"), line(k))
  appendFileSync(join(path, "metrics-2.ndjson"), `${line(2001)}null\n${line(2002).slice(0, 20)}\n${line(2002)}`)
  // Its writer is not done with the last line.
  appendFileSync(join(path, "metrics-2.ndjson"), line(2003).slice(0, -8))
})
afterAll(() => rmSync(path, { recursive: true, force: true }))

describe("the last records of a run", () => {
  it("are the end of all its records, however many are asked for", async () => {
    const all = await run(Records.read(folder(), { allAttempts: true }))
    assert.strictEqual(all.length, 2002)
    for (const n of [0, 1, 2, 3, 40, 1500, 2002, 5000]) {
      const { records } = await run(LastRecords.read(folder(), n))
      assert.deepStrictEqual(records, n === 0 ? [] : all.slice(-n), `${n}`)
    }
  })

  it("end where what comes next is read from, none twice and none left out", async () => {
    const { ends } = await run(LastRecords.read(folder(), 3))
    const follower = new Follower(join(path, "metrics-2.ndjson"), ends.get(2))
    assert.isEmpty(follower.next().records)
    appendFileSync(join(path, "metrics-2.ndjson"), line(2003).slice(-8) + line(2004))
    const steps = follower.next().records.map((record) => ("k" in record ? record.k : 0))
    assert.deepStrictEqual(steps, [2003, 2004])
  })
})
