import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { NdArray, OnnxEngine as Compiled, Run, Seed, Statistics } from "tapweight"
import type * as PictureBatches from "../../molecules/pictures/PictureBatches.ts"
import * as Levels from "../../molecules/Levels.ts"
import * as Objectives from "../../molecules/Objectives.ts"
import { type Settings, small } from "../../molecules/Settings.ts"
import { madeTask } from "../support/madeTask.ts"
import { long } from "../../../test/support/long.ts"

const size = 16
const each = 3 * size ** 2
const count = 96
const settings: Settings = {
  ...small,
  size,
  network: { width: 4, blocks: [1, 1], stem: "small" },
  permutations: 5,
  batch: { pretrain: 16, finetune: 16, reweight: 32 },
  warmup: 10,
  regression: { ...small.regression, reweight: 60 },
  useless: true
}

// Stripes of four kinds under noise: what a label is, clusters tell and coins do not.
const kinds = Seed.integers(Seed.make(6), count, 4)
const stripes: ReadonlyArray<(x: number, y: number) => boolean> = [
  (_, y) => y % 4 < 2,
  (x) => x % 4 < 2,
  (x, y) => (x + y) % 4 < 2,
  (x, y) => (Math.floor(x / 4) + Math.floor(y / 4)) % 2 === 0
]
const bytes = Uint8Array.from(Seed.integers(Seed.make(5), count * each, 60), (noise, i) => {
  const [picture, pixel] = [Math.floor(i / each), Math.floor((i % each) / 3)]
  return noise + (stripes[kinds[picture]!]!(pixel % size, Math.floor(pixel / size)) ? 170 : 20)
})

const pictures = (from: number, count: number): PictureBatches.Pictures => ({
  size,
  count,
  read: (rows) =>
    Effect.succeed(
      Uint8Array.from(
        Array.from(rows).flatMap((row) => [...bytes.subarray((from + row) * each, (from + row + 1) * each)])
      )
    )
})
const part = (from: number): PictureBatches.Labelled => ({
  pictures: pictures(from, 32),
  labels: NdArray.float32(
    [32, 1] as const,
    Array.from({ length: 32 }, (_, i) => [-1, 1, -0.5, 0.5][kinds[from + i]!]!)
  )
})
const coarser: ReadonlyArray<(kind: number) => number> = [
  (kind) => Number(kind > 1),
  (kind) => Math.min(kind, 2),
  Number
]
const clusters = Int32Array.from({ length: 3 * 64 }, (_, i) => coarser[i % 3]!(kinds[Math.floor(i / 3)]!))
const task = madeTask({
  name: "stripes",
  kind: "regression",
  tasks: 1,
  pool: { pictures: pictures(0, 64), clusters: NdArray.int32([64, 3] as const, clusters), counts: [2, 3, 4] },
  train: part(0),
  validation: part(32),
  test: part(64)
})

describe("a planted objective that cannot help", () => {
  it.effect.skipIf(!long)("loses weight and clusters of what labels are gain it, in the mean of three seeds", () =>
    Effect.gen(function* () {
      const { tapweight } = Levels.make(settings, task, undefined)
      const learned = yield* Effect.forEach([1, 2, 3], (seed) =>
        Effect.map(
          Stream.runCollect(Run.ticks(tapweight, { ticks: 80, seed })),
          (ticks) => ticks.at(-1)!.levels["reweight"]!.metrics["lambda"] as ReadonlyArray<number>
        )
      )
      const names = Objectives.names(settings)
      const share = (...of: ReadonlyArray<string>) =>
        Statistics.mean(learned.map((lambda) => of.reduce((sum, name) => sum + lambda[names.indexOf(name)]!, 0)))
      assert.isBelow(share("coin"), 0.8 / names.length)
      assert.isAbove(share("mg1", "mg2", "mg3"), 0.5)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})
