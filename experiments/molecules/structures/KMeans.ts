/** K-means of bit vectors (Lloyd's iterations), for pseudo-labels from MACCS keys (ImageMol's multi-granularity clusters). */
import * as Effect from "effect/Effect"
import { Seed } from "tapweight"

/** Points: which bits of each are set. */
export interface Bits {
  /** Bits of a point. */
  readonly width: number
  /** The set bits of all points one after another, and where each point's begin. */
  readonly set: Uint16Array
  readonly starts: Uint32Array
}

/** Bit vectors from bytes, lowest bit first. */
export const bits = (rows: ReadonlyArray<Uint8Array>, width: number): Bits => {
  const starts = new Uint32Array(rows.length + 1)
  const set: Array<number> = []
  for (const [i, bytes] of rows.entries()) {
    for (let bit = 0; bit < width; bit++) if (((bytes[bit >> 3]! >> (bit & 7)) & 1) === 1) set.push(bit)
    starts[i + 1] = set.length
  }
  return { width, set: Uint16Array.from(set), starts }
}

/** A clustering. */
export interface Clusters {
  /** Clusters there are: what was asked for, or the number of distinct points if that is less. */
  readonly k: number
  /** int32 [points]: the cluster of each point. */
  readonly labels: Int32Array
  /** Sum of squared distances of the points to their centres. */
  readonly inertia: number
  /** The inertia after each iteration, of the sample where there is one; it never rises. */
  readonly history: ReadonlyArray<number>
}

const countDistinct = ({ set, starts }: Bits): number => {
  const seen = new Set<string>()
  for (let i = 0; i + 1 < starts.length; i++) {
    seen.add(String.fromCharCode(...set.subarray(starts[i], starts[i + 1])))
  }
  return seen.size
}

/** Distances of one point to all centres, up to the point's own square: |c|² - 2 Σ c over its set bits. */
const score = (points: Bits, i: number, centres: Float32Array, squares: Float32Array, k: number, out: Float32Array) => {
  out.set(squares)
  const { set, starts } = points
  for (let s = starts[i]!; s < starts[i + 1]!; s++) {
    // Centres are stored bit by bit, so that this runs along memory.
    const row = set[s]! * k
    for (let c = 0; c < k; c++) out[c] = out[c]! - 2 * centres[row + c]!
  }
}

/** Rows that are the first centres: different points in an order drawn from the seed. */
const start = (seed: Seed.Seed, points: Bits, k: number): ReadonlyArray<number> => {
  const { set, starts } = points
  const seen = new Set<string>()
  const rows: Array<number> = []
  for (const row of Seed.permutation(seed, starts.length - 1)) {
    const key = String.fromCharCode(...set.subarray(starts[row], starts[row + 1]))
    if (seen.has(key)) continue
    seen.add(key)
    if (rows.push(row) === k) break
  }
  return rows
}

/** Iterations where nothing else is said. */
export const defaultIterations = 50

/** Points between two looks at whether to stop. */
const slice = 256

/** What is known of points while they are clustered. */
interface Assigned {
  readonly labels: Int32Array
  /** Squared distances to the own centre. */
  readonly distances: Float64Array
}

/** Gives every point its nearest centre, of equally near ones the first; says how many changed and the inertia. */
const assign = Effect.fnUntraced(function* (
  points: Bits,
  centres: Float32Array,
  k: number,
  { distances, labels }: Assigned
) {
  const { starts } = points
  const squares = new Float32Array(k)
  for (let at = 0; at < centres.length; at++) squares[at % k] = squares[at % k]! + centres[at]! * centres[at]!
  const scores = new Float32Array(k)
  let [changed, inertia] = [0, 0]
  for (let i = 0; i < labels.length; i++) {
    if (i % slice === 0) yield* Effect.yieldNow
    score(points, i, centres, squares, k, scores)
    let best = 0
    for (let c = 1; c < k; c++) if (scores[c]! < scores[best]!) best = c
    if (labels[i] !== best) changed++
    labels[i] = best
    // A point's own square is the number of its set bits.
    distances[i] = Math.max(0, scores[best]! + starts[i + 1]! - starts[i]!)
    inertia += distances[i]!
  }
  return { changed, inertia }
})

