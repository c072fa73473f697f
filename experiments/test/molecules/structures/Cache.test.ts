import { spawn } from "node:child_process"
import { copyFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, layer } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Logger from "effect/Logger"
import { Seed } from "tapweight"
import { Chemistry } from "../../../molecules/rdkit/Chemistry.ts"
import type * as Descriptor from "../../../molecules/rdkit/Descriptor.ts"
import * as Cache from "../../../molecules/structures/Cache.ts"
import type * as Headway from "../../../molecules/structures/Headway.ts"
import * as Molecules from "../../../molecules/structures/Molecules.ts"
import * as Store from "../../../molecules/structures/Store.ts"

const kind = { name: "maccs" } as const
// Long enough that the file has many pages.
const smiles = Array.from({ length: 2 * Cache.chunk + 100 }, (_, i) => `molecule ${i} ${"-".repeat(200)}`)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const descriptionOf = (one: string): Descriptor.Description =>
  one.includes("0 ") ? { reason: "refused" } : new TextEncoder().encode(one)

/** A chemistry that needs no chemist: the description is the text, every tenth row is refused, and calls are counted. */
const counted = () => {
  const calls: Array<number> = []
  const chemistry = Chemistry.of({
    workers: 2,
    describe: (_, list) =>
      Effect.sync(() => {
        calls.push(list.length)
        return list.map(descriptionOf)
      })
  })
  return { calls, provided: Effect.provideService(Chemistry, chemistry) }
}

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
const warned = () => {
  const words: Array<string> = []
  const logger = Logger.make(({ message }) => void words.push(String(message)))
  return { words, provided: Effect.provide(Logger.layer([logger])) }
}

