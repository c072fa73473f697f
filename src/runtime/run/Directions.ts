/** Directions along which a gradient can be measured by differences, also where it has millions of elements. */
import type { NdArray } from "../../dsl/values/NdArray.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Tree from "../../dsl/values/Tree.ts"

/** A vector in the layout of a tree: an array for each leaf, in the tree's own order. */
export type HostVector = ReadonlyArray<Float32Array>

/** A unit vector with what it is called. */
export interface Direction {
  readonly name: string
  readonly vector: HostVector
}

/** Inner product. */
export const dot = (a: HostVector, b: HostVector): number =>
  a.reduce((sum, part, l) => sum + part.reduce((inner, x, i) => inner + x * b[l]![i]!, 0), 0)

/** Euclidean norm. */
export const norm = (a: HostVector): number => Math.sqrt(dot(a, a))

const unit = (a: HostVector): HostVector => {
  const length = norm(a)
  return a.map((part) => part.map((x) => x / length))
}

/** The tree moved by a distance along a vector. */
export const moved = (tree: Tree.HostTree, along: HostVector, distance: number): Tree.HostTree => {
  let next = 0
  return Tree.mapHost(tree, (leaf) => {
    const part = along[next++]!
    return { ...leaf, data: Float32Array.from(leaf.data, (x, i) => x + distance * part[i]!) }
  })
}

type Leaves = ReadonlyArray<readonly [path: string, leaf: NdArray]>

const axes = (leaves: Leaves): ReadonlyArray<Direction> =>
  leaves.flatMap(([path, { data }], l) =>
    Array.from(data, (_value, i) => {
      const vector = leaves.map(([, leaf]) => new Float32Array(leaf.data.length))
      vector[l]![i] = 1
      return { name: path === "" ? `axis ${i}` : `${path} axis ${i}`, vector }
    })
  )

/**
 * At most `count` directions for a variable with this gradient: its axes where it has no more elements than that. Else the
 * gradient itself, the gradient within single leaves (largest first), and random ones within leaves, by turns a random
 * half of the gradient's elements, whose slope stays measurable however many there are, and a random vector, whose slope
 * shrinks with the root of their number but which also sees elements that the gradient misses.
 */
export const choose = (
  tree: Tree.HostTree,
  gradient: HostVector,
  count: number,
  seed: Seed.Seed
): ReadonlyArray<Direction> => {
  const leaves = Tree.hostEntries(tree)
  if (leaves.reduce((n, [, leaf]) => n + leaf.data.length, 0) <= count) return axes(leaves)
  const within = (l: number, part: Float32Array): HostVector =>
    unit(leaves.map(([, leaf], k) => (k === l ? part : new Float32Array(leaf.data.length))))
  const inLeaf = (l: number) => (leaves.length === 1 ? "" : ` in ${leaves[l]![0]}`)
  const sizes = gradient.map((part) => norm([part]))
  const chosen: Array<Direction> = []
  if (norm(gradient) > 0) chosen.push({ name: "the gradient", vector: unit(gradient) })
  if (leaves.length > 1) {
    const largest = sizes.flatMap((size, l) => (size > 0 ? [l] : [])).toSorted((a, b) => sizes[b]! - sizes[a]!)
    for (const l of largest.slice(0, Math.floor((count - 1) / 2))) {
      chosen.push({ name: `the gradient${inLeaf(l)}`, vector: within(l, gradient[l]!) })
    }
  }
  for (let i = 0; chosen.length < count; i++) {
    const l = i % leaves.length
    const round = Math.floor(i / leaves.length)
    const drawn = Seed.fold(Seed.fold(seed, l), round)
    const coins = Seed.uniform(drawn, gradient[l]!.length)
    const half = gradient[l]!.map((x, k) => (coins[k]! < 0.5 ? x : 0))
    chosen.push(
      round % 2 === 0 && norm([half]) > 0
        ? { name: `half of it${inLeaf(l)}`, vector: within(l, half) }
        : { name: `random${inLeaf(l)}`, vector: within(l, Seed.normal(drawn, gradient[l]!.length)) }
    )
  }
  return chosen.slice(0, count)
}
