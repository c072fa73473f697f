import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NodeServices, Seed, Split } from "tapweight"
import * as Digits from "../../digits/Digits.ts"
import * as Pretext from "../../digits/Pretext.ts"
import * as Questions from "../../digits/Questions.ts"
import { defaults } from "../../digits/Settings.ts"
import * as Task from "../../digits/Task.ts"
import { folderOf } from "../support/files.ts"

const services = Effect.provide(NodeServices.layer)
const changes: Pretext.Changes = { views: { shift: 1, turn: 15, zoom: 0.2 }, hole: 7 }

describe("digits", () => {
  it.live("are ten thousand, of ten kinds, with ink between 0 and 1", () =>
    Effect.gen(function* () {
      const { ink, labels } = yield* Digits.all
      assert.strictEqual(labels.length, 10_000)
      assert.strictEqual(ink.length, 10_000 * Digits.pixels)
      assert.strictEqual(new Set(labels).size, Digits.classes)
      const [least, most] = ink.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [1, 0] as [number, number])
      assert.deepStrictEqual([least, most], [0, 1])
    }).pipe(services)
  )

  const zeros = (count: number) => Array.from({ length: count }, () => 0)
  const broken: ReadonlyArray<readonly [what: string, content: string, reason: RegExp]> = [
    ["is not JSON", "{", /3\.json is not JSON: run npm ci/],
    ["is cut short", JSON.stringify({ data: zeros(783) }), /3\.json holds no pictures of 28 by 28 numbers/],
    ["has ink of 2", JSON.stringify({ data: [2, ...zeros(783)] }), /3\.json holds a pixel outside of 0 to 1/]
  ]
  for (const [what, content, reason] of broken)
    it.effect(`a file that ${what} is an error that names it`, () =>
      Effect.gen(function* () {
        const whole = JSON.stringify({ data: zeros(784) })
        const files = Array.from({ length: 10 }, (_, i) => [`${i}.json`, i === 3 ? content : whole])
        const error = yield* Effect.flip(Digits.read(yield* folderOf(Object.fromEntries(files))))
        assert.match(error.message, reason)
      }).pipe(Effect.scoped, services)
    )

  it.live("are in one part each, as many of every digit, and anew for every seed", () =>
    Effect.gen(function* () {
      const { labels } = yield* Digits.all
      const parts = (seed: number) =>
        Effect.map(Task.split(labels, defaults, Seed.make(seed)), ({ unlabelled, ...split }) => {
          const all: Array<ReadonlyArray<number>> = [unlabelled]
          Split.map(split, (rows) => void all.push(rows))
          return all
        })
      const [first, second] = [yield* parts(0), yield* parts(1)]
      assert.strictEqual(first.flat().length, 10_000)
      assert.strictEqual(new Set(first.flat()).size, 10_000)
      const { test, train, validation } = defaults.perDigit
      for (const [i, count] of [train, validation, test].entries()) {
        const rows = first[i + 1]!
        assert.strictEqual(rows.length, count * Digits.classes)
        for (let digit = 0; digit < 10; digit++) {
          assert.strictEqual(rows.filter((row) => labels[row] === digit).length, count)
        }
      }
      assert.notDeepEqual(first[1], second[1])
      const many = { perDigit: { ...defaults.perDigit, test: 900 } }
      assert.match((yield* Effect.flip(Task.split(labels, many, Seed.make(0)))).message, /863 pictures.*asks for 930/)
    }).pipe(services)
  )
})

describe("what pictures are asked", () => {
  const count = 24
  const clean = Float32Array.from(Seed.uniform(Seed.make(3), count * Digits.pixels))
  const picture = (ink: Float32Array, i: number) => Array.from(ink.subarray(i * Digits.pixels, (i + 1) * Digits.pixels))
  const asked = Pretext.ask(clean, changes, Seed.make(4))

  it("has its answer: turning back, cutting up anew, and looking beside the cover", () => {
    const side = Digits.side
    for (let i = 0; i < count; i++) {
      let back = picture(asked.turned, i)
      // A quarter turn against the one that was made.
      for (let k = 0; k < asked.turns[i]!; k++) {
        back = back.map((_, at) => back[(at % side) * side + side - 1 - Math.floor(at / side)]!)
      }
      assert.deepStrictEqual(back, picture(clean, i))
      const sorted = (ink: ReadonlyArray<number>) => ink.toSorted((a, b) => a - b)
      assert.deepStrictEqual(sorted(picture(asked.shuffled, i)), sorted(picture(clean, i)))
      const changed = picture(asked.covered, i).filter((v, at) => v !== picture(clean, i)[at])
      assert.isAtMost(changed.length, 49)
      assert.isTrue(changed.every((v) => v === 0))
      for (let j = 0; j < i; j++) {
        if (asked.order[i] !== asked.order[j]) continue
        // One answer is one way of putting quarters: the same places have moved.
        const moves = (n: number) => picture(asked.shuffled, n).map((v) => picture(clean, n).indexOf(v))
        assert.deepStrictEqual(moves(i), moves(j))
      }
    }
    assert.strictEqual(new Set(asked.turns).size, Pretext.answers.rotation)
    assert.isAbove(new Set(asked.order).size, 8)
  })

  it("is the picture itself where a view is not changed, and depends on the seed alone", () => {
    const still = Pretext.ask(clean, { views: { shift: 0, turn: 0, zoom: 0 }, hole: 0 }, Seed.make(4))
    for (const ink of [still.first, still.second, still.covered]) assert.deepStrictEqual(ink, clean)
    assert.notDeepEqual(asked.first, asked.second)
    assert.deepStrictEqual(Pretext.ask(clean, changes, Seed.make(4)), asked)
    assert.notDeepEqual(Pretext.ask(clean, changes, Seed.make(5)).order, asked.order)
  })

  it.live("is drawn as one picture", () =>
    Effect.gen(function* () {
      const svg = Questions.chart(yield* Digits.all, changes)
      assert.match(svg, /^<svg [^]*<\/svg>$/)
      for (const name of ["contrast", "rotation", "jigsaw", "fill", "coin"]) assert.include(svg, name)
    }).pipe(services)
  )
})
