import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Seed } from "tapweight"
import * as KMeans from "../../../molecules/structures/KMeans.ts"

const width = 24

/** Points around `groups` patterns that share no bit, each bit flipped with probability 1/20. */
const scattered = (count: number, groups: number, noise = 0.05): ReadonlyArray<Uint8Array> => {
  const draws = Seed.uniform(Seed.make(5), count * width)
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(width / 8)
    for (let bit = 0; bit < width; bit++) {
      const on = bit % groups === i % groups
      if (on !== draws[i * width + bit]! < noise) bytes[bit >> 3]! |= 1 << (bit & 7)
    }
    return bytes
  })
}

const dense = (rows: ReadonlyArray<Uint8Array>) =>
  rows.map((bytes) => Array.from({ length: width }, (_, bit) => (bytes[bit >> 3]! >> (bit & 7)) & 1))

/** Centres and inertia of a labelling, worked out plainly. */
const plain = (points: ReadonlyArray<ReadonlyArray<number>>, labels: Int32Array, k: number) => {
  const centres = Array.from({ length: k }, (_, c) => {
    const own = points.filter((_, i) => labels[i] === c)
    return Array.from({ length: width }, (_, bit) => own.reduce((sum, point) => sum + point[bit]!, 0) / own.length)
  })
  const distance = (point: ReadonlyArray<number>, centre: ReadonlyArray<number>) =>
    point.reduce((sum, x, bit) => sum + (x - centre[bit]!) ** 2, 0)
  const inertia = points.reduce((sum, point, i) => sum + distance(point, centres[labels[i]!]!), 0)
  return { centres, distance, inertia }
}

describe("KMeans", () => {
  it.effect("ends where every point is nearest to the mean of its own cluster, and never gets worse on the way", () =>
    Effect.gen(function* () {
      const rows = scattered(300, 6)
      const points = dense(rows)
      for (const seed of [1, 2, 3]) {
        const found = yield* KMeans.cluster(KMeans.bits(rows, width), { k: 6, seed: Seed.make(seed) })
        const { centres, distance, inertia } = plain(points, found.labels, found.k)
        assert.approximately(found.inertia, inertia, 1e-3 * inertia)
        for (const [i, point] of points.entries()) {
          const distances = centres.map((centre) => distance(point, centre))
          assert.isAtMost(distances[found.labels[i]!]!, Math.min(...distances) + 1e-4)
        }
        for (const [i, value] of found.history.entries()) {
          if (i > 0) assert.isAtMost(value, found.history[i - 1]! * (1 + 1e-6))
        }
        assert.isBelow(found.history.length, KMeans.defaultIterations)
      }
    })
  )

  it.effect("is a function of points, k and seed", () =>
    Effect.gen(function* () {
      const points = KMeans.bits(scattered(200, 5), width)
      const run = (seed: number) => KMeans.cluster(points, { k: 8, seed: Seed.make(seed) })
      assert.deepStrictEqual(yield* run(1), yield* run(1))
      assert.notDeepEqual((yield* run(1)).labels, (yield* run(2)).labels)
    })
  )

  it.effect("with as many clusters as distinct points has one for each, and no more are made", () =>
    Effect.gen(function* () {
      const rows = scattered(60, 3, 0.1)
      const repeated = [...rows, ...rows]
      const distinct = new Set(rows.map(String)).size
      const found = yield* KMeans.cluster(KMeans.bits(repeated, width), { k: 1000, seed: Seed.make(1) })
      assert.strictEqual(found.k, distinct)
      assert.approximately(found.inertia, 0, 1e-6)
      assert.strictEqual(new Set(found.labels).size, distinct)
      for (let i = 0; i < 60; i++) assert.strictEqual(found.labels[i], found.labels[i + 60])
    })
  )

  it.effect("one cluster is the mean: its inertia is the sum of variances", () =>
    Effect.gen(function* () {
      const rows = scattered(50, 4)
      const found = yield* KMeans.cluster(KMeans.bits(rows, width), { k: 1, seed: Seed.make(1) })
      const { inertia } = plain(dense(rows), found.labels, 1)
      assert.approximately(found.inertia, inertia, 1e-3)
    })
  )

  it.effect("keeps every cluster in use, also where the start put several in one place", () =>
    Effect.gen(function* () {
      for (const seed of [1, 2, 3, 4, 5]) {
        const found = yield* KMeans.cluster(KMeans.bits(scattered(120, 12, 0.2), width), {
          k: 40,
          seed: Seed.make(seed)
        })
        assert.strictEqual(new Set(found.labels).size, 40)
      }
    })
  )

  it.effect("a sample finds the groups of all points, and a sample of all is no sample", () =>
    Effect.gen(function* () {
      const points = KMeans.bits(scattered(2000, 6), width)
      const options = { k: 24, seed: Seed.make(4) }
      const whole = yield* KMeans.cluster(points, options)
      const found = yield* KMeans.cluster(points, { ...options, sample: 500 })
      assert.strictEqual(found.labels.length, 2000)
      assert.isAbove(found.inertia, found.history.at(-1)!)
      assert.isBelow(found.inertia, 1.15 * whole.inertia)
      assert.deepStrictEqual(yield* KMeans.cluster(points, { ...options, sample: 500 }), found)
      assert.deepStrictEqual(yield* KMeans.cluster(points, { ...options, sample: 2000 }), whole)
    })
  )

  it.effect("refuses no clusters and no points", () =>
    Effect.gen(function* () {
      const seed = Seed.make(1)
      for (const [rows, k] of [
        [scattered(3, 2), 0],
        [scattered(3, 2), 1.5],
        [[], 2]
      ] as const) {
        const exit = yield* Effect.exit(KMeans.cluster(KMeans.bits(rows, width), { k, seed }))
        assert.match(String(exit), /KMeans: .* give at least one of both/)
      }
    })
  )
})
