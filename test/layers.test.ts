import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))
const src = join(root, "src")

/** What needs no other room: the language, files, and what all need of tensors. */
const ground = ["dsl", "files", "tensor"]
const compiler = ["compiler/graph", "compiler/tangent", "compiler/trace", "compiler/onnx", "compiler/stablehlo"]
/** What engines that run graphs share. */
const graphs = [...ground, "runtime/step", "compiler/graph", "engines", "engines/graph"]

/** Which rooms a room may import from, beside itself. A room with floors is named with its floor. */
const may: { readonly [room: string]: ReadonlyArray<string> } = {
  dsl: [],
  files: ["dsl"],
  tensor: ["dsl"],
  objectives: ["dsl", "tensor"],
  models: ["dsl", "tensor"],
  "models/encoders": ["dsl", "tensor", "models"],
  "models/checkpoints": ["dsl", "files", "models", "models/encoders"],
  levels: ["dsl", "tensor", "objectives", "models"],
  "runtime/plan": ["dsl", "tensor"],
  "runtime/step": ["dsl", "tensor", "runtime/plan"],
  "compiler/graph": ["dsl", "tensor"],
  "compiler/tangent": ["dsl", "tensor", "compiler/graph"],
  "compiler/trace": ["dsl", "tensor", "runtime/step", "compiler/graph", "compiler/tangent"],
  "compiler/onnx": ["dsl", "tensor", "compiler/graph"],
  compiler: ["dsl", "runtime/plan", "runtime/step", "compiler/graph", "compiler/trace"],
  "compiler/stablehlo": ["compiler/graph"],
  "compiler/webassembly": ["dsl", "compiler/graph"],
  engines: ["dsl", "runtime/step", "compiler/graph"],
  "engines/eager": [...ground, "runtime/step", "engines"],
  "engines/graph": [...ground, "runtime/step", "compiler/graph", "compiler/trace", "engines"],
  "engines/onnx": [...graphs, "compiler/onnx"],
  "engines/webassembly": [...graphs, "compiler/webassembly"],
  "engines/compiled": [...graphs, "compiler/webassembly", "engines/onnx", "engines/webassembly"],
  "engines/xla": [...ground, "runtime/step", ...compiler, "engines"],
  "runtime/run": [...ground, "runtime/plan", "runtime/step", "engines"],
  diagnose: [...ground, "levels", "runtime/plan", "runtime/step", "runtime/run", "engines"],
  "runs/folder": ["dsl", "files", "runtime/plan", "runtime/run"],
  "runs/trial": [...ground, "compiler", "runtime/plan", "runtime/step", "runtime/run", "engines", "runs/folder"],
  "runs/statistics": ["dsl", "files", "engines", "runs/folder", "runs/trial"],
  "runs/view": ["dsl", "files", "runtime/run", "runs/folder", "runs/trial", "runs/statistics"],
  "runs/report": ["dsl", "files", "runtime/plan", "runs/folder", "runs/trial", "runs/statistics", "runs/view"],
  "runs/export": ["dsl", "files", "runs/folder", "runs/trial", "runs/statistics"],
  "runs/watch": ["dsl", "runs/folder", "runs/view", "runs/report", "runs/export"],
  "runs/sweep": ["dsl", "files", "runs/folder"],
  "runs/database": ["dsl", "runs/sweep"],
  runs: ["dsl", "engines", "runs/folder", "runs/trial", "runs/statistics", "runs/view"],
  cli: [
    ...ground,
    "diagnose",
    "compiler",
    "runtime/plan",
    "runtime/step",
    "runtime/run",
    "engines",
    "engines/eager",
    "engines/onnx",
    "engines/webassembly",
    "engines/compiled",
    "engines/xla",
    "runs",
    "runs/folder",
    "runs/trial",
    "runs/statistics",
    "runs/view",
    "runs/report",
    "runs/sweep",
    "runs/database",
    "runs/export",
    "runs/watch"
  ],
  // What everything public may be tested with: nothing imports it.
  testing: [
    ...ground,
    "objectives",
    "models",
    "levels",
    "runtime/plan",
    "runtime/step",
    "runtime/run",
    "engines",
    "engines/eager",
    "engines/onnx",
    "engines/compiled"
  ]
}

interface Import {
  readonly file: string
  readonly room: string
  readonly from: string
  readonly types: boolean
  readonly dynamic: boolean
}

/** The room of a file, with its floor where the room has floors. */
const roomAt = (file: string): string => {
  const [room, floor] = file.split(sep)
  if (!file.includes(sep)) return ""
  return `${room}/${floor}` in may ? `${room}/${floor}` : room!
}

