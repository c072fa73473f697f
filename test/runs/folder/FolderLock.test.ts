import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, beforeEach, afterEach, describe, it } from "vitest"
import * as Effect from "effect/Effect"
import * as FolderLock from "../../../src/runs/folder/FolderLock.ts"

const program = fileURLToPath(new URL("../../support/holding.ts", import.meta.url))
let folder = ""
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "tapweight-lock-"))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A process that wants the folder, and what it says. */
const wanting = async () => {
  const child = spawn(process.execPath, [program, folder], { stdio: ["ignore", "pipe", "inherit"] })
  const lines = createInterface(child.stdout)
  const [line] = (await Promise.race([once(lines, "line"), once(lines, "close")])) as [string?]
  return { child, line, killed: () => (child.kill("SIGKILL"), once(child, "exit")) }
}
const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(effect.pipe(Effect.provide(NodeServices.layer)))
const refusal = () =>
  run(Effect.scoped(Effect.match(FolderLock.hold(folder), { onFailure: ({ kind }) => kind, onSuccess: () => "held" })))

describe("a run folder's lock", () => {
  it("is one process's of several that want it, also while that one is stopped, until it is killed", async () => {
    const children = await Promise.all(Array.from({ length: 3 }, wanting))
    try {
      assert.deepStrictEqual(children.map(({ line }) => line).sort(), ["Held", "Held", "held"])
      const holder = children.find(({ line }) => line === "held")!
      holder.child.kill("SIGSTOP")
      assert.strictEqual(await refusal(), "Held")
      assert.isTrue(await run(FolderLock.isHeld(folder)))
      await holder.killed()
      assert.isFalse(await run(FolderLock.isHeld(folder)))
      assert.strictEqual(await refusal(), "held")
      // Nothing is left but the file that is locked.
      assert.deepStrictEqual(readdirSync(folder), ["run.lock"])
    } finally {
      for (const { child } of children) child.kill("SIGKILL")
    }
  })

  it("is not had twice by one process, and is free at the end of its scope", async () => {
    const twice = Effect.scoped(Effect.andThen(FolderLock.hold(folder), Effect.promise(refusal)))
    assert.strictEqual(await run(twice), "Held")
    assert.strictEqual(await refusal(), "held")
  })

  it("is refused where it cannot be: no folder, or another file of that name, which is left as it is", async () => {
    const file = join(folder, "run.lock")
    writeFileSync(file, "precious")
    assert.strictEqual(await refusal(), "Unlockable")
    rmSync(file)
    writeFileSync(join(folder, "victim"), "")
    symlinkSync(join(folder, "victim"), file)
    assert.strictEqual(await refusal(), "Unlockable")
    rmSync(folder, { recursive: true })
    assert.strictEqual(await refusal(), "Gone")
    assert.isFalse(await run(FolderLock.isHeld(folder)))
  })
})
