import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { statesOf } from "../../src/cli/sweep/States.ts"
import * as NodeServices from "../../src/files/NodeServices.ts"
import * as FolderLock from "../../src/runs/folder/FolderLock.ts"
import * as SweepFolder from "../../src/runs/sweep/SweepFolder.ts"

let root = ""
const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(Effect.provide(effect, NodeServices.layer))
const id = (i: number) => `${i}`.padStart(20, "0")
const entries = Array.from({ length: 1000 }, (_, i) => ({ id: id(i), settings: { rate: 0.1 }, seed: i }))

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "tapweight-states-"))
  await run(SweepFolder.add(root, { version: 1, name: "rates", program: "program.ts", entries }))
  for (let i = 0; i < 900; i++) {
    const folder = join(root, id(i))
    mkdirSync(folder)
    writeFileSync(join(folder, "run.lock"), "")
    if (i < 600) writeFileSync(join(folder, "result.json"), "{}")
    else if (i < 700) writeFileSync(join(folder, "endings.ndjson"), '{"exit":1,"at":""}\n'.repeat(3))
    else if (i < 750) writeFileSync(join(folder, "cancelled"), "")
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe("the states of a thousand runs in their folders", () => {
  it("are told in less than a second of processor time, each as its folder shows it", async () => {
    const file = (await run(SweepFolder.read(root)))!
    await run(
      Effect.gen(function* () {
        yield* FolderLock.hold(join(root, id(800)))
        const before = process.cpuUsage()
        const states = yield* statesOf(root, file)
        const { system, user } = process.cpuUsage(before)
        const count = (state: SweepFolder.State) => states.filter((each) => each.state === state).length
        assert.deepStrictEqual(
          (["done", "failed", "cancelled", "running", "queued"] as const).map(count),
          [600, 100, 50, 1, 249]
        )
        assert.isBelow((user + system) / 1e6, 1)
      }).pipe(Effect.scoped)
    )
  })
})
