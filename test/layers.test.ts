import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const src = fileURLToPath(new URL("../src", import.meta.url))

/** Which rooms a room may import from, beside itself. */
const may: { readonly [room: string]: ReadonlyArray<string> } = {
  dsl: [],
  files: [],
  tensor: ["dsl"],
  objectives: ["dsl", "tensor"],
  models: ["dsl", "tensor"],
  levels: ["dsl", "tensor", "objectives", "models"],
  runtime: ["dsl", "files", "tensor"],
  data: ["dsl", "files"],
  runs: ["dsl", "files", "runtime"],
  experiments: ["dsl", "tensor", "objectives", "models", "levels", "runtime", "data", "runs"],
  cli: ["dsl", "tensor", "objectives", "models", "levels", "runtime", "data", "runs", "experiments"]
}

interface Import {
  readonly file: string
  readonly room: string
  readonly from: string
  readonly types: boolean
}

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
const imports: ReadonlyArray<Import> = files.flatMap((file) => {
  const text = readFileSync(join(src, file), "utf8")
  const found = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^"']*?from\s+)?["']([^"']+)["']/gm)
  const dynamic = [...text.matchAll(/import\(["']([^"']+)["']\)/g)].map((m) => ["", undefined, m[1]!] as const)
  return [...found, ...dynamic].map(([, types, from]) => ({
    file,
    room: file.includes(sep) ? file.split(sep)[0]! : "",
    from: from!,
    types: types !== undefined
  }))
})

const roomOf = ({ file, from }: Import): string | undefined =>
  from.startsWith(".") ? relative(src, join(src, dirname(file), from)).split(sep)[0]! : undefined

describe("rooms", () => {
  it("are all known, and each imports only from those below it", () => {
    assert.isAbove(imports.length, 200)
    for (const found of imports) {
      if (found.room === "") continue
      assert.property(may, found.room, `${found.file} is in a room that is not on the plan`)
      const target = roomOf(found)
      if (target === undefined || target === found.room) continue
      assert.include(may[found.room]!, target, `${found.file} imports ${found.from}`)
    }
  })

  it("the language and the data know tensors as types only", () => {
    for (const found of imports) {
      if (!["dsl", "data"].includes(found.room) || !found.from.startsWith("@tensorflow/")) continue
      assert.isTrue(found.types, `${found.file} imports ${found.from} at run time`)
    }
  })

  it("gradients are registered in one file, and a room's internal folder is its own", () => {
    const registering = imports.filter((found) => found.from === "@tensorflow/tfjs").map((found) => found.file)
    assert.deepStrictEqual(registering, [join("runtime", "internal", "gradients.ts")])
    for (const found of imports) {
      if (found.from.includes("/internal/")) assert.strictEqual(roomOf(found), found.room, found.file)
    }
  })

  it("the barrel of effect is imported nowhere: it triples start-up", () => {
    for (const found of imports) {
      assert.notInclude(["effect", "@effect/platform-node"], found.from, found.file)
    }
  })
})
