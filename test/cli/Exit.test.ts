import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { errorExitCode } from "effect/Runtime"
import { assert, describe, it } from "vitest"
import * as Exit from "../../src/cli/launch/Exit.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const declared = ["src", "experiments"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.startsWith("test"))
    .flatMap((name) => {
      const file = join(root, folder, name)
      const classes = readFileSync(file, "utf8").matchAll(
        /^(export )?class (\w+) extends (?:Schema|Data)\.TaggedError[\s\S]*?^}$/gm
      )
      return Array.from(classes, ([text, exported, error]) => ({
        file,
        exported: exported !== undefined,
        error: error!,
        text
      }))
    })
)

describe("exit codes", () => {
  it("are each error's own: none is forgotten", async () => {
    assert.isAbove(declared.length, 20)
    for (const { error, exported, file, text } of declared) {
      assert.include(text, "get [errorExitCode]()", `${error} in ${file} has no exit code`)
      // A worker's end, which starts when it is imported, declares none.
      if (!exported || file.includes("experiments")) continue
      const module = (await import(pathToFileURL(file).href)) as {
        readonly [name: string]: { readonly prototype: Error }
      }
      const code = Exit.codeOf(module[error]!.prototype)
      assert.include([1, 2, 3, 4, 72, 73], code, error)
      assert.strictEqual(module[error]!.prototype[errorExitCode], code)
    }
  })

  it("are 2 for what the command line refuses, and 1 for what nobody knows", () => {
    assert.strictEqual(Exit.codeOf({ _tag: "ShowHelp", [errorExitCode]: 1 }), 2)
    for (const unknown of [new Error("x"), "x", undefined, { _tag: "Unheard" }])
      assert.strictEqual(Exit.codeOf(unknown), 1)
  })
})
