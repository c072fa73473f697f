import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as Claim from "../../../src/runs/folder/Claim.ts"
import * as ResultFile from "../../../src/runs/folder/ResultFile.ts"

let path = ""
beforeEach(() => void (path = mkdtempSync(join(tmpdir(), "tapweight-claim-"))))
afterEach(() => rmSync(path, { recursive: true, force: true }))
const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(Effect.result(effect).pipe(Effect.provide(NodeServices.layer)))

describe("a run folder's claims", () => {
  it("are the highest number's, whoever comes when", async () => {
    assert.strictEqual(Claim.highest(path), 0)
    assert.isTrue(Result.isSuccess(await run(Claim.take(path, 9))))
    assert.isTrue(Result.isSuccess(await run(Claim.current(path, 9))))
    assert.isTrue(Result.isSuccess(await run(Claim.take(path, 10))))
    const late = await run(Claim.current(path, 9))
    assert.include(Result.isFailure(late) ? late.failure.message : "", "claim 10, and this one has claim 9")
    assert.isTrue(Result.isFailure(await run(Claim.take(path, 2))))
    assert.strictEqual(Claim.highest(path), 10)
  })
})

describe("a run's result", () => {
  it("is the first that was written, of two that do the same run at once", async () => {
    const folder = { id: "x", program: "x", path }
    const writing = Array.from({ length: 8 }, (_, i) =>
      run(ResultFile.write(folder, { program: "x", result: i, text: `${i}` }))
    )
    const written = await Promise.all(writing)
    const winner = written.findIndex(Result.isSuccess)
    assert.strictEqual(written.filter(Result.isSuccess).length, 1)
    const failed = written.find(Result.isFailure)!
    assert.include(Result.isFailure(failed) ? failed.failure.message : "", "another process has written it")
    assert.strictEqual(JSON.parse(readFileSync(join(path, "result.json"), "utf8")).result, winner)
  })
})
