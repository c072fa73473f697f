/** What is asked of unlabelled digits: pictures changed in ways that have answers of their own. */
import * as Effect from "effect/Effect"
import type * as tf from "@tensorflow/tfjs-core"
import { Dataset, NdArray, Seed } from "tapweight"
import { type Pictures, pixels, side } from "./Digits.ts"

/** How pictures are changed. */
export interface Changes {
  /** A view is moved by up to `shift` pixels along each axis, turned by up to `turn` degrees, larger or smaller by up to `zoom`. */
  readonly views: { readonly shift: number; readonly turn: number; readonly zoom: number }
  /** Side in pixels of the square that is covered. */
  readonly hole: number
}

/** Orders that four quarters can be in. */
const orders: ReadonlyArray<ReadonlyArray<number>> = Array.from({ length: 4 ** 4 }, (_, i) =>
  [64, 16, 4, 1].map((place) => Math.floor(i / place) % 4)
).filter((order) => new Set(order).size === 4)

/** How many answers the questions have whose answer is a number. */
export const answers = { rotation: 4, jigsaw: orders.length, coin: 2 } as const

/** What the pretraining objectives read of b pictures. */
export type Batch = {
  /** float32 [b, 196]: the pictures as they are. */
  readonly clean: tf.Tensor2D
  /** float32 [b, 196]: two views of each, moved, turned and scaled a little. */
  readonly first: tf.Tensor2D
  readonly second: tf.Tensor2D
  /** float32 [b, 196] and int32 [b]: turned by so many right angles. */
  readonly turned: tf.Tensor2D
  readonly turns: tf.Tensor1D
  /** float32 [b, 196] and int32 [b]: quarters in one of 24 orders. */
  readonly shuffled: tf.Tensor2D
  readonly order: tf.Tensor1D
  /** float32 [b, 196]: a square of each is covered. */
  readonly covered: tf.Tensor2D
  /** int32 [b]: fair coin flips. */
  readonly coin: tf.Tensor1D
}

/** The changed pictures of a batch. */
export type View = "first" | "second" | "turned" | "shuffled" | "covered"

/** Where in a picture a pixel is read from: (a x + b y + c, d x + e y + f), from its centre. */
type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number]

const centre = (side - 1) / 2
const half = side / 2

/** Fills `to` at `at` with a picture read elsewhere, between pixels by bilinear interpolation; all around it is paper. */
const warp = (ink: Float32Array, from: number, to: Float32Array, at: number, [a, b, c, d, e, f]: Affine): void => {
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const u = a * (x - centre) + b * (y - centre) + c + centre
      const v = d * (x - centre) + e * (y - centre) + f + centre
      const left = Math.floor(u)
      const top = Math.floor(v)
      const right = u - left
      const low = v - top
      let sum = 0
      if (top >= 0 && top < side) {
        const row = from + top * side
        if (left >= 0 && left < side) sum += (1 - low) * (1 - right) * ink[row + left]!
        if (left >= -1 && left < side - 1) sum += (1 - low) * right * ink[row + left + 1]!
      }
      if (top >= -1 && top < side - 1) {
        const row = from + (top + 1) * side
        if (left >= 0 && left < side) sum += low * (1 - right) * ink[row + left]!
        if (left >= -1 && left < side - 1) sum += low * right * ink[row + left + 1]!
      }
      to[at + y * side + x] = sum
    }
  }
}

const rightAngles: ReadonlyArray<Affine> = [
  [1, 0, 0, 0, 1, 0],
  [0, 1, 0, -1, 0, 0],
  [-1, 0, 0, 0, -1, 0],
  [0, -1, 0, 1, 0, 0]
]

/** Some of the pictures, each changed by `change`, which fills the picture of a row at a place. */
const changed = (count: number, change: (to: Float32Array, at: number, i: number) => void): Float32Array => {
  const out = new Float32Array(count * pixels)
  for (let i = 0; i < count; i++) change(out, i * pixels, i)
  return out
}

