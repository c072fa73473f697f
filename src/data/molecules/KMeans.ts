/** K-means of bit vectors (Lloyd's iterations), for pseudo-labels from MACCS keys (ImageMol's multi-granularity clusters). */
import * as Effect from "effect/Effect"
import * as Seed from "../../dsl/Seed.ts"

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
  /** The inertia after each iteration; it never rises. */
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

/**
 * Clusters points. The first centres are `k` different points drawn from the seed; a cluster that loses all its points
 * takes the point that lies farthest from its own centre. Ends when no point changes its cluster, or after `iterations`.
 * The result depends on the points, k, the seed and the iterations only. Throws a `RangeError` on k below 1 or no points.
 */
export const cluster = Effect.fnUntraced(function* (
  points: Bits,
  options: {
    readonly k: number
    readonly seed: Seed.Seed
    readonly iterations?: number
    readonly onIteration?: (iteration: number, inertia: number) => Effect.Effect<void>
  }
) {
  const { set, starts, width } = points
  const count = starts.length - 1
  if (!Number.isInteger(options.k) || options.k < 1 || count < 1) {
    throw new RangeError(`KMeans: ${options.k} clusters of ${count} points; give at least one of both`)
  }
  const k = Math.min(options.k, countDistinct(points))
  const centres = new Float32Array(width * k)
  for (const [c, row] of start(options.seed, points, k).entries()) {
    for (let s = starts[row]!; s < starts[row + 1]!; s++) centres[set[s]! * k + c] = 1
  }
  const labels = new Int32Array(count).fill(-1)
  const distances = new Float64Array(count)
  const squares = new Float32Array(k)
  const scores = new Float32Array(k)
  const history: Array<number> = []
  for (let iteration = 1; iteration <= (options.iterations ?? defaultIterations); iteration++) {
    squares.fill(0)
    for (let at = 0; at < centres.length; at++) {
      const c = at % k
      squares[c] = squares[c]! + centres[at]! * centres[at]!
    }
    let [changed, inertia] = [0, 0]
    for (let i = 0; i < count; i++) {
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
    history.push(inertia)
    yield* options.onIteration?.(iteration, inertia) ?? Effect.void
    if (changed === 0) break

    const sizes = new Int32Array(k)
    for (const label of labels) sizes[label]!++
    const empty = Array.from(sizes.keys()).filter((c) => sizes[c] === 0)
    if (empty.length > 0) {
      const farthest = Array.from(labels.keys()).sort((a, b) => distances[b]! - distances[a]! || a - b)
      for (const i of farthest) {
        if (empty.length === 0) break
        if (sizes[labels[i]!]! < 2) continue
        sizes[labels[i]!]!--
        labels[i] = empty.shift()!
        sizes[labels[i]!] = 1
      }
    }
    centres.fill(0)
    for (let i = 0; i < count; i++) {
      const share = 1 / sizes[labels[i]!]!
      for (let s = starts[i]!; s < starts[i + 1]!; s++) {
        const at = set[s]! * k + labels[i]!
        centres[at] = centres[at]! + share
      }
    }
  }
  return { k, labels, inertia: history.at(-1)!, history } satisfies Clusters
})
