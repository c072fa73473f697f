import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as JsonFile from "../../../src/files/JsonFile.ts"
import * as FolderLock from "../../../src/runs/folder/FolderLock.ts"
import * as RunFolder from "../../../src/runs/folder/RunFolder.ts"

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
/** A run that is made and ends at once. */
const created = (root: string, program: string) =>
  Effect.scoped(
    Effect.flatMap(FileSystem.FileSystem, (fs) =>
      Effect.map(
        RunFolder.create(root, program, ({ path }) => fs.writeFileString(`${path}/manifest.json`, "{}")),
        ({ folder }) => folder
      )
    )
  )
const reason = <A, R>(effect: Effect.Effect<A, { readonly message: string }, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.message)

layer(NodeServices.layer)("RunFolder", (it) => {
  it.effect("names a run by its time and four letters, and takes others where those are taken", () =>
    Effect.gen(function* () {
      const root = `${yield* temporary}/runs`
      yield* TestClock.setTime(Date.UTC(2026, 10, 22, 21, 15, 30))
      const same = Random.withSeed("s")(created(root, "bace"))
      const [a, b] = [yield* same, yield* same]
      assert.match(a.id, /^20261122-211530-[0-9a-hjkmnp-tv-z]{4}$/)
      assert.notStrictEqual(a.id, b.id)
      assert.strictEqual(a.path, `${root}/bace/${a.id}`)
      const many = yield* Effect.forEach(Array.from({ length: 40 }), () => created(root, "bace"), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(many.map(({ id }) => id)).size, 40)
      assert.lengthOf(yield* RunFolder.list(root), 42)
    })
  )

  it.effect("is there with all its files or not at all, and belongs to its maker", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporary
      const broken = RunFolder.create(root, "bace", (folder) =>
        Effect.andThen(fs.writeFileString(`${folder.path}/config.json`, ""), Effect.fail({ message: "no room" }))
      )
      assert.strictEqual(yield* reason(broken), "no room")
      assert.deepStrictEqual(yield* fs.readDirectory(`${root}/bace`), [])
      // Left by a process that was killed while it made one.
      const left = `${root}/bace/.tmp-20261122-211530-k3f9`
      yield* fs.makeDirectory(left)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { folder, lock } = yield* RunFolder.create(root, "bace", (making) =>
            Effect.gen(function* () {
              assert.deepStrictEqual(yield* RunFolder.list(root), [])
              // Another start does not take what is being made for something left over.
              yield* created(root, "bace")
              assert.isTrue(yield* fs.exists(making.path))
              yield* fs.writeFileString(`${making.path}/manifest.json`, "")
            })
          )
          assert.isFalse(yield* fs.exists(left))
          assert.isTrue(yield* FolderLock.isHeld(folder.path))
          yield* lock.intact
          yield* fs.rename(folder.path, `${root}/bace/elsewhere`)
          assert.include(yield* reason(lock.intact), "was moved or deleted while it ran")
          yield* fs.makeDirectory(folder.path)
          yield* fs.writeFileString(`${folder.path}/run.lock`, "")
          assert.include(yield* reason(lock.intact), "was moved or deleted while it ran")
          yield* fs.rename(`${root}/bace/elsewhere`, `${root}/bace/20261122-211530-0000`)
        })
      )
      const [moved] = yield* RunFolder.list(root)
      assert.strictEqual(moved!.id, "20261122-211530-0000")
      assert.isFalse(yield* FolderLock.isHeld(moved!.path))
    })
  )

  it.effect("makes no folder outside its root", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      for (const name of ["../x", "a/b", "", "A", "x".repeat(65)]) {
        assert.include(yield* reason(created(root, name)), "up to 64 of a-z, 0-9 and '-'")
      }
    })
  )

  it.effect("finds a run by id, start, end, latest and path, and lists what could be meant", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* temporary
      const [a, b, c] = ["bace/20261122-211530-k3f9", "bace/20261122-211531-k3f8", "cola/20261123-000000-0000"]
      for (const run of [a, b, c]) {
        yield* fs.makeDirectory(`${root}/${run}`, { recursive: true })
        yield* fs.writeFileString(`${root}/${run}/manifest.json`, "{}")
      }
      // Neither is a run: one has another name, one was never finished.
      for (const other of ["bace/notes", "cola/20261124-000000-0000"]) yield* fs.makeDirectory(`${root}/${other}`)
      const found = (selector: string) =>
        Effect.map(RunFolder.resolve(root, selector), ({ id, program }) => `${program}/${id}`)
      assert.strictEqual(yield* found("20261122-211530-k3f9"), a)
      assert.strictEqual(yield* found("k3f9"), a)
      assert.strictEqual(yield* found("20261122-211531"), b)
      assert.strictEqual(yield* found("20261123"), c)
      assert.strictEqual(yield* found("@latest"), c)
      assert.strictEqual(yield* found("bace@latest"), b)
      assert.strictEqual(
        yield* reason(found("2026")),
        `run '2026': several begin or end so; give more of one of\n  ${a}\n  ${b}\n  ${c}`
      )
      assert.include(yield* reason(found("zzzz")), `none in ${root} begins or ends so; the last ones are\n  ${a}`)
      assert.include(yield* reason(found("qm9@latest")), "there are runs of\n  bace\n  cola")
      assert.include(yield* reason(found("@latest/..")), "it has no manifest.json")
      assert.include(yield* reason(RunFolder.resolve(`${root}/nowhere`, "@latest")), "there are no runs in")
      assert.strictEqual(yield* found(`${root}/${a}`), a)
    })
  )
})

const Note = Schema.Struct({ n: Schema.Number, text: Schema.String })

layer(NodeServices.layer)("JsonFile", (it) => {
  it.effect("gives back what was written, infinities included, and leaves nothing else", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      const file = `${directory}/note.json`
      yield* JsonFile.write(file, Note, { n: -Infinity, text: "a" })
      yield* JsonFile.write(file, Note, { n: NaN, text: "b" })
      assert.deepStrictEqual(yield* JsonFile.read(file, Note), { n: NaN, text: "b" })
      assert.strictEqual(yield* fs.readFileString(file), '{\n  "n": "NaN",\n  "text": "b"\n}\n')
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["note.json"])
    })
  )

  it.effect("is read whole while it is being replaced by two writers", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporary
      const file = `${directory}/note.json`
      const put = (n: number) => JsonFile.write(file, Note, { n, text: String(n).repeat(50_000) })
      yield* put(1)
      const writing = Effect.forEach(Array.from({ length: 15 }), () => Effect.all([put(1), put(2)], { concurrency: 2 }))
      const reading = Effect.forEach(Array.from({ length: 60 }), () =>
        Effect.map(JsonFile.read(file, Note), ({ n, text }) => assert.strictEqual(text, String(n).repeat(50_000)))
      )
      yield* Effect.all([writing, reading], { concurrency: 2 })
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["note.json"])
    })
  )

  it.effect("names the file and what is wrong with it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* temporary}/note.json`
      assert.include(yield* reason(JsonFile.read(file, Note)), file)
      yield* fs.writeFileString(file, '{"n":1}')
      assert.include(yield* reason(JsonFile.read(file, Note)), `${file}: Missing key\n  at ["text"]`)
      assert.include(yield* reason(JsonFile.write(`${file}/x`, Note, { n: 1, text: "" })), `${file}/x: `)
    })
  )
})
