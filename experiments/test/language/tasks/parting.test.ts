import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Seed } from "tapweight"
import { partsOf } from "../../support/parts.ts"
import * as Parting from "../../../language/tasks/Parting.ts"
import type { Loaded, PartRead } from "../../../language/tasks/Read.ts"
import * as Subset from "../../../language/tasks/Subset.ts"
import type { Example, Kind } from "../../../language/tasks/Task.ts"

const kind: Kind = { type: "classes", names: ["a", "b", "c"] }
const schema = { name: "made", about: "", labels: ["a", "b", "c"], metric: "accuracy", forms: [] } as const
const part = (examples: ReadonlyArray<Example>): PartRead => ({ sources: [], examples, incomplete: 0 })
const loaded = (parts: { readonly [part: string]: ReadonlyArray<Example> }): Loaded => ({
  schema,
  kind,
  parts: Object.fromEntries(Object.entries(parts).map(([name, rows]) => [name, part(rows)])) as Loaded["parts"]
})
const rows = (labels: ReadonlyArray<number>, prefix = "t"): ReadonlyArray<Example> =>
  labels.map((label, i) => ({ text: `${prefix}${i}`, label }))

const seed = Seed.make(1)
const made = (parts: Loaded, options: Partial<Parting.Options> = {}) =>
  Effect.map(Parting.make(parts, { seed, ...options }), (task) => ({ ...partsOf(task), summary: task.summary }))

const label = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
const labels = Arbitrary.array(Arbitrary.schema(label), { minLength: 40, maxLength: 90 })
const texts = (examples: ReadonlyArray<Example>) => examples.map(({ text }) => text)

describe("the parts of a task", () => {
  it.effect.prop(
    "drawn parts have each row once, and each class as often as its share says",
    { labels },
    ({ labels }) =>
      Effect.gen(function* () {
        const { test, train, validation } = yield* made(loaded({ train: rows(labels) }))
        assert.sameMembers(texts([...train, ...validation, ...test]), texts(rows(labels)))
        for (const wanted of [0, 1, 2]) {
          const count = (examples: ReadonlyArray<Example>) => examples.filter(({ label }) => label === wanted).length
          const all = count(rows(labels))
          assert.closeTo(count(test), all / 10, 0.5 + 1e-9)
          assert.closeTo(count(validation), (all - count(test)) / 9, 0.5 + 1e-9)
        }
      }),
    { arbitrary: { runs: 60, seed: 1 } }
  )

  it.effect.prop(
    "documents stay whole",
    { labels },
    ({ labels }) =>
      Effect.gen(function* () {
        const examples = rows(labels).map((row, i) => ({ ...row, document: `${i % 23}` }))
        const { test, train, validation } = yield* made(loaded({ train: examples }))
        const of = (part: ReadonlyArray<Example>) => new Set(part.map(({ document }) => document!))
        assert.sameMembers(texts([...train, ...validation, ...test]), texts(examples))
        assert.strictEqual(of(train).size + of(validation).size + of(test).size, 23)
        assert.deepStrictEqual([of(validation).size, of(test).size], [2, 2])
      }),
    { arbitrary: { runs: 40, seed: 2 } }
  )

  it.effect("the same seed draws the same parts, another others; what files have is theirs", () =>
    Effect.gen(function* () {
      const own = loaded({ train: rows(Array.from({ length: 90 }, (_, i) => i % 3)), test: rows([0, 1, 2], "u") })
      const first = yield* made(own)
      assert.deepStrictEqual(yield* made(own), first)
      assert.notDeepEqual(texts((yield* made(own, { seed: Seed.make(2) })).validation), texts(first.validation))
      assert.deepStrictEqual([first.train.length, first.validation.length], [81, 9])
      assert.deepStrictEqual(texts(first.test), ["u0", "u1", "u2"])
      assert.strictEqual(first.summary, "made: 81 train, 9 validation, 3 test; validation 11.1 % of rows")
    })
  )

  it.effect("validation is the files' own, or drawn from that and training by any share", () =>
    Effect.gen(function* () {
      const own = loaded({ train: rows(Array(30).fill(0)), validation: rows([0, 1], "v"), test: rows([0], "u") })
      assert.deepStrictEqual(texts((yield* made(own)).validation), ["v0", "v1"])
      const { train, validation } = yield* made(own, { validation: "drawn", share: 0.5 })
      assert.sameMembers(texts([...train, ...validation]), [...texts(rows(Array(30).fill(0))), "v0", "v1"])
      assert.strictEqual(validation.length, 15)
      assert.throws(() => Parting.make(own, { seed, share: 1 }), /share 1 for validation/)
    })
  )

  it.effect("texts of the test part are counted, and dropped with their documents where that is asked for", () =>
    Effect.gen(function* () {
      const of = (document: string, ...texts: ReadonlyArray<string>) =>
        texts.map((text) => ({ text, label: 0, document }))
      const own = loaded({
        train: [...of("1", "a", "b"), ...of("2", "a", "c"), ...of("3", "d")],
        validation: of("4", "e", "f"),
        test: of("9", "a", "b", "f")
      })
      const kept = yield* made(own)
      assert.match(kept.summary, /; 4 rows for training and validation have texts of the test part$/)
      assert.strictEqual(kept.train.length, 5)
      // A document goes with most of its sentences, and stays where it shares one of two.
      const dropped = yield* made(own, { overlap: "drop" })
      assert.deepStrictEqual(texts(dropped.train), ["a", "c", "d"])
      assert.deepStrictEqual(texts(dropped.validation), ["e", "f"])
      assert.match(dropped.summary, /; 2 rows dropped, whose texts are in the test part; 2 rows for training/)
    })
  )

  it.effect("a part that would be empty is refused", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Parting.make(loaded({ train: rows([0, 0]) }), { seed }))
      assert.match(
        error.message,
        /'made': its validation part is empty \(2 rows .*give more rows, or a file for this part/
      )
    })
  )
})

