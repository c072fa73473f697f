import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Logger from "effect/Logger"
import { Seed } from "tapweight"
import * as Cache from "../../../molecules/structures/Cache.ts"
import { Chemistry } from "../../../molecules/structures/Chemistry.ts"
import * as Molecules from "../../../molecules/structures/Molecules.ts"
import * as Records from "../../../molecules/structures/Records.ts"
import * as Shard from "../../../molecules/structures/Shard.ts"

const kind = { name: "maccs" } as const
const smiles = Array.from({ length: 2 * Cache.rowsPerFile + 100 }, (_, i) => `molecule ${i}`)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** A chemistry that needs no chemist: the record is the text, every tenth row is refused, and calls are counted. */
const counted = () => {
  const calls: Array<number> = []
  const chemistry = Chemistry.of({
    workers: 2,
    records: (_, list) =>
      Effect.sync(() => {
        calls.push(list.length)
        return Records.pack(list.map((one) => new TextEncoder().encode(one.endsWith("0") ? "" : one)))
      })
  })
  return { calls, provided: Effect.provideService(Chemistry, chemistry) }
}

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())
const files = (folder: string) => {
  const home = join(folder, "molecules", "maccs")
  return readdirSync(home)
    .sort()
    .map((name) => join(home, name))
}
const warned = () => {
  const said: Array<string> = []
  const logger = Logger.make(({ message }) => void said.push(String(message)))
  return { said, provided: Effect.provide(Logger.layer([logger])) }
}

