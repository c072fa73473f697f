import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const program = join(root, "test/support/quietly.ts")

describe("privacy", () => {
  it.live("a run writes nothing into the user's folders, and asks for nothing from the network", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-home-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const places = { HOME: "home", XDG_CACHE_HOME: "cache", XDG_CONFIG_HOME: "config", TMPDIR: "tmp" }
      const env = Object.entries(places).map(([name, place]) => {
        const path = join(folder, place)
        mkdirSync(path)
        return [name, path] as const
      })
      const { ORT_DISABLE_TELEMETRY: _, ...inherited } = process.env
      const [code, errors] = yield* Effect.callback<readonly [number | null, string]>((resume) => {
        const child = spawn(process.execPath, [program], {
          stdio: ["ignore", "ignore", "pipe"],
          env: { ...inherited, ...Object.fromEntries(env) }
        })
        let text = ""
        child.stderr.on("data", (bytes: Buffer) => (text += bytes.toString()))
        child.on("close", (ended) => resume(Effect.succeed([ended, text])))
      })
      assert.deepStrictEqual([code, errors], [0, ""])
      const written = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      assert.deepStrictEqual(
        written.map(({ name }) => name),
        []
      )
    }).pipe(Effect.scoped)
  )

  it("ONNX Runtime is loaded in the worker alone, which is made when its telemetry is off", () => {
    const folder = join(root, "src")
    const loading = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
      (name) =>
        name.endsWith(".ts") && /^import (?!type).*"onnxruntime-node"/m.test(readFileSync(join(folder, name), "utf8"))
    )
    assert.sameMembers(loading, [join("engines", "onnx", "Providers.ts"), join("engines", "onnx", "worker.ts")])
    const importing = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
      (name) => name.endsWith(".ts") && /from "\.[^"]*\/Providers\.ts"/.test(readFileSync(join(folder, name), "utf8"))
    )
    assert.deepStrictEqual(importing, [join("engines", "onnx", "worker.ts")])
  })
})
