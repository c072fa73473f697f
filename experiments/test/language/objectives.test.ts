import { assert, describe, it } from "@effect/vitest"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, Encoder, Gradient, MaskedHead, NdArray, Objective as Losses, Seed, Tree, Vector } from "tapweight"
import * as Masking from "../../common/Masking.ts"
import type * as Prefixed from "../../common/Prefixed.ts"
import { contrast } from "../../language/objectives/Contrast.ts"
import { masked, wordsOf } from "../../language/objectives/Masked.ts"
import * as Objective from "../../language/objectives/Objective.ts"
import { order, place, placeOf } from "../../language/objectives/Order.ts"
import * as Pooling from "../../language/objectives/Pooling.ts"
import { supervised } from "../../language/objectives/Supervised.ts"
import { halves, joined, type Sentences, tokensOf } from "../../language/objectives/Texts.ts"
import * as Pieces from "../../language/tokenizers/Pieces.ts"
import { config, documents, encoder, head, setting, tokenizer } from "../support/language.ts"

const live = <H extends Tree.HostTree>(host: H): Tree.Live<H> =>
  Tree.toLive(host, ({ data, dtype, shape }) => tf.tensor(data, [...shape], dtype))

const texts = documents(40)
const labelled = {
  rows: Array.from({ length: 12 }, (_, i) => tokenizer.row(tokensOf(texts, i), undefined, setting.length)),
  labels: Array.from({ length: 12 }, (_, i) => i % 3)
}
const scores = { ...labelled, labels: labelled.labels.map((label) => label / 2) }
/** An objective of one's own, as docs/language.md has it. */
const long = (setting: Objective.Setting, texts: Sentences) =>
  Objective.make({
    name: "long",
    data: Objective.batches(
      "long",
      texts.count,
      setting,
      { ...Objective.rowsOf(setting), labels: Dataset.int32([setting.batch]) },
      (items, seed) => ({
        ...Objective.filled(
          setting,
          Array.from(items, (i) => setting.tokenizer.row(tokensOf(texts, i), undefined, setting.length)),
          seed
        ),
        labels: NdArray.int32(
          [setting.batch],
          Array.from(items, (i) => Number(texts.ids(i).length > 12))
        )
      })
    ),
    head: Pooling.head(setting, 2),
    loss: ({ encoder, head }, rows) => Losses.crossEntropy(Pooling.answers(setting, encoder, head, rows), rows.labels)
  })

const all = [
  long(setting, texts),
  masked(setting, texts, { head }),
  masked(setting, documents(9, "other"), { head, name: "mlm-other" }),
  contrast(setting, texts),
  order(setting, texts),
  place(setting, texts),
  supervised(setting, labelled, { type: "classes", names: ["a", "b", "c"] }, { name: "topics" }),
  supervised(setting, scores, { type: "score", range: [0, 1] }, { name: "scores" })
]

type Host = { readonly [field: string]: NdArray.NdArray }
const drawn = (data: Dataset.Dataset.Any, seed: number, ...indices: ReadonlyArray<number>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const sample = yield* data.open as Effect.Effect<(seed: Seed.Seed, index: number) => Effect.Effect<Host>>
      return yield* Effect.forEach(indices, (index) => sample(Seed.make(seed), index))
    })
  )

describe("hidden tokens", () => {
  it("are 15 % of those that are not special: 80 % masked, 10 % others, 10 % as they were", () => {
    const [length, rows] = [40, 2000]
    const words = wordsOf(tokenizer)
    const ids = Int32Array.from(Seed.integers(Seed.make(1), rows * length, tokenizer.size))
    const hidden = Masking.mask(Seed.make(2), ids, length, words)
    let [eligible, used, mask, same] = [0, 0, 0, 0]
    for (const id of ids) eligible += tokenizer.special.has(id) ? 0 : 1
    for (const [slot, weight] of hidden.weights.entries()) {
      if (weight === 0) continue
      const at = hidden.positions[slot]!
      assert.isFalse(tokenizer.special.has(ids[at]!), "a special token was hidden")
      assert.strictEqual(hidden.targets[slot], ids[at])
      assert.strictEqual(Math.floor(at / length), Math.floor(slot / Masking.slots(length)))
      used += 1
      if (hidden.ids[at] === tokenizer.mask) mask += 1
      else {
        assert.isFalse(tokenizer.special.has(hidden.ids[at]!), "a special token was drawn")
        if (hidden.ids[at] === ids[at]) same += 1
      }
    }
    const changed = ids.reduce((sum, id, at) => sum + (hidden.ids[at] === id ? 0 : 1), 0)
    assert.strictEqual(changed, used - same, "what is not hidden was changed")
    /** Five standard deviations of a share of n. */
    const near = (count: number, n: number, share: number) =>
      assert.approximately(count / n, share, 5 * Math.sqrt((share * (1 - share)) / n))
    near(used, eligible, 0.15)
    near(mask, used, 0.8)
    // A random word may be the one that stood there.
    near(same, used, 0.1 + 0.1 / words.others.length)
  })

  it("are others each time, and those of the same sentence are the same for one seed and index", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const { data } = masked(setting, texts, { head })
        const epoch = Math.floor(texts.count / setting.batch)
        const [first, again] = yield* drawn(data, 1, 0, 0)
        assert.deepStrictEqual(first, again)
        const [later] = yield* drawn(data, 1, epoch)
        assert.notDeepEqual(first!["positions"]!.data, later!["positions"]!.data)
        assert.notDeepEqual(first!["key"]!.data, later!["key"]!.data)
      })
    ))
})

