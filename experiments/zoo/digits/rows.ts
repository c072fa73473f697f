/** MNIST's digits as the zoo's problems take them: parts of an order drawn from the seed, disjoint where their places are. */
import * as Effect from "effect/Effect"
import { Dataset, NdArray, Seed } from "tapweight"
import * as Digits from "../../digits/Digits.ts"

export const { classes, pixels } = Digits

/** Where a part begins in the seed's order of the digits, and how many rows it has. */
export interface Place {
  readonly seed: number
  readonly from: number
  readonly count: number
}

/** One picture and what it is said to show; what is done to it may depend on its place in the part. */
export interface Example {
  readonly ink: Float32Array
  readonly label: number
}

/** Once for the process: the files have 20 MB. */
let known: Digits.Pictures | undefined
const all = Effect.gen(function* () {
  known ??= yield* Digits.all
  return known
})

/** Rows of a part, each as `alter` makes it. */
export const rows = (
  { count, from, seed }: Place,
  alter: (example: Example, row: number) => Example = (each) => each
) =>
  Effect.map(all, (digits) => {
    const order = Seed.permutation(Seed.fold(Seed.make(seed), "digits"), digits.labels.length).subarray(
      from,
      from + count
    )
    const x = new Float32Array(count * pixels)
    const y = new Int32Array(count)
    for (const [row, at] of order.entries()) {
      const ink = digits.ink.slice(at * pixels, (at + 1) * pixels)
      const example = alter({ ink, label: digits.labels[at]! }, row)
      x.set(example.ink, row * pixels)
      y[row] = example.label
    }
    return { x: NdArray.float32([count, pixels], x), y: NdArray.int32([count], y) }
  })

/** Batches of a part: pictures, labels, and the rows' places in it; all of it at once where `batch` is its size. */
export const dataset = (
  name: string,
  place: Place,
  batch: number,
  alter?: (example: Example, row: number) => Example
) =>
  Dataset.make(name, {
    fields: { x: Dataset.float32([batch, pixels]), y: Dataset.int32([batch]), row: Dataset.int32([batch]) },
    open: Effect.map(rows(place, alter), ({ x, y }) => {
      const draw = Dataset.epochRows(place.count, batch)
      return (seed: Seed.Seed, index: number) => {
        const row = batch === place.count ? Int32Array.from({ length: batch }, (_, i) => i) : draw(seed, index)
        return Effect.succeed({
          x: NdArray.rows(x, row),
          y: NdArray.rows(y, row),
          row: NdArray.int32([batch], row)
        })
      }
    })
  })

/** The share of a part that a function of a picture's ink names rightly. */
export const accuracy = (place: Place, predict: (ink: Float32Array) => number) =>
  Effect.map(rows(place), ({ x, y }) => {
    let right = 0
    for (let row = 0; row < place.count; row++) {
      if (predict(x.data.slice(row * pixels, (row + 1) * pixels) as Float32Array) === y.data[row]) right++
    }
    return right / place.count
  })

type Layer = { readonly w: NdArray.NdArray; readonly b: NdArray.NdArray }

/** The class that a net of dense layers, with softplus between them, gives the most, in double precision. */
export const predicted =
  (layers: ReadonlyArray<Layer>) =>
  (ink: ArrayLike<number>): number => {
    let value = Array.from(ink)
    for (const [i, { b, w }] of layers.entries()) {
      const width = b.data.length
      const next = Array.from(b.data)
      value.forEach((each, from) => {
        if (each !== 0) for (let j = 0; j < width; j++) next[j]! += each * w.data[from * width + j]!
      })
      value = i === layers.length - 1 ? next : next.map((z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))))
    }
    return value.indexOf(Math.max(...value))
  }

/** Flips `share` of the labels to one drawn from all classes, the true one among them. */
export const noisy = (seed: number, count: number, share: number) => {
  const own = Seed.fold(Seed.make(seed), "label noise")
  const flip = Seed.uniform(Seed.fold(own, "flip"), count)
  const other = Seed.integers(Seed.fold(own, "other"), count, classes)
  return (example: Example, row: number): Example => (flip[row]! < share ? { ...example, label: other[row]! } : example)
}