/** Views of pictures, each moved, turned and scaled by amounts of its own. */
const viewed = (ink: Float32Array, count: number, { shift, turn, zoom }: Changes["views"], seed: Seed.Seed) => {
  const draws = Seed.uniform(seed, 5 * count).map((u) => 2 * u - 1)
  return changed(count, (to, at, i) => {
    const angle = (draws[5 * i]! * turn * Math.PI) / 180
    const [sx, sy] = [1 + draws[5 * i + 1]! * zoom, 1 + draws[5 * i + 2]! * zoom]
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
    const [c, f] = [draws[5 * i + 3]! * shift, draws[5 * i + 4]! * shift]
    warp(ink, at, to, at, [cos * sx, -sin * sy, c, sin * sx, cos * sy, f])
  })
}

/** Everything that is asked of these pictures, [n, 196] of ink. */
export const ask = (clean: Float32Array, { hole, views }: Changes, seed: Seed.Seed) => {
  const count = clean.length / pixels
  const own = (name: string) => Seed.fold(seed, name)
  const turns = Seed.integers(own("turns"), count, answers.rotation)
  const order = Seed.integers(own("order"), count, answers.jigsaw)
  const corners = Seed.integers(own("holes"), 2 * count, side - hole + 1)
  const shuffled = changed(count, (to, at, i) => {
    for (let y = 0; y < side; y++) {
      for (const part of [0, 1]) {
        const piece = orders[order[i]!]![2 * Math.floor(y / half) + part]!
        const from = at + (Math.floor(piece / 2) * half + (y % half)) * side + (piece % 2) * half
        to.set(clean.subarray(from, from + half), at + y * side + part * half)
      }
    }
  })
  const covered = clean.slice()
  for (let i = 0; i < count; i++) {
    for (let y = 0; y < hole; y++) {
      const from = i * pixels + (corners[2 * i]! + y) * side + corners[2 * i + 1]!
      covered.fill(0, from, from + hole)
    }
  }
  return {
    first: viewed(clean, count, views, own("first")),
    second: viewed(clean, count, views, own("second")),
    turned: changed(count, (to, at, i) => warp(clean, at, to, at, rightAngles[turns[i]!]!)),
    turns,
    shuffled,
    order,
    covered,
    coin: Seed.integers(own("coin"), count, answers.coin)
  }
}

/** Batches of unlabelled pictures in a fresh order each epoch, each asked everything. */
export const batches = (
  { ink }: Pick<Pictures, "ink">,
  options: Changes & { readonly batch: number }
): Dataset.Dataset<Batch, Dataset.DataError> => {
  const { batch } = options
  const rows = ink.length / pixels
  const pictures = Dataset.float32([batch, pixels])
  const labels = Dataset.int32([batch])
  return Dataset.make("pretext", {
    fields: {
      clean: pictures,
      first: pictures,
      second: pictures,
      turned: pictures,
      turns: labels,
      shuffled: pictures,
      order: labels,
      covered: pictures,
      coin: labels
    },
    open: Effect.map(
      Dataset.epochs("pretext", rows, batch),
      (epoch) => (seed: Seed.Seed, index: number) =>
        Effect.sync(() => {
          const chosen = epoch(seed, index)
          const clean = changed(batch, (to, at, i) => {
            to.set(ink.subarray(chosen[i]! * pixels, (chosen[i]! + 1) * pixels), at)
          })
          const { coin, order, turns, ...views } = ask(clean, options, Seed.fold(seed, index))
          const asked = Object.fromEntries(
            Object.entries({ clean, ...views }).map(([name, ink]) => [name, NdArray.float32([batch, pixels], ink)])
          ) as { readonly [V in View | "clean"]: NdArray.NdArray<tf.Tensor2D> }
          const [turn, arrangement, flips] = [turns, order, coin].map((of) => NdArray.int32([batch], of))
          return { ...asked, turns: turn!, order: arrangement!, coin: flips! }
        })
    )
  })
}
