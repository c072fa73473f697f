import { hash } from "node:crypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Manifest from "../../../src/runs/folder/Manifest.ts"

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
const git = (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(ChildProcessSpawner, (spawner) =>
    spawner.string(ChildProcess.make("git", ["-c", "user.name=n", "-c", "user.email=e", ...args], { cwd }))
  )
const repository = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* temporary
  yield* git(directory, "init", "-q", "-b", "main")
  yield* fs.writeFileString(`${directory}/a.txt`, "one\n")
  yield* git(directory, "add", "a.txt")
  return directory
})

const given: typeof Manifest.Given.Type = {
  program: { problems: { tapweight: { fingerprint: "9f3c", levels: { pretrain: "aa" } } }, files: { "text.ts": "bb" } },
  versions: { tapweight: "0.1.0" },
  seeds: { root: 3, algorithm: "threefry-2x32-20", levels: { pretrain: [1, -2] } },
  data: [
    {
      name: "cola",
      version: "1.1",
      sha256: null,
      read: 8551,
      dropped: [{ reason: "empty", rows: 0 }],
      split: { rule: "from train, 8:1", rows: { train: 7601, validation: 950 } },
      licence: "not stated",
      source: "https://nyu-mll.github.io/CoLA"
    }
  ],
  weights: [],
  engine: { provider: "cpu", threads: 2 }
}

layer(NodeServices.layer)("Manifest", (it) => {
  it.effect("is written once, with what differed from the commit as a patch that applies", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* repository
      yield* git(cwd, "commit", "-q", "-m", "first")
      yield* fs.writeFileString(`${cwd}/a.txt`, "two\n")
      yield* fs.writeFileString(`${cwd}/new.txt`, "")
      const folder = { id: "20261122-211530-k3f9", program: "cola", path: yield* temporary }
      const written = yield* Manifest.write(folder, cwd, given)
      assert.deepStrictEqual(yield* Manifest.read(folder), written)
      const patch = yield* fs.readFile(`${folder.path}/git.patch`)
      assert.deepStrictEqual(written.git, {
        commit: (yield* git(cwd, "rev-parse", "HEAD")).trim(),
        branch: "main",
        dirty: true,
        changed: ["a.txt", "new.txt"],
        patch: hash("sha256", patch)
      })
      yield* git(cwd, "checkout", "-q", "a.txt")
      yield* git(cwd, "apply", `${folder.path}/git.patch`)
      assert.strictEqual(yield* fs.readFileString(`${cwd}/a.txt`), "two\n")
      assert.deepStrictEqual(written.data, given.data)
      assert.strictEqual(written.versions["node"], process.versions.node)
      assert.isFalse(Object.keys(written.env).includes("PATH"))
      const { message } = yield* Effect.flip(Manifest.write(folder, cwd, given))
      assert.include(message, "manifest.json: a manifest is written once")
    })
  )

  it.effect("notes what a run reads, and refuses other files when it goes on", () =>
    Effect.gen(function* () {
      const folder = { id: "20261122-211530-k3f9", program: "cola", path: yield* temporary }
      const written = yield* Manifest.write(folder, yield* temporary, { ...given, data: [] })
      const table = { ...given.data[0]!, sha256: "aa" }
      const inputs = { data: [table], weights: [{ file: "w.safetensors", sha256: "cc", licence: "not stated" }] }
      yield* Manifest.inputs(folder, inputs)
      assert.deepStrictEqual(yield* Manifest.read(folder), { ...written, ...inputs })
      yield* Manifest.inputs(folder, inputs)
      const data = yield* Effect.flip(Manifest.inputs(folder, { ...inputs, data: [{ ...table, sha256: "bb" }] }))
      assert.include(data.message, "data set 'cola' (https://nyu-mll.github.io/CoLA) is not what the run began with")
      const schema = yield* Effect.flip(Manifest.inputs(folder, { ...inputs, data: [{ ...table, version: "2" }] }))
      assert.match(schema.message, /SHA-256 aa, 1\.1; now SHA-256 aa, 2/)
      const weights = [{ ...inputs.weights[0]!, sha256: "dd" }]
      const other = yield* Effect.flip(Manifest.inputs(folder, { ...inputs, weights }))
      assert.match(other.message, /weights w\.safetensors is not .*now SHA-256 dd/)
      assert.deepStrictEqual(yield* Manifest.read(folder), { ...written, ...inputs })
    })
  )

  it.effect("names what changed where the patch is too large, and says nothing without a commit", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      assert.isUndefined(yield* Manifest.readGit(yield* temporary))
      assert.isUndefined(yield* Manifest.readGit("/nowhere"))
      const cwd = yield* repository
      assert.isUndefined(yield* Manifest.readGit(cwd))
      yield* git(cwd, "commit", "-q", "-m", "first")
      const clean = yield* Manifest.readGit(cwd)
      assert.deepStrictEqual([clean?.git.dirty, clean?.git.patch, clean?.patch], [false, null, undefined])
      yield* fs.writeFileString(`${cwd}/a.txt`, "x\n".repeat(600_000))
      yield* git(cwd, "checkout", "-q", "--detach")
      const large = yield* Manifest.readGit(cwd)
      assert.deepStrictEqual([large?.git.branch, large?.git.changed, large?.git.patch], [null, ["a.txt"], null])
      assert.isUndefined(large?.patch)
    })
  )
})