/** Moves the farthest points into the clusters that have none; returns the clusters' sizes. */
const fill = (k: number, { distances, labels }: Assigned): Int32Array => {
  const sizes = new Int32Array(k)
  for (const label of labels) sizes[label]!++
  const empty = Array.from(sizes.keys()).filter((c) => sizes[c] === 0)
  if (empty.length === 0) return sizes
  for (const i of Array.from(labels.keys()).sort((a, b) => distances[b]! - distances[a]! || a - b)) {
    if (empty.length === 0) break
    if (sizes[labels[i]!]! < 2) continue
    sizes[labels[i]!]!--
    labels[i] = empty.shift()!
    sizes[labels[i]!] = 1
  }
  return sizes
}

const assigned = (count: number): Assigned => ({
  labels: new Int32Array(count).fill(-1),
  distances: new Float64Array(count)
})

const subset = ({ set, starts, width }: Bits, rows: Int32Array): Bits => {
  const chosen = Array.from(rows, (row) => set.subarray(starts[row], starts[row + 1]))
  const own = new Uint32Array(rows.length + 1)
  for (const [i, bits] of chosen.entries()) own[i + 1] = own[i]! + bits.length
  const all = new Uint16Array(own[rows.length]!)
  for (const [i, bits] of chosen.entries()) all.set(bits, own[i])
  return { width, set: all, starts: own }
}

/** How to cluster. */
export interface Options {
  readonly k: number
  readonly seed: Seed.Seed
  /** {@link defaultIterations} where absent. */
  readonly iterations?: number
  /** Where there are more points than this, centres are found on so many of them, drawn from the seed. */
  readonly sample?: number
  readonly onIteration?: (iteration: number, inertia: number) => Effect.Effect<void>
}

/**
 * Clusters points. The first centres are `k` different points drawn from the seed; a cluster that loses all its points
 * takes the point that lies farthest from its own centre. Ends when no point changes its cluster, or after `iterations`.
 * The result depends on the points and the options only. Throws a `RangeError` on k or a sample below 1, or no points.
 */
export const cluster = Effect.fnUntraced(function* (points: Bits, options: Options): Effect.fn.Return<Clusters> {
  const count = points.starts.length - 1
  const { iterations = defaultIterations, sample = count, seed } = options
  if (!(Number.isInteger(options.k) && options.k >= 1 && sample >= 1 && count >= 1)) {
    throw new RangeError(`KMeans: ${options.k} clusters of ${count} points; give at least one of both`)
  }
  const sampled = sample < count
  const rows = sampled ? Seed.permutation(Seed.fold(seed, "sample"), count).slice(0, sample) : undefined
  const seen = rows === undefined ? points : subset(points, rows)
  const { set, starts, width } = seen
  const k = Math.min(options.k, countDistinct(seen))
  const centres = new Float32Array(width * k)
  for (const [c, row] of start(seed, seen, k).entries()) {
    for (let s = starts[row]!; s < starts[row + 1]!; s++) centres[set[s]! * k + c] = 1
  }
  const found = assigned(starts.length - 1)
  const history: Array<number> = []
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const { changed, inertia } = yield* assign(seen, centres, k, found)
    history.push(inertia)
    yield* options.onIteration?.(iteration, inertia) ?? Effect.void
    if (changed === 0 || iteration === iterations) break
    const sizes = fill(k, found)
    centres.fill(0)
    for (const [i, label] of found.labels.entries()) {
      const share = 1 / sizes[label]!
      for (let s = starts[i]!; s < starts[i + 1]!; s++) {
        centres[set[s]! * k + label] = centres[set[s]! * k + label]! + share
      }
    }
  }
  if (!sampled) return { k, labels: found.labels, inertia: history.at(-1)!, history }
  const all = assigned(count)
  const { inertia } = yield* assign(points, centres, k, all)
  return { k, labels: all.labels, inertia, history }
})
