import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Checks from "../../../src/runs/folder/Checks.ts"
import * as Manifest from "../../../src/runs/folder/Manifest.ts"
import * as Status from "../../../src/runs/folder/Status.ts"

layer(NodeServices.layer)("checks of run folders", (it) => {
  it.effect("say what state runs are in, that the disk has locks and room, and leave nothing behind", () =>
    Effect.gen(function* () {
      const root = mkdtempSync(join(tmpdir(), "tapweight-checks-"))
      assert.deepStrictEqual(yield* Checks.checks(join(root, "none")), [])
      const folder = { id: "20260101-000000-abcd", program: "p", path: join(root, "p/20260101-000000-abcd") }
      mkdirSync(folder.path, { recursive: true })
      yield* Manifest.write(folder, root, {
        program: { problems: {}, files: {} },
        versions: {},
        seeds: { root: 0, algorithm: "a", levels: {} },
        data: [],
        weights: [],
        engine: { provider: "cpu", threads: 1 }
      })
      // Of a process that is gone.
      yield* Status.write(folder, { state: "running", tick: 1, attempt: 1, exit: null, error: null })
      const found = yield* Checks.checks(root)
      assert.deepStrictEqual(
        found.map(({ name, status }) => [name, status]),
        [
          ["run locks", "ok"],
          ["room for runs", "ok"],
          ["runs", "ok"]
        ]
      )
      assert.match(found[2]!.says, /^1 lost; what is lost goes on with tapweight resume$/)
      writeFileSync(join(folder.path, "manifest.json"), "{")
      const [, , broken] = yield* Checks.checks(root)
      assert.strictEqual(broken!.status, "fault")
      assert.include(broken!.says, "1 of 1 cannot be read: 20260101-000000-abcd")
      assert.deepStrictEqual(readdirSync(root), ["p"])
      rmSync(root, { recursive: true })
    })
  )
})