describe("objectives", () => {
  it("draw batches that are a function of seed and index, whatever stands beside them", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const together = Objective.together(all)
        const some = Objective.together([all[3]!, all[1]!])
        const [forwards, backwards] = [yield* drawn(together.data, 7, 0, 3, 5), yield* drawn(together.data, 7, 5, 3, 0)]
        assert.deepStrictEqual(forwards, backwards.toReversed())
        const [fewer] = yield* drawn(some.data, 7, 3)
        for (const [name, array] of Object.entries(fewer!)) assert.deepStrictEqual(array, forwards[1]![name], name)
        const [other] = yield* drawn(together.data, 8, 3)
        assert.notDeepEqual(other, forwards[1])
        for (const [name, field] of Object.entries(together.data.fields)) {
          assert.deepStrictEqual([...forwards[0]![name]!.shape], [...field.shape], name)
          assert.strictEqual(forwards[0]![name]!.dtype, field.dtype, name)
        }
      })
    ))

  it("each gives a gradient to the encoder and, once it answers anything, to its own head alone", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const together = Objective.together(all)
        const [host] = yield* drawn(together.data, 1, 0)
        tf.tidy(() => {
          const batch = live(host!) as Prefixed.Batch
          const heads = Tree.mapHost(together.heads(Seed.make(1)), (leaf) => ({
            ...leaf,
            data: leaf.data.map((x, i) => x + 0.01 * Math.sin(i))
          }))
          const theta = live({ encoder, heads }) as Objective.Theta
          for (const { name } of all) {
            const { gradient, loss } = Gradient.valueAndGradient(
              (theta: Objective.Theta) => [together.objectives[name]!(theta, batch), {}] as const,
              theta
            )
            assert.isTrue(Number.isFinite(loss.dataSync()[0]!), name)
            assert.isAbove(Vector.norm(gradient.encoder).dataSync()[0]!, 0, name)
            for (const [head, own] of Object.entries(gradient.heads)) {
              const norm = Vector.norm(own as Tree.Tree).dataSync()[0]!
              if (head === (name === "mlm-other" ? "mlm" : name)) assert.isAbove(norm, 0, `${name} and its head`)
              else assert.strictEqual(norm, 0, `${name} and the head of ${head}`)
            }
          }
        })
      })
    ))

  it("masked: only hidden places reach the head, and the loss is that of all places", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const plain = { ...setting, config: { ...config, dropout: { ...config.dropout, hidden: 0, attention: 0 } } }
        const objective = masked(plain, texts, { head })
        const [host] = yield* drawn(objective.data, 1, 2)
        tf.tidy(() => {
          const [batch, model] = [live(host!), { encoder: live(encoder), head: live(head) }]
          const loss = objective.loss(model as never, batch as never).dataSync()[0]!
          const hidden = Encoder.encode(config, model.encoder, batch as never)
          const every = MaskedHead.apply(
            config,
            model.head,
            model.encoder.embeddings.words,
            tf.reshape(hidden, [-1, config.width])
          )
          const nats = Losses.perExample(
            tf.gather(every, tf.reshape(batch["positions"]!, [-1]) as tf.Tensor1D) as tf.Tensor2D,
            tf.reshape(batch["targets"]!, [-1]) as tf.Tensor1D
          ).dataSync()
          const weights = host!["weights"]!.data
          let [sum, count] = [0, 0]
          for (const [i, weight] of weights.entries()) [sum, count] = [sum + weight * nats[i]!, count + weight]
          assert.isAbove(count, 0)
          assert.approximately(loss, sum / count, 1e-5)
        })
      })
    ))

  it("contrast: reads whole sentences, and is solved at once without dropout", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const objective = contrast(setting, texts, { temperature: 0.01 })
        const [host] = yield* drawn(objective.data, 1, 0)
        assert.isFalse(host!["ids"]!.data.includes(tokenizer.mask))
        const lossOf = (hidden: number) => {
          const plain = { ...setting, config: { ...config, dropout: { ...config.dropout, hidden, attention: 0 } } }
          const { head, loss } = contrast(plain, texts, { temperature: 0.01 })
          const model = { encoder: live(encoder), head: live(head(Seed.make(1))) }
          return tf.tidy(() => loss(model as never, live(host!) as never).dataSync()[0]!)
        }
        assert.isBelow(lossOf(0), lossOf(0.5))
      })
    ))

  it("order: neighbours of one document, and the label says which stood first", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const long = { ...setting, length: 60 }
        const { data } = order(long, texts)
        const batches = yield* drawn(data, 1, ...Array.from({ length: 12 }, (_, i) => i))
        const known = new Map<string, number>()
        for (let i = 0; i + 1 < texts.count; i++) {
          if (texts.place(i + 1).at === 0) continue
          known.set(tokenizer.row(tokensOf(texts, i), tokensOf(texts, i + 1), 60).ids.join(), 0)
          known.set(tokenizer.row(tokensOf(texts, i + 1), tokensOf(texts, i), 60).ids.join(), 1)
        }
        let swapped = 0
        for (const batch of batches) {
          for (let row = 0; row < long.batch; row++) {
            const ids = batch["ids"]!.data.slice(row * 60, (row + 1) * 60).filter((id) => id !== tokenizer.padding)
            const label = batch["labels"]!.data[row]!
            assert.strictEqual(known.get([...ids].join()), label)
            swapped += label
          }
        }
        assert.isAbove(swapped, 8)
        assert.isBelow(swapped, 40)
      })
    ))

  it("place: equal parts of a document, in order", () => {
    const of = (length: number) =>
      Array.from({ length }, (_, at) => placeOf({ place: () => ({ at, of: length }) }, 0, 5))
    assert.deepStrictEqual(of(10), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    assert.deepStrictEqual(of(1), [0])
    assert.deepStrictEqual(of(3), [0, 1, 3])
  })

  it("halves are the texts again, and joined corpora those that they are of", () => {
    const parts = halves(texts)
    const whole = Array.from(parts.pairs, (i) => [...tokensOf(parts, i), ...tokensOf(parts, i + 1)])
    assert.deepStrictEqual(
      whole,
      Array.from({ length: texts.count }, (_, i) => [...tokensOf(texts, i)])
    )
    const both = joined([texts, parts])
    assert.strictEqual(both.count, texts.count + parts.count)
    assert.deepStrictEqual(tokensOf(both, texts.count + 3), tokensOf(parts, 3))
    assert.deepStrictEqual(both.place(texts.count + 3), { at: 1, of: 2 })
    for (const i of both.pairs) assert.strictEqual(both.place(i).at + 1, both.place(i + 1).at)
  })

  it("say what they lack", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const few = yield* Effect.flip(drawn(masked({ ...setting, batch: 1000 }, texts, { head }).data, 1, 0))
        assert.match(String(few), /mlm, made.*fewer than one batch of 1000/)
        assert.throws(() => Objective.together([all[0]!, all[0]!]), /'long'/)
      })
    ))
})

