import type * as tf from "@tensorflow/tfjs-core"
import type { NdArray } from "./NdArray.ts"

/** Tensors arranged in records and lists: parameters, optimizer state, batches, metrics. */
export type Tree = tf.Tensor | ReadonlyArray<Tree> | { readonly [key: string]: Tree }

/** The same arrangement with host arrays as leaves. */
export type HostTree = NdArray | ReadonlyArray<HostTree> | { readonly [key: string]: HostTree }

/** A tensor tree as it looks on the host. */
export type Host<T> = Tree extends T
  ? HostTree
  : T extends tf.Tensor
    ? NdArray<T>
    : { readonly [K in keyof T]: Host<T[K]> }

/** A host tree as it looks on a device: the inverse of {@link Host}. */
export type Live<H> = HostTree extends H
  ? Tree
  : H extends NdArray<infer T>
    ? T
    : { readonly [K in keyof H]: Live<H[K]> }

type Leaf = { readonly dtype: string; readonly shape: ReadonlyArray<number> }
// Every traversal is written once against this shape; the typed signatures below are what callers see.
type Any = Leaf | ReadonlyArray<Any> | { readonly [key: string]: Any }

const isLeaf = (node: unknown): node is Leaf =>
  typeof node === "object" && node !== null && typeof (node as { dtype?: unknown }).dtype === "string"

const mapAny = (node: Any, f: (leaf: never, path: string) => unknown, path: string): unknown => {
  if (isLeaf(node)) return f(node as never, path)
  const at = (key: string | number) => (path === "" ? `${key}` : `${path}.${key}`)
  if (Array.isArray(node)) return node.map((child, i) => mapAny(child, f, at(i)))
  return Object.fromEntries(
    Object.entries(node as { readonly [key: string]: Any }).map(([key, child]) => [key, mapAny(child, f, at(key))])
  )
}

// A dot or nothing in a key may make of two places one path: `a.b` and `a: { b }`. Optimizers, checkpoints and comparisons
// of trees know leaves by path alone.
const distinct = <E extends ReadonlyArray<readonly [path: string, leaf: unknown]>>(found: E, odd: boolean): E => {
  if (!odd) return found
  const seen = new Set<string>()
  for (const [path] of found) {
    if (seen.has(path)) {
      throw new TypeError(`Tree: two leaves have the path '${path}', as 'a.b' and a: { b } do: rename one of the keys`)
    }
    seen.add(path)
  }
  return found
}

/** Puts the leaves into `out`; whether a key was such that two of them might have one path. */
const flattenAny = (node: unknown, path: string, out: Array<readonly [string, unknown]>): boolean => {
  if (isLeaf(node)) {
    out.push([path, node])
    return false
  } else if (typeof node === "object" && node !== null) {
    let odd = false
    for (const key of Object.keys(node)) {
      const child = (node as { readonly [key: string]: unknown })[key]
      odd = flattenAny(child, path === "" ? key : `${path}.${key}`, out) || odd || key === "" || key.includes(".")
    }
    return odd
  } else {
    throw new TypeError(`Tree: '${path}' is neither a tensor nor a record of tensors (found ${typeof node})`)
  }
}

/**
 * Applies `f` to every tensor; `path` names it (`encoder.layers.0.w`).
 *
 * ```ts
 * const tree = { w: tf.tensor([1, 2]), layers: [{ b: tf.scalar(3) }] }
 * Tree.map(tree, (leaf) => tf.mul(leaf, 2)) // => { w: [2, 4], layers: [{ b: 6 }] }
 * Tree.entries(tree).map(([path]) => path) // => ["w", "layers.0.b"]
 * ```
 */
export const map = <T extends Tree>(tree: T, f: (leaf: tf.Tensor, path: string) => tf.Tensor): T =>
  mapAny(tree, f as never, "") as T

/** Applies `f` to every host leaf. */
export const mapHost = <H extends HostTree>(tree: H, f: (leaf: NdArray, path: string) => NdArray): H =>
  mapAny(tree as Any, f as never, "") as H

/** Host leaves to tensors. */
export const toLive = <H extends HostTree>(tree: H, f: (leaf: NdArray, path: string) => tf.Tensor): Live<H> =>
  mapAny(tree as Any, f as never, "") as Live<H>

/** Tensor leaves to host arrays. */
export const toHost = <T extends Tree>(tree: T, f: (leaf: tf.Tensor, path: string) => NdArray): Host<T> =>
  mapAny(tree, f as never, "") as Host<T>

/** `[path, leaf]` of every leaf, in the tree's own order. */
export const entries = (tree: Tree): ReadonlyArray<readonly [path: string, leaf: tf.Tensor]> => {
  const out: Array<readonly [string, unknown]> = []
  return distinct(out, flattenAny(tree, "", out)) as never
}

/** `[path, array]` of every host leaf, in the tree's own order. */
export const hostEntries = (tree: HostTree): ReadonlyArray<readonly [path: string, leaf: NdArray]> => {
  const out: Array<readonly [string, unknown]> = []
  return distinct(out, flattenAny(tree, "", out)) as never
}

/** Every tensor of the tree, in its own order. */
export const leaves = (tree: Tree): ReadonlyArray<tf.Tensor> => entries(tree).map(([, leaf]) => leaf)

/** The tree of `like` with its leaves replaced, in order, by `values`. */
export const unflatten = <T extends Tree>(like: T, values: ReadonlyArray<tf.Tensor>): T => {
  let next = 0
  return map(like, () => values[next++]!)
}

/**
 * The leaves whose path `keep` accepts, under the paths they have. Lists become records of their indices, so that what
 * is left out shifts no path.
 */
export const select = (tree: Tree, keep: (path: string) => boolean): Tree => {
  const visit = (node: Any, path: string): Any | undefined => {
    if (isLeaf(node)) return keep(path) ? node : undefined
    const children = Object.entries(node as { readonly [key: string]: Any }).flatMap(([key, child]) => {
      const kept = visit(child, path === "" ? key : `${path}.${key}`)
      return kept === undefined ? [] : [[key, kept] as const]
    })
    return children.length === 0 ? undefined : Object.fromEntries(children)
  }
  return (visit(tree as Any, "") ?? {}) as Tree
}

/** The tree with the leaves of `part` in place of its own at equal paths. */
export const replace = <T extends Tree>(tree: T, part: Tree): T => {
  const others = new Map(entries(part))
  return map(tree, (leaf, path) => others.get(path) ?? leaf)
}

/**
 * Combines trees of one structure and equal shapes leaf by leaf. Throws a `TypeError` naming the path where they differ.
 *
 * ```ts
 * Tree.zipWith({ w: tf.scalar(1) }, { w: tf.scalar(2) }, (a, b) => tf.sub(a, b)) // => { w: -1 }
 * ```
 */
export const zipWith = <T extends Tree>(
  first: T,
  second: Tree,
  f: (a: tf.Tensor, b: tf.Tensor, path: string) => tf.Tensor
): T => {
  const others = new Map(entries(second))
  const combined = map(first, (leaf, path) => {
    const other = others.get(path)
    if (other === undefined) throw new TypeError(`Tree: '${path}' is missing from the second tree`)
    if (leaf.shape.join() !== other.shape.join()) {
      throw new TypeError(
        `Tree: '${path}' has shape [${leaf.shape.join(", ")}] in one tree and [${other.shape.join(", ")}] in the other`
      )
    }
    others.delete(path)
    return f(leaf, other, path)
  })
  const extra = others.keys().next().value
  if (extra !== undefined) throw new TypeError(`Tree: '${extra}' is missing from the first tree`)
  return combined
}