const importsOf = (folder: string): ReadonlyArray<Import> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .flatMap((file) => {
      const text = readFileSync(join(folder, file), "utf8")
      const statements = [...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^"']*?from\s+)?["']([^"']+)["']/gm)].map(
        ([, types, from]) => ({ types, from, dynamic: false })
      )
      const dynamic = [...text.matchAll(/import\(["']([^"']+)["']\)/g)].map(([, from]) => ({
        types: undefined,
        from,
        dynamic: true
      }))
      return [...statements, ...dynamic].map(({ dynamic, from, types }) => ({
        file,
        room: roomAt(file),
        from: from!,
        types: types !== undefined,
        dynamic
      }))
    })

const imports = importsOf(src)

/** The file that an import of the library's own means, from `src`. */
const targetOf = ({ file, from }: Import): string | undefined =>
  from.startsWith(".") ? relative(src, join(src, dirname(file), from)) : undefined

describe("rooms", () => {
  it("are all known, and each imports only from those below it", () => {
    assert.isAbove(imports.length, 200)
    for (const found of imports) {
      if (found.room === "") continue
      assert.property(may, found.room, `${found.file} is in a room that is not on the plan`)
      const target = targetOf(found)
      if (target === undefined || roomAt(target) === found.room) continue
      assert.include(may[found.room]!, roomAt(target), `${found.file} imports ${found.from}`)
    }
  })

  it("nothing goes round in a circle, types included", () => {
    const next = new Map<string, Set<string>>()
    for (const found of imports) {
      const target = targetOf(found)
      if (target !== undefined) next.set(found.file, (next.get(found.file) ?? new Set()).add(target))
    }
    const state = new Map<string, "open" | "closed">()
    const circles: Array<string> = []
    const visit = (file: string, path: ReadonlyArray<string>): void => {
      if (state.get(file) === "closed") return
      if (state.get(file) === "open") {
        circles.push([...path.slice(path.indexOf(file)), file].join(" → "))
        return
      }
      state.set(file, "open")
      for (const target of next.get(file) ?? []) visit(target, [...path, file])
      state.set(file, "closed")
    }
    for (const file of next.keys()) visit(file, [])
    assert.deepStrictEqual(circles, [])
  })

  it("the runtime, the compiler and the engines are each less than 30 % of the library", () => {
    const lines = new Map<string, number>()
    let all = 0
    for (const file of readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))) {
      const count = readFileSync(join(src, file), "utf8").split("\n").length
      const room = file.split(sep)[0]!
      lines.set(room, (lines.get(room) ?? 0) + count)
      all += count
    }
    for (const room of ["runtime", "compiler", "engines"]) assert.isBelow(lines.get(room)! / all, 0.3, room)
  })

  it("the language knows tensors as types only", () => {
    for (const found of imports) {
      if (found.room !== "dsl" || !found.from.startsWith("@tensorflow/")) continue
      assert.isTrue(found.types, `${found.file} imports ${found.from} at run time`)
    }
  })

  it("only a split and the end of a trial know what a test part conceals", () => {
    const readers = imports.filter((found) => targetOf(found) === join("dsl", "Concealed.ts")).map(({ file }) => file)
    assert.sameMembers(readers, [join("dsl", "Split.ts"), join("runs", "trial", "Trial.ts")])
  })

  it("a room's internal folder is its own", () => {
    for (const found of imports) {
      if (found.from.includes("/internal/")) assert.strictEqual(roomAt(targetOf(found)!), found.room, found.file)
    }
  })

  it("the barrel of effect is imported nowhere: it triples start-up", () => {
    for (const found of imports) {
      assert.notInclude(["effect", "@effect/platform-node"], found.from, found.file)
    }
  })

  it("what speaks to a database is loaded by commands that are given one, and by no other", () => {
    const reached = new Set<string>()
    const visit = (file: string): void => {
      if (reached.has(file)) return
      reached.add(file)
      for (const found of imports) {
        const target = found.file === file && !found.types && !found.dynamic ? targetOf(found) : undefined
        if (target !== undefined) visit(target)
      }
    }
    for (const door of ["cli/main.ts", "cli/Cli.ts", "cli/index.ts", "index.ts"]) visit(join(...door.split("/")))
    assert.include(reached, join("cli", "sweep", "SweepCommands.ts"))
    for (const { dynamic, file, from, types } of imports) {
      if (!/^(@effect\/sql-pg|effect\/(sql|persistence))\b/.test(from)) continue
      assert.notInclude(reached, file, from)
      if (from.startsWith("@")) assert.isTrue(dynamic || types, `${file} imports ${from}, which may not be installed`)
    }
  })

  it("experiments use the library through its public doors, as anybody would", () => {
    const experiments = join(root, "experiments")
    for (const { file, from } of importsOf(experiments)) {
      if (!from.startsWith(".") || file.startsWith("test")) continue
      const target = relative(experiments, join(experiments, dirname(file), from))
      assert.isFalse(target.startsWith(".."), `${file} imports ${from}`)
    }
  })
})
