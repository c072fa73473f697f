import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NdArray, Seed } from "tapweight"
import * as Brown from "../../brown/Corpus.ts"
import * as Masking from "../../common/Masking.ts"
import * as Passages from "../../text/Passages.ts"
import * as TextBatches from "../../text/TextBatches.ts"
import { partsOf } from "../support/parts.ts"
import * as Vocabulary from "../../text/Vocabulary.ts"

const documents = await Effect.runPromise(Brown.corpus.pipe(Effect.provide(NodeServices.layer)))
const seed = Seed.make(7)
const split = Passages.split(seed, documents, { validation: 0.2, test: 0.2 })
const vocabulary = Vocabulary.make(split.unlabelled, 2000)
const [batch, length] = [16, 32]
const half = 14
const dataset = TextBatches.pretraining(split.unlabelled, vocabulary, { batch, length })

/** Batches 0 … count - 1 as plain arrays. */
const draw = (count: number) =>
  Effect.gen(function* () {
    const sample = yield* dataset.open
    return yield* Effect.forEach(
      Array.from({ length: count }, (_, i) => i),
      (index) => sample(seed, index)
    )
  })

const data = (array: NdArray.NdArray | undefined) => [...array!.data]
const mean = (xs: ReadonlyArray<number>) => xs.reduce((sum, x) => sum + x, 0) / xs.length

