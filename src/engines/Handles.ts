/** What the main thread knows of arrays that a worker holds: trees of handles, and the types of trees. */
import * as Tree from "../dsl/values/Tree.ts"
import { size } from "../dsl/values/NdArray.ts"
import type { Numbers, Packed } from "./Packed.ts"
import type { LeafType } from "../compiler/graph/Graph.ts"

/** A tree of the types of leaves. */
export type Types = { readonly "~types": true }

/** A leaf of a `Device` here: an array of the worker, by number. So parts of a device's tree are devices themselves. */
interface Leaf extends LeafType {
  readonly handle: number
}

/** What is asked of a device at every step. */
export interface Held {
  readonly handles: ReadonlyArray<number>
  /** Equal for trees that one executable serves. */
  readonly form: string
}

/** A tree of types with what is asked of it at every step. */
export interface Shaped {
  readonly tree: Types
  readonly leaves: ReadonlyArray<LeafType>
  readonly form: string
  /** Words of all leaves together. */
  readonly words: number
}

export const leavesOf = <L>(tree: unknown): ReadonlyArray<L> =>
  Tree.leaves(tree as Tree.Tree) as unknown as ReadonlyArray<L>

export const typesOf = (host: unknown): Types =>
  Tree.map(host as Tree.Tree, ({ dtype, shape }) => ({ dtype, shape }) as never) as never

export const formOf = (tree: unknown): string =>
  Tree.entries(tree as Tree.Tree)
    .map(([path, leaf]) => {
      const { axis, dtype, shape } = leaf as unknown as LeafType
      return `${path}:${dtype}[${shape.join()}]${axis === undefined ? "" : `/${axis}`}`
    })
    .join(" ")

export const wordsOf = (leaves: ReadonlyArray<LeafType>): number =>
  leaves.reduce((sum, { shape }) => sum + size(shape), 0)

export const shaped = (tree: Types): Shaped => {
  const leaves = leavesOf<LeafType>(tree)
  return { tree, leaves, form: formOf(tree), words: wordsOf(leaves) }
}

// Whole states are met again as they were made; parts of them are looked through.
const known = new WeakMap<object, Held>()
export const heldBy = (device: object): Held =>
  known.get(device) ?? { handles: leavesOf<Leaf>(device).map(({ handle }) => handle), form: formOf(device) }

export const deviceOf = ({ form, tree }: Pick<Shaped, "form" | "tree">, handles: ReadonlyArray<number>): never => {
  let next = 0
  const device = Tree.map(tree as never, (leaf) => {
    const { axis, dtype, shape } = leaf as LeafType
    const type = axis === undefined ? { dtype, shape } : { dtype, shape, axis }
    return { ...type, handle: handles[next++]! } as never
  })
  known.set(device, { handles, form })
  return device as never
}

/** Leaves in the structure of a tree, in its order: as `Tree.map`, without paths. */
const built = (types: unknown, leaf: (type: LeafType) => unknown): unknown => {
  if (isLeaf(types as object)) return leaf(types as LeafType)
  if (Array.isArray(types)) return types.map((child) => built(child, leaf))
  const keys = Object.keys(types as object)
  // A literal is made much faster than entries are put together; the one key that it would not have is rare.
  if (keys.includes("__proto__"))
    return Object.fromEntries(keys.map((key) => [key, built((types as Record<string, unknown>)[key], leaf)]))
  const made: Record<string, unknown> = {}
  for (const key of keys) made[key] = built((types as Record<string, unknown>)[key], leaf)
  return made
}

/** Host arrays in the structure of `like`, from word `start` of what was packed. */
export const hostOf = ({ tree }: Pick<Shaped, "tree">, packed: Packed, start = 0): Tree.Host<never> => {
  let at = start
  return built(tree, ({ dtype, shape }) => {
    const [from, length] = [4 * at, size(shape)]
    at += length
    const data = dtype === "float32" ? new Float32Array(packed, from, length) : new Int32Array(packed, from, length)
    return { dtype, shape, data }
  }) as never
}

const isLeaf = (node: object): node is LeafType => typeof (node as { dtype?: unknown }).dtype === "string"

/** Whether a host tree has these types, leaf by leaf and in this order; its arrays are added to `found`. */
export const collect = (types: unknown, host: unknown, found: Array<Numbers>): boolean => {
  if (typeof types !== "object" || typeof host !== "object" || types === null || host === null) return false
  if (isLeaf(types)) {
    const { data, dtype, shape } = host as LeafType & { readonly data: Numbers }
    if (dtype !== types.dtype || shape.length !== types.shape.length) return false
    for (let i = 0; i < shape.length; i++) if (shape[i] !== types.shape[i]) return false
    found.push(data)
    return true
  }
  if (isLeaf(host)) return false
  const keys = Object.keys(types)
  const others = Object.keys(host)
  if (keys.length !== others.length) return false
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    if (key !== others[i] || !collect((types as never)[key], (host as never)[key], found)) return false
  }
  return true
}
