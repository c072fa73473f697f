import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as ExecutableFiles from "../../../src/engines/xla/ExecutableFiles.ts"
import * as XlaEngine from "../../../src/engines/xla/XlaEngine.ts"
import * as Product from "../../../src/levels/Product.ts"
import * as Solver from "../../../src/levels/Solver.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import { triLevel } from "../../support/programs.ts"

const scratch = mkdtempSync(join(tmpdir(), "tapweight-executables-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)

describe("executables on the disk", () => {
  const within = (name: string) => join(scratch, name)
  const only = (folder: string) => {
    const names = readdirSync(folder)
    assert.lengthOf(names, 1)
    return join(folder, names[0]!)
  }

  it("are read back by the same program and the same makers alone", async () => {
    const files = ExecutableFiles.make(within("same"), ["cpu", Uint8Array.of(1)])
    assert.isUndefined(await files.read("program"))
    await files.write("program", bytes)
    assert.deepStrictEqual(Uint8Array.from((await files.read("program"))!), bytes)
    assert.isUndefined(await files.read("program "))
    for (const makers of [
      ["cpu"],
      ["cpu", Uint8Array.of(2)],
      ["cp", "u", Uint8Array.of(1)],
      ["cpu", "", Uint8Array.of(1)]
    ])
      assert.isUndefined(await ExecutableFiles.make(within("same"), makers).read("program"))
    // What lies here is run.
    assert.strictEqual(statSync(within("same")).mode & 0o77, 0)
    assert.strictEqual(statSync(only(within("same"))).mode & 0o77, 0)
  })

  const spoilt: { readonly [what: string]: (file: string) => void } = {
    torn: (file) => truncateSync(file, 500),
    empty: (file) => truncateSync(file, 0),
    changed: (file) => {
      const content = readFileSync(file)
      content[content.length - 1]! ^= 1
      writeFileSync(file, content)
    },
    foreign: (file) => writeFileSync(file, "something else")
  }
  for (const [what, spoil] of Object.entries(spoilt))
    it(`that are ${what} are none, and are removed`, async () => {
      const files = ExecutableFiles.make(within(what), [])
      await files.write("program", bytes)
      spoil(only(within(what)))
      assert.isUndefined(await files.read("program"))
      assert.deepStrictEqual(readdirSync(within(what)), [])
    })

  it("have a bound together: what was not used for the longest time goes", async () => {
    const files = ExecutableFiles.make(within("bound"), [], 2500)
    for (const program of ["a", "b"]) {
      await files.write(program, bytes)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.isDefined(await files.read("a"))
    await new Promise((resolve) => setTimeout(resolve, 20))
    await files.write("c", bytes)
    assert.isDefined(await files.read("a"))
    assert.isUndefined(await files.read("b"))
    assert.isDefined(await files.read("c"))
  })

  it("where the disk takes none there are none, and no error", async () => {
    mkdirSync(scratch, { recursive: true })
    writeFileSync(within("file"), "")
    const files = ExecutableFiles.make(within("file"), [])
    await files.write("program", bytes)
    assert.isUndefined(await files.read("program"))
  })
})

const estimator = Hypergradient.implicit({
  solver: Solver.identity,
  product: Product.finiteDifference({ radius: 0.1 })
})

/** The state after some ticks, with or without executables of earlier runs. */
const ended = (cache: string | false) =>
  Run.ticks(triLevel({ estimator }), { ticks: 6, seed: 1 }).pipe(
    Stream.filter(({ index }) => index === 6),
    Stream.mapEffect((tick) => tick.snapshot),
    Stream.runCollect,
    Effect.map(([state]) => Tree.hostEntries(state as never).map(([path, { data }]) => [path, [...data]] as const)),
    Effect.provide(XlaEngine.layer({ cache }))
  )

const here = process.env["TAPWEIGHT_PJRT_PLUGIN"] !== undefined
if (!here) process.stdout.write("skipped: no PJRT plugin is here to run executables of earlier runs\n")

describe.runIf(here)("a run on executables of an earlier run", () => {
  it.live("ends in the same bits, whatever became of the files", () =>
    Effect.gen(function* () {
      const cache = join(scratch, "runs")
      const wanted = yield* ended(false)
      assert.deepStrictEqual(yield* ended(cache), wanted)
      const files = readdirSync(cache)
      const inodes = () => files.map((name) => statSync(join(cache, name)).ino)
      const before = inodes()
      assert.isAbove(files.length, 1)
      assert.deepStrictEqual(yield* ended(cache), wanted)
      // They were read: one that is compiled anew is written anew.
      assert.deepStrictEqual([readdirSync(cache), inodes()], [files, before])
      for (const name of files) truncateSync(join(cache, name), 100)
      assert.deepStrictEqual(yield* ended(cache), wanted)
      assert.sameMembers(readdirSync(cache), files)
      assert.isTrue(files.every((name) => statSync(join(cache, name)).size > 100))
    })
  )
})