layer(NodeServices.layer, { excludeTestServices: true })("Cache", (it) => {
  it.effect("gives back every description, by row, and works each out once", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { calls, provided } = counted()
      const heard: Array<Headway.Headway> = []
      const listener = (now: Headway.Headway) => Effect.sync(() => void heard.push(now))
      const found = yield* provided(Cache.descriptions(folder, kind, smiles, { listener }))
      assert.deepStrictEqual(
        calls.toSorted((a, b) => b - a),
        [512, 512, 100]
      )
      for (const [row, one] of smiles.entries()) {
        assert.deepStrictEqual(found.dropped(row), row % 10 === 0 ? { reason: "refused" } : undefined)
        assert.strictEqual(text(found.read(row)), row % 10 === 0 ? "" : one)
      }
      assert.deepStrictEqual(heard.map(({ done, total }) => [done, total]).at(-1), [1124, 1124])
      assert.isAbove(heard.at(-1)!.rate, 0)
      const again = yield* provided(Cache.descriptions(folder, kind, smiles, { listener }))
      assert.strictEqual(calls.length, 3)
      assert.strictEqual(heard.at(-1)!.rate, 0)
      assert.strictEqual(text(again.read(1123)), smiles[1123])
      assert.throws(() => again.read(1124), /row 1124 of 1124/)
    })
  )

  it.effect("goes by molecule: any list finds those that were described, another kind or size finds nothing", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { calls, provided } = counted()
      const run = (descriptor: Descriptor.Descriptor, list: ReadonlyArray<string>) =>
        Effect.map(provided(Cache.descriptions(folder, descriptor, list)), () =>
          calls.splice(0).toSorted((a, b) => b - a)
        )
      assert.deepStrictEqual(yield* run(kind, smiles.slice(0, 500)), [500])
      assert.deepStrictEqual(yield* run(kind, smiles), [512, 100, 12])
      assert.deepStrictEqual(yield* run(kind, smiles.slice(1).toReversed()), [])
      assert.deepStrictEqual(yield* run(kind, ["a", "b", "a", "a"]), [2])
      assert.deepStrictEqual(yield* run({ name: "picture", size: 32 }, smiles.slice(0, 10)), [10])
      assert.deepStrictEqual(yield* run({ name: "picture", size: 33 }, smiles.slice(0, 10)), [10])
      assert.deepStrictEqual(yield* run({ name: "picture", size: 32 }, smiles.slice(0, 10)), [])
      assert.deepStrictEqual(yield* run(kind, []), [])
    })
  )

  it.effect("the longest and the oddest come back as they were", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const list = ["long", "it's; drop table entries --", "short", "\u0000\n\ud83e\uddea", ""]
      const bytes = [
        new Uint8Array(2_000_000).fill(7),
        Uint8Array.of(0),
        Uint8Array.of(1),
        Uint8Array.of(0, 0),
        Uint8Array.of(255)
      ]
      const chemistry = Chemistry.of({ workers: 1, describe: () => Effect.succeed(bytes) })
      yield* Effect.provideService(Cache.descriptions(folder, kind, list), Chemistry, chemistry)
      const { calls, provided } = counted()
      const found = yield* provided(Cache.descriptions(folder, kind, list))
      assert.deepStrictEqual(calls, [])
      for (const [row, one] of bytes.entries()) assert.deepStrictEqual(Buffer.from(found.read(row)), Buffer.from(one))
    })
  )

  const flip = (file: string, at: number): void => {
    const bytes = readFileSync(file)
    bytes[at]! ^= 1
    writeFileSync(file, bytes)
  }
  const changeEntry = (file: string, change: string): void => {
    const database = new DatabaseSync(file)
    database.exec(`update entries set ${change} where key = '${smiles[7]}'`)
    database.close()
  }
  const harm: { readonly [name: string]: (file: string) => void } = {
    "cut in half": (file) => truncateSync(file, readFileSync(file).length >> 1),
    "cut within its first page": (file) => truncateSync(file, 99),
    "another kind of file": (file) => writeFileSync(file, "x".repeat(99_999)),
    "overwritten behind its first page": (file) => {
      const bytes = readFileSync(file)
      writeFileSync(file, bytes.fill(0x5a, 4096))
    },
    "changed in one entry": (file) =>
      flip(file, readFileSync(file).lastIndexOf(smiles[7]!.repeat(2)) + smiles[7]!.length + 3),
    "changed in what an entry holds": (file) => changeEntry(file, "bytes = x'00'"),
    "robbed of what an entry holds": (file) => changeEntry(file, "bytes = null"),
    "changed in a time": (file) => changeEntry(file, "bytes = null, seconds = 1000")
  }
  for (const [name, damage] of Object.entries(harm)) {
    it.effect(`a file that is ${name} is worked out again, with a warning`, () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const { calls, provided } = counted()
        yield* Effect.scoped(provided(Cache.descriptions(folder, kind, smiles)))
        calls.splice(0)
        damage(Cache.fileIn(folder))
        const { provided: heard, words } = warned()
        const found = yield* heard(provided(Cache.descriptions(folder, kind, smiles)))
        assert.isAtLeast(calls.length, 1)
        assert.lengthOf(words, 1)
        assert.match(words[0]!, /\.sqlite: .*worked out again/)
        for (const [row, one] of smiles.entries()) {
          assert.strictEqual(text(found.read(row)), row % 10 === 0 ? "" : one, name)
        }
        yield* provided(Cache.descriptions(folder, kind, smiles))
        assert.lengthOf(words, 1)
      })
    )
  }

  it.effect("no flipped bit, wherever it is, makes other descriptions", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const list = smiles.slice(0, 40)
      const { provided } = counted()
      const file = Cache.fileIn(folder)
      yield* Effect.scoped(provided(Cache.descriptions(folder, kind, list)))
      const whole = join(folder, "whole")
      copyFileSync(file, whole)
      const { length } = readFileSync(whole)
      for (const place of Seed.integers(Seed.make(11), 60, length)) {
        rmSync(`${file}.damaged`, { force: true })
        copyFileSync(whole, file)
        flip(file, place)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const found = yield* warned().provided(provided(Cache.descriptions(folder, kind, list)))
            for (const [row, one] of list.entries()) {
              assert.strictEqual(text(found.read(row)), row % 10 === 0 ? "" : one, `byte ${place}`)
            }
          })
        )
      }
    })
  )

  it.effect("an entry that changes after it was checked is a typed error that names it", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { provided } = counted()
      const found = yield* provided(Cache.descriptions(folder, kind, smiles))
      changeEntry(Cache.fileIn(folder), "bytes = x'00'")
      assert.throws(() => found.read(7), Store.CacheError, /the maccs of molecule 7 .* has changed since/)
      assert.strictEqual(text(found.read(8)), smiles[8])
    })
  )

  it.effect("a full disk is a typed error", () =>
    Effect.sync(() => {
      const database = new DatabaseSync(":memory:")
      database.exec("pragma max_page_count = 3; create table t (x blob)")
      let error: unknown
      try {
        database.exec("insert into t values (zeroblob(100000))")
      } catch (thrown) {
        error = thrown
      }
      const { message, problem } = Store.errorOf("FILE")(error)
      assert.strictEqual(problem, "disk full")
      assert.match(message, /FILE: the disk is full.*run the same again/)
    })
  )

  it.effect("what was written before another chunk failed is kept", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { calls, provided } = counted()
      const broken = Chemistry.of({
        workers: 1,
        describe: (_, list) =>
          list.includes(smiles[1123]!) ? Effect.die("power cut") : Effect.succeed(list.map(descriptionOf))
      })
      const exit = yield* Effect.exit(
        Effect.scoped(Effect.provideService(Cache.descriptions(folder, kind, smiles), Chemistry, broken))
      )
      assert.strictEqual(exit._tag, "Failure")
      const found = yield* provided(Cache.descriptions(folder, kind, smiles))
      assert.deepStrictEqual(calls, [100])
      assert.strictEqual(text(found.read(1)), smiles[1])
    })
  )

  it.effect("a folder that cannot be made is a typed error", () =>
    Effect.gen(function* () {
      const folder = join(yield* temporary, "file")
      writeFileSync(folder, "")
      const error = yield* Effect.flip(counted().provided(Cache.descriptions(folder, kind, smiles)))
      assert.strictEqual(error._tag === "CacheError" ? error.problem : error._tag, "unusable")
    })
  )

  it.effect("processes that work on the same molecules at once end with the same, and say nothing", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const script = join(folder, "script.ts")
      const room = new URL("../../../molecules/", import.meta.url)
      writeFileSync(
        script,
        `import { createHash } from "node:crypto"
        import * as Effect from ${JSON.stringify(import.meta.resolve("effect/Effect"))}
        import { Chemistry } from ${JSON.stringify(new URL("rdkit/Chemistry.ts", room).href)}
        import * as Cache from ${JSON.stringify(new URL("structures/Cache.ts", room).href)}
        const list = Array.from({ length: 5000 }, (_, i) => "molecule " + i)
        const chemistry = Chemistry.of({
          workers: 2,
          describe: (_, some) => Effect.as(Effect.sleep(5), some.map((one) => new TextEncoder().encode(one)))
        })
        process.stdin.once("data", async () => {
          const sha256 = await Effect.runPromise(
            Effect.scoped(
              Effect.map(
                Effect.provideService(Cache.descriptions(process.argv[2], { name: "maccs" }, list), Chemistry, chemistry),
                (found) => {
                  const hash = createHash("sha256")
                  for (const row of list.keys()) hash.update(found.read(row))
                  return hash.digest("hex")
                }
              )
            )
          )
          console.log(sha256)
          process.exit()
        })
        console.log("ready")`
      )
      const run = () => {
        const child = spawn(process.execPath, ["--conditions=tapweight-source", script, folder])
        let [out, err] = ["", ""]
        child.stderr.on("data", (chunk) => (err += chunk))
        const ready = new Promise<void>((resolve) =>
          child.stdout.on("data", (chunk) => {
            out += chunk
            if (out.startsWith("ready")) resolve()
          })
        )
        const ended = new Promise<readonly [string, string, number | null]>((resolve) =>
          child.on("close", (code) => resolve([out.trim().split("\n").at(-1)!, err, code]))
        )
        return { ready, ended, go: () => child.stdin.write("go\n") }
      }
      const children = [run(), run(), run()]
      yield* Effect.promise(() => Promise.all(children.map(({ ready }) => ready)))
      for (const { go } of children) go()
      const ends = yield* Effect.promise(() => Promise.all(children.map(({ ended }) => ended)))
      assert.match(ends[0]![0], /^[0-9a-f]{64}$/)
      assert.deepStrictEqual(ends, [ends[0]!, ends[0]!, ends[0]!])
      assert.deepStrictEqual(ends[0]!.slice(1), ["", 0])
      assert.deepStrictEqual(readdirSync(dirname(Cache.fileIn(folder))), [Cache.fileIn(folder).split("/").at(-1)!])
    })
  )

  it.effect("clusters are kept too, and found by keys, number, seed and iterations", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const keys = Array.from({ length: 40 }, (_, i) => Uint8Array.from({ length: 21 }, (_, byte) => (i * byte) % 251))
      let iterations = 0
      const run = (k: number, seed: number, list = keys) =>
        Molecules.clusters(list, {
          k,
          seed: Seed.make(seed),
          folder,
          onIteration: () => Effect.sync(() => void iterations++)
        })
      const first = yield* run(5, 1)
      const worked = iterations
      assert.deepStrictEqual(yield* run(5, 1), first)
      assert.strictEqual(iterations, worked)
      yield* run(5, 2)
      assert.isAbove(iterations, worked)
      const { provided, words } = warned()
      for (const spoil of [
        "update entries set bytes = x'7b'",
        `update entries set bytes = cast(replace(cast(bytes as text), '"labels":[', '"labels":[1') as blob)`
      ]) {
        const database = new DatabaseSync(Cache.fileIn(folder))
        database.exec(spoil)
        database.close()
        assert.deepStrictEqual(yield* provided(run(5, 1)), first)
        assert.match(words.join(), /clusters are damaged; they are worked out again/)
        yield* provided(run(5, 2))
        words.splice(0)
      }
      assert.strictEqual((yield* provided(run(1000, 1))).k, 40)
      assert.match(words.join(), /1000 clusters asked for, and 40 distinct MACCS keys among 40 molecules: made 40/)
    })
  )

  it.effect("is where the environment says", () =>
    Effect.sync(() => {
      const names = ["TAPWEIGHT_CACHE", "XDG_CACHE_HOME"] as const
      const before = names.map((name) => process.env[name])
      const set = (values: ReadonlyArray<string | undefined>) => {
        for (const [i, name] of names.entries()) {
          delete process.env[name]
          if (values[i] !== undefined) process.env[name] = values[i]
        }
        return Cache.defaultFolder()
      }
      assert.strictEqual(set(["/a", "/b"]), "/a")
      assert.strictEqual(set([undefined, "/b"]), "/b/tapweight")
      assert.strictEqual(set([undefined, undefined]), join(homedir(), ".cache", "tapweight"))
      set(before)
    })
  )
})
