/** Jigsaw puzzles: pictures cut into 3 × 3 tiles and put together in another order (Noroozi and Favaro 2016). */
import { Seed } from "tapweight"
import type { Size, Views } from "./Augment.ts"

const side = 3
const tiles = side * side

const distance = (a: Int32Array, b: Int32Array): number => a.reduce((d, tile, i) => d + (tile === b[i] ? 0 : 1), 0)

/** Permutations that each is chosen from: enough that hardly any two of a hundred share more than two tiles. */
export const candidates = 2000

/**
 * `count` permutations of nine tiles, the identity not among them, each chosen to have as few tiles as possible in common
 * with those before it (largest least Hamming distance, of 2,000 drawn).
 */
export const permutations = (count: number, seed: Seed.Seed): ReadonlyArray<Int32Array> => {
  if (!Number.isInteger(count) || count < 1 || count > candidates) {
    throw new RangeError(`Jigsaw.permutations: ${count} permutations; give a whole number from 1 to ${candidates}`)
  }
  const drawn = Array.from({ length: candidates }, (_, i) => Seed.permutation(Seed.fold(seed, i), tiles))
  const identity = Int32Array.from({ length: tiles }, (_, i) => i)
  const nearest = drawn.map((each) => distance(each, identity))
  const chosen: Array<Int32Array> = []
  while (chosen.length < count) {
    const best = nearest.indexOf(Math.max(...nearest))
    const next = drawn[best]!
    chosen.push(next)
    for (const [i, each] of drawn.entries()) nearest[i] = Math.min(nearest[i]!, distance(each, next))
  }
  return chosen
}

/** Puzzles and what they are: label 0 is the picture as it was, label p the p-th permutation. */
export interface Puzzles {
  readonly views: Views
  readonly labels: Int32Array
}

/**
 * A puzzle of each view. With probability `intact` a picture is left alone (label 0); ImageMol's is about 0.8. Sides that
 * are no multiple of three lose their last row or two, which stay where they are.
 */
export const puzzles = (
  views: Views,
  orders: ReadonlyArray<Int32Array>,
  intact: number,
  { size }: Size,
  seed: Seed.Seed
): Puzzles => {
  const each = 3 * size * size
  const n = views.length / each
  const width = Math.floor(size / side)
  const shuffled = Seed.uniform(Seed.fold(seed, "intact"), n)
  const chosen = Seed.integers(Seed.fold(seed, "order"), n, orders.length)
  const labels = Int32Array.from({ length: n }, (_, i) => (shuffled[i]! < intact ? 0 : 1 + chosen[i]!))
  const out = views.slice()
  for (let i = 0; i < n; i++) {
    if (labels[i] === 0) continue
    const order = orders[labels[i]! - 1]!
    for (let tile = 0; tile < tiles; tile++) {
      const from = order[tile]!
      const [fx, fy] = [width * (from % side), width * Math.floor(from / side)]
      const [tx, ty] = [width * (tile % side), width * Math.floor(tile / side)]
      for (let y = 0; y < width; y++) {
        const source = i * each + 3 * ((fy + y) * size + fx)
        out.set(views.subarray(source, source + 3 * width), i * each + 3 * ((ty + y) * size + tx))
      }
    }
  }
  return { views: out, labels }
}