describe("few labels", () => {
  it.effect.prop(
    "more of them are the fewer and others; each class has its share but for one row",
    { labels },
    ({ labels }) =>
      Effect.sync(() => {
        const examples = rows(labels)
        const order = Subset.order(seed, kind, examples)
        assert.sameMembers([...order], [...examples.keys()])
        const all = [0, 1, 2].map((wanted) => labels.filter((label) => label === wanted).length)
        const counts = [0, 0, 0]
        for (const [i, row] of order.entries()) {
          counts[labels[row]!]!++
          for (const [wanted, count] of counts.entries())
            assert.closeTo(count, ((i + 1) * all[wanted]!) / labels.length, 1.5 + 1e-9)
        }
        const [fewer, more] = [10, 25].map((count) => texts(Subset.few(seed, kind, examples, count)))
        assert.includeMembers(more!, fewer!)
        assert.strictEqual(fewer!.length, 10)
        // In the order of the whole: sentences of a document stay in theirs.
        assert.deepStrictEqual(
          more!
            .map((text) => Number(text.slice(1)))
            .sort((a, b) => a - b)
            .map((i) => `t${i}`),
          more
        )
      }),
    { arbitrary: { runs: 60, seed: 3 } }
  )

  it("are drawn by the seed; all where there are no more", () => {
    const examples = rows(Array.from({ length: 90 }, (_, i) => i % 3))
    const few = (n: number) => texts(Subset.few(Seed.make(n), kind, examples, 20))
    assert.deepStrictEqual(few(1), few(1))
    assert.notDeepEqual(few(1), few(2))
    assert.throws(() => Subset.few(seed, kind, examples, 0), /0 examples; give a whole number from 1/)
    assert.deepStrictEqual(Subset.few(seed, kind, examples, 1000), examples)
  })
})
