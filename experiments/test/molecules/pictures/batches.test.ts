import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Dataset, NdArray, Seed } from "tapweight"
import * as Augment from "../../../molecules/pictures/Augment.ts"
import * as PictureBatches from "../../../molecules/pictures/PictureBatches.ts"

const size = 6
const each = 3 * size * size
const count = 11
const bytes = Uint8Array.from(Seed.integers(Seed.make(3), count * each, 256))
const raw = (rows: ReadonlyArray<number>) =>
  Uint8Array.from(rows.flatMap((row) => [...bytes.subarray(row * each, (row + 1) * each)]))
const pictures: PictureBatches.Pictures = {
  size,
  count,
  read: (rows) => Effect.succeed(raw(Array.from(rows)))
}
const clusters = NdArray.int32(
  [count, 3] as const,
  Int32Array.from({ length: 3 * count }, (_, i) => i)
)
const options = { batch: 4, augmentation: Augment.asIs, permutations: 10, intact: 0.5 }
type Numbers = { readonly [field: string]: NdArray.NdArray }
const draw = (dataset: Dataset.Dataset.Any, index: number): Numbers =>
  Effect.runSync(
    Effect.scoped(Effect.flatMap(dataset.open as Dataset.Dataset<{}>["open"], (at) => at(Seed.make(1), index)))
  )

describe("batches of pictures", () => {
  it("pretraining: views, masked views and puzzles of the rows whose clusters stand beside them", () => {
    const dataset = PictureBatches.pretraining(pictures, clusters, options)
    for (const index of [0, 1, 5]) {
      const batch = draw(dataset, index)
      assert.deepStrictEqual(Object.fromEntries(Object.entries(batch).map(([name, { shape }]) => [name, shape])), {
        views: [12, size, size, 3],
        clusters: [4, 3],
        orders: [4],
        coins: [4]
      })
      for (let i = 0; i < 4; i++) {
        const row = batch["clusters"]!.data[3 * i]! / 3
        const own = Augment.normalize(Float32Array.from(raw([row]), (v) => v / 255))
        const part = (k: number) => batch["views"]!.data.subarray((4 * k + i) * each, (4 * k + i + 1) * each)
        assert.deepStrictEqual(part(0), own)
        assert.isTrue(part(1).some((v, j) => v !== own[j]))
        assert.strictEqual(
          part(2).every((v, j) => v === own[j]),
          batch["orders"]!.data[i] === 0
        )
      }
      assert.deepStrictEqual(draw(dataset, index), batch)
    }
  })

  it("labelled: a missing label is known to be so and has no number; other labels are the table's", () => {
    const labels = NdArray.float32(
      [count, 2] as const,
      Float32Array.from({ length: 2 * count }, (_, i) => (i % 3 === 0 ? Number.NaN : i))
    )
    const dataset = PictureBatches.labelled("train", { pictures, labels }, { batch: 5, augmentation: Augment.asIs })
    const seen = [0, 1].flatMap((index) => {
      const batch = draw(dataset, index)
      return Array.from(batch["labels"]!.data, (v, i) => [v, batch["known"]!.data[i]] as const)
    })
    for (const [v, known] of seen) assert.isTrue(known === 1 ? v % 3 !== 0 : v === 0)
    assert.strictEqual(
      new Set(seen.filter(([, known]) => known === 1).map(([v]) => v)).size,
      seen.filter(([, k]) => k === 1).length
    )
  })

  it("in order: every picture once, the last batch filled up", () => {
    const { at, batches } = PictureBatches.inOrder(PictureBatches.subset(pictures, [7, 2, 9]), 2)
    assert.strictEqual(batches, 2)
    const [one, other] = [Effect.runSync(at(0)), Effect.runSync(at(1))]
    assert.deepStrictEqual([one.count, other.count], [2, 1])
    const own = Augment.normalize(Float32Array.from(raw([9, 9]), (v) => v / 255))
    assert.deepStrictEqual(other.pictures.data, own)
  })

  it("too few pictures for a batch are refused with what to change", () => {
    const { open } = PictureBatches.pretraining(pictures, clusters, { ...options, batch: 12 })
    const failed = Effect.runSync(Effect.flip(Effect.scoped(open)))
    assert.match(failed.message, /11 rows, fewer than one batch of 12/)
  })

  it("joined datasets give both batches, each as it would alone under its own seed, and refuse a field in common", () => {
    const dataset = PictureBatches.pretraining(pictures, clusters, options)
    const labels = NdArray.float32([count, 1] as const, new Float32Array(count))
    const other = PictureBatches.labelled("train", { pictures, labels }, { batch: 2, augmentation: Augment.asIs })
    const both = draw(Dataset.join("both", dataset, other), 3)
    assert.sameMembers(Object.keys(both), ["views", "clusters", "orders", "coins", "pictures", "labels", "known"])
    const alone = Effect.runSync(
      Effect.scoped(Effect.flatMap(other.open, (at) => at(Seed.fold(Seed.make(1), "train"), 3)))
    )
    assert.deepStrictEqual(both["pictures"], alone["pictures"])
    assert.throws(() => Dataset.join("twice", other, other), /both 'train' and 'train' have a field 'pictures'/)
  })
})