describe("an encoder cut to frequent tokens", () => {
  const counts = Pieces.counts(tokenizer, [texts])
  const cut = Pieces.cut({ config, encoder, head, tokenizer }, counts, 400)

  it("gives the same states for rows of tokens that were kept, and reads others as unknown", () => {
    assert.strictEqual(cut.tokenizer.size, 400)
    assert.strictEqual(cut.config.vocabulary, 400)
    assert.isAbove(cut.unknown, 0)
    assert.isBelow(cut.unknown, 0.5)
    const unknown = cut.tokenizer.idOf("[UNK]")!
    let compared = 0
    tf.tidy(() => {
      const [one, other] = [live(encoder), live(cut.encoder)]
      for (let i = 0; i < texts.count; i++) {
        const [row, less] = [tokenizer, cut.tokenizer].map((of) =>
          of.row(tokensOf(texts, i).slice(0, 4), undefined, 16)
        )
        assert.strictEqual(row!.ids.length, less!.ids.length)
        if (less!.ids.includes(unknown)) continue
        const states = (config: typeof cut.config, params: typeof one, ids: ReadonlyArray<number>) =>
          Encoder.encode(config, params, { ids: tf.tensor2d([[...ids]], undefined, "int32") }).dataSync()
        assert.deepStrictEqual(states(config, one, row!.ids), states(cut.config, other, less!.ids))
        compared += 1
      }
    })
    assert.isAbove(compared, 3)
  })

  it("is whole again, with what was learned", () => {
    const learned = Tree.mapHost(cut.encoder, (leaf) => ({ ...leaf, data: leaf.data.map((x) => x + 1) }))
    const whole = cut.whole(learned, cut.head)
    const [before, after] = [encoder.embeddings.words.data, whole.encoder.embeddings.words.data]
    const moved = Array.from({ length: tokenizer.size }, (_, id) => after[id * 8] !== before[id * 8])
    assert.strictEqual(moved.filter((row) => row).length, 400)
    assert.isTrue(moved[tokenizer.mask])
    assert.deepStrictEqual(whole.head!.bias, head.bias)
  })
})