describe("pretraining", () => {
  it.effect("draws what it declares", () =>
    Effect.gen(function* () {
      const [first] = yield* draw(1)
      const declared = Object.entries(dataset.fields).map(([name, { dtype, shape }]) => [name, dtype, shape])
      const drawn = Object.entries(first!).map(([name, { dtype, shape }]) => [name, dtype, shape])
      assert.deepStrictEqual(drawn, declared)
      for (const { shape, data } of Object.values(first!)) assert.strictEqual(data.length, NdArray.size(shape))
    })
  )

  it.effect("is a function of (seed, index)", () =>
    Effect.gen(function* () {
      const [sample, again] = [yield* dataset.open, yield* dataset.open]
      const third = yield* sample(seed, 3)
      yield* again(seed, 8)
      assert.deepStrictEqual(yield* again(seed, 3), third)
      const others = [yield* sample(seed, 4), yield* sample(Seed.fold(seed, 1), 3)]
      for (const other of others) {
        for (const name of Object.keys(third)) {
          if (name === "mlmWeights") continue
          assert.notDeepEqual(other[name], third[name], name)
        }
      }
      assert.notDeepEqual(data(third["firstKey"]), data(third["secondKey"]))
    })
  )

  it.effect("segments really follow each other, in the order that the label states", () =>
    Effect.gen(function* () {
      const text = (part: ReadonlyArray<Brown.Document>) =>
        part.map((document) => `,${Vocabulary.encode(vocabulary, document.sentences.flat()).join()},`)
      const [seen, tested] = [text(split.unlabelled), text(partsOf(split).test)]
      for (const { ids, sopLabels } of yield* draw(4)) {
        for (let row = 0; row < batch; row++) {
          const tokens = data(ids).slice(row * length, (row + 1) * length)
          const [a, b] = [tokens.slice(1, 1 + half), tokens.slice(2 + half, 2 + 2 * half)]
          const { CLS, PAD, SEP } = Vocabulary
          assert.deepStrictEqual(tokens, [CLS, ...a, SEP, ...b, SEP, PAD])
          const stretch = `,${(sopLabels!.data[row] === 1 ? [...b, ...a] : [...a, ...b]).join()},`
          assert.isTrue(seen.some((document) => document.includes(stretch)))
          assert.isFalse(tested.some((document) => document.includes(stretch)))
        }
      }
    })
  )

  it.effect("order labels and coins are fair, and tell nothing of each other", () =>
    Effect.gen(function* () {
      const batches = yield* draw(200)
      const orders = batches.flatMap((batch) => data(batch["sopLabels"]))
      const coins = batches.flatMap((batch) => data(batch["coinLabels"]))
      // Five standard deviations of 3,200 fair flips: 5 · 0.5 / √3200.
      for (const flips of [orders, coins, orders.map((order, i) => order ^ coins[i]!)]) {
        assert.approximately(mean(flips), 0.5, 0.045)
      }
    })
  )

  it.effect("hidden words stand where the positions say", () =>
    Effect.gen(function* () {
      for (const { ids, mlmIds, mlmPositions, mlmTargets, mlmWeights } of yield* draw(20)) {
        const hidden = new Set<number>()
        for (const [slot, weight] of data(mlmWeights).entries()) {
          const at = mlmPositions!.data[slot]!
          if (weight === 0) {
            assert.deepStrictEqual([at, mlmTargets!.data[slot]], [0, Vocabulary.PAD])
            continue
          }
          hidden.add(at)
          assert.strictEqual(mlmTargets!.data[slot], ids!.data[at])
          assert.strictEqual(Math.floor(at / length), Math.floor(slot / Masking.slots(length)))
        }
        assert.strictEqual(hidden.size, mean(data(mlmWeights)) * mlmWeights!.data.length)
        for (const [at, id] of data(mlmIds).entries()) if (!hidden.has(at)) assert.strictEqual(id, ids!.data[at])
      }
    })
  )

  it.effect("hides 15 % of the words: 80 % masked, 10 % random, 10 % kept", () =>
    Effect.gen(function* () {
      const counts = { words: 0, hidden: 0, masked: 0, kept: 0 }
      for (const { ids, mlmIds, mlmPositions, mlmWeights } of yield* draw(300)) {
        counts.words += batch * 2 * half
        for (const [slot, weight] of data(mlmWeights).entries()) {
          const at = mlmPositions!.data[slot]!
          counts.hidden += weight
          if (weight === 1 && mlmIds!.data[at] === Vocabulary.MASK) counts.masked++
          if (weight === 1 && mlmIds!.data[at] === ids!.data[at]) counts.kept++
        }
      }
      assert.approximately(counts.hidden / counts.words, 0.15, 0.002)
      assert.approximately(counts.masked / counts.hidden, 0.8, 0.015)
      assert.approximately(counts.kept / counts.hidden, 0.1, 0.01)
    })
  )

  it.effect("costs less than 2 ms a batch", () =>
    Effect.gen(function* () {
      yield* draw(50)
      const sample = yield* dataset.open
      const start = performance.now()
      for (let index = 0; index < 100; index++) yield* sample(seed, index)
      assert.isBelow((performance.now() - start) / 100, 2)
    })
  )

  it.effect("says what to change where no document is long enough", () =>
    Effect.gen(function* () {
      const opened = (length: number) =>
        Effect.flip(TextBatches.pretraining([documents[0]!], vocabulary, { batch, length }).open)
      assert.match((yield* opened(10_000)).message, /none of 1 documents holds two segments of 4998 words/)
      assert.match((yield* opened(4)).message, /a length of at least 5/)
    })
  )
})

describe("classification", () => {
  const rows: Passages.Rows = {
    ids: NdArray.int32([5, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    labels: NdArray.int32([5], [0, 1, 2, 3, 4])
  }

  it.effect("draws each row once an epoch, with its label", () =>
    Effect.gen(function* () {
      const sample = yield* TextBatches.classification(rows, { batch: 1 }).open
      const seen = yield* Effect.forEach([0, 1, 2, 3, 4], (index) => sample(seed, index))
      assert.deepStrictEqual(seen.flatMap(({ labels }) => data(labels)).sort(), [0, 1, 2, 3, 4])
      for (const { ids, labels } of seen) assert.strictEqual(ids!.data[0], 2 * labels!.data[0]!)
    })
  )

  it("inOrder visits every row once, in batches of one shape", () => {
    const batches = TextBatches.inOrder(rows, 2)
    assert.deepStrictEqual(
      batches.map(({ ids, labels, count }) => [ids.shape, data(labels), count]),
      [
        [[2, 2], [0, 1], 2],
        [[2, 2], [2, 3], 2],
        [[2, 2], [4, 4], 1]
      ]
    )
    assert.deepStrictEqual(data(batches[2]!.ids), [8, 9, 8, 9])
  })
})