layer(NodeServices.layer)("Cache", (it) => {
  it.effect("gives back every record, by row, and works each out once", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { calls, provided } = counted()
      const progress: Array<Cache.Progress> = []
      const onProgress = (now: Cache.Progress) => Effect.sync(() => void progress.push(now))
      const found = yield* provided(Cache.records(folder, kind, smiles, { onProgress }))
      assert.deepStrictEqual(
        calls.toSorted((a, b) => b - a),
        [512, 512, 100]
      )
      for (const [row, one] of smiles.entries()) {
        assert.strictEqual(found.refused(row), row % 10 === 0)
        assert.strictEqual(text(found.record(row)), row % 10 === 0 ? "" : one)
      }
      assert.deepStrictEqual(progress.map(({ done, total }) => [done, total]).at(-1), [1124, 1124])
      assert.isAbove(progress.at(-1)!.rate, 0)
      const again = yield* provided(Cache.records(folder, kind, smiles, { onProgress }))
      assert.strictEqual(calls.length, 3)
      assert.strictEqual(progress.at(-1)!.rate, 0)
      assert.strictEqual(text(again.record(1123)), "molecule 1123")
    })
  )

  it.effect("goes by content: a longer list finds its beginning, another list, kind or size finds nothing", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { calls, provided } = counted()
      const run = (kind: Records.Kind, list: ReadonlyArray<string>) =>
        Effect.map(provided(Cache.records(folder, kind, list)), () => calls.splice(0).sort((a, b) => b - a))
      assert.deepStrictEqual(yield* run(kind, smiles.slice(0, 512)), [512])
      assert.deepStrictEqual(yield* run(kind, smiles), [512, 100])
      assert.deepStrictEqual(yield* run(kind, smiles.slice(1)), [512, 512, 99])
      assert.deepStrictEqual(yield* run({ name: "picture", size: 32 }, smiles.slice(0, 10)), [10])
      assert.deepStrictEqual(yield* run({ name: "picture", size: 33 }, smiles.slice(0, 10)), [10])
      assert.deepStrictEqual(yield* run({ name: "picture", size: 32 }, smiles.slice(0, 10)), [])
      assert.deepStrictEqual(yield* run(kind, []), [])
      assert.notStrictEqual(Cache.keyOf("a", "bc"), Cache.keyOf("ab", "c"))
    })
  )

  const harm: { readonly [name: string]: (file: string) => void } = {
    "cut in half": (file) => truncateSync(file, readFileSync(file).length >> 1),
    "cut to nothing": (file) => truncateSync(file, 0),
    "one byte short": (file) => truncateSync(file, readFileSync(file).length - 1),
    "one byte too long": (file) => writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.of(0)])),
    "another kind of file": (file) => writeFileSync(file, "x".repeat(99_999)),
    "changed in one record": (file) => {
      const bytes = readFileSync(file)
      bytes[bytes.length - 3]! ^= 1
      writeFileSync(file, bytes)
    },
    "changed in its index": (file) => {
      const bytes = readFileSync(file)
      bytes[17]! ^= 1
      writeFileSync(file, bytes)
    }
  }
  for (const [name, damage] of Object.entries(harm)) {
    it.effect(`a file that is ${name} is worked out again, with a warning`, () =>
      Effect.gen(function* () {
        const folder = yield* temporary
        const { calls, provided } = counted()
        yield* provided(Cache.records(folder, kind, smiles))
        const before = files(folder).map((file) => readFileSync(file))
        damage(files(folder)[1]!)
        const { provided: heard, said } = warned()
        yield* heard(provided(Cache.records(folder, kind, smiles)))
        assert.strictEqual(calls.length, 4)
        assert.strictEqual(said.length, 1)
        assert.match(said[0]!, /\.rec: .*; it is worked out again/)
        assert.deepStrictEqual(
          files(folder).map((file) => readFileSync(file)),
          before
        )
      })
    )
  }

  it.effect("a file that changes or goes after it was checked is a typed error that names it", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const { provided } = counted()
      const found = yield* provided(Cache.records(folder, kind, smiles))
      harm["changed in one record"]!(files(folder)[0]!)
      harm["changed in one record"]!(files(folder)[1]!)
      harm["changed in one record"]!(files(folder)[2]!)
      const last = [511, 1023, 1123].map((row) => {
        try {
          return found.record(row)
        } catch (error) {
          return error
        }
      })
      for (const error of last) assert.match(String((error as Error).message), /record \d+ has changed since/)
      const gone = yield* provided(Cache.records(folder, kind, smiles))
      for (const file of files(folder)) rmSync(file)
      assert.throws(() => gone.record(1), /no such file/)
    })
  )

  it.effect("a full disk is a typed error that loses nothing: the rest is done when there is room again", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const fs = yield* FileSystem.FileSystem
      const { calls, provided } = counted()
      let written = 0
      const full = FileSystem.FileSystem.of({
        ...fs,
        // The kernel itself says that this device has no space left.
        open: (path, options) =>
          options?.flag === "wx" && ++written > 2 ? fs.open("/dev/full", { flag: "w" }) : fs.open(path, options)
      })
      const error = yield* Effect.flip(
        Effect.provideService(provided(Cache.records(folder, kind, smiles)), FileSystem.FileSystem, full)
      )
      assert.strictEqual(error._tag === "CacheError" ? error.problem : error._tag, "disk full")
      assert.match(error.message, /the disk is full.*run the same again/)
      assert.strictEqual(files(folder).length, 2)
      assert.isTrue(files(folder).every((file) => file.endsWith(".rec")))
      calls.splice(0)
      const found = yield* provided(Cache.records(folder, kind, smiles))
      assert.strictEqual(calls.length, 1)
      assert.strictEqual(text(found.record(1123)), "molecule 1123")
    })
  )

  it.effect("a folder that cannot be made is a typed error", () =>
    Effect.gen(function* () {
      const folder = join(yield* temporary, "file")
      writeFileSync(folder, "")
      const error = yield* Effect.flip(counted().provided(Cache.records(folder, kind, smiles)))
      assert.strictEqual(error._tag === "CacheError" ? error.problem : error._tag, "unwritable")
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
      const home = join(folder, "molecules", "clusters")
      const { provided, said } = warned()
      const spoilt: ReadonlyArray<(text: string) => string> = [
        () => '{"k": 5',
        (text) => text.replace(/"labels":\[(\d)/, (_, digit) => `"labels":[${(Number(digit) + 1) % 5}`),
        (text) => text.replace(/"labels":\[\d,/, '"labels":[')
      ]
      for (const spoil of spoilt) {
        for (const name of readdirSync(home)) {
          const file = join(home, name)
          const text = readFileSync(file, "utf8")
          writeFileSync(file, spoil(text))
          assert.notStrictEqual(readFileSync(file, "utf8"), text)
        }
        assert.deepStrictEqual(yield* provided(run(5, 1)), first)
        assert.match(said.join(), /it is damaged/)
        yield* provided(run(5, 2))
        said.splice(0)
      }
      assert.strictEqual((yield* provided(run(1000, 1))).k, 40)
      assert.match(said.join(), /1000 clusters asked for, and 40 distinct MACCS keys among 40 molecules: made 40/)
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

  it.effect("the longest and the shortest records survive a file", () =>
    Effect.sync(() => {
      const records = [new Uint8Array(0), Uint8Array.of(1), new Uint8Array(100_000).fill(7)]
      const file = Shard.encode(Records.pack(records))
      const index = Shard.check(file, 3)
      assert.isNotString(index)
      if (typeof index === "string") return
      for (const [i, record] of records.entries()) {
        assert.deepStrictEqual(file.slice(index.offsets[i], index.offsets[i + 1]), record)
      }
      assert.match(String(Shard.check(file, 2)), /3 records in place of 2/)
    })
  )
})
