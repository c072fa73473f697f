/** The places of a network's tensors in a state dict, as a tree: stated once, it is how the network is drawn, read and written. */
import type * as tf from "@tensorflow/tfjs-core"
import * as Init from "../Init.ts"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import { form, permuted } from "../Arrays.ts"

/** Where a leaf of parameters stands in a state dict, and what it starts from. */
export interface Place<out T extends tf.Tensor = tf.Tensor> {
  readonly dtype: "float32"
  /** The leaf's own shape. */
  readonly shape: ReadonlyArray<number>
  /** Its name in a state dict, without the family's prefix. */
  readonly name: string
  /** Axis i of the leaf is axis `order[i]` there; the same axes where absent. */
  readonly order?: ReadonlyArray<number>
  /** Where the leaf is some rows of a larger array there: which, of how many. */
  readonly rows?: { readonly at: ReadonlyArray<number>; readonly of: number }
  /** Deviation of a normal start, or the constant that every element starts from. */
  readonly start: { readonly deviation: number; readonly zeroRow?: number } | { readonly constant: number }
  readonly "~tensor"?: T
}

/** A tree of places with arrays in them. */
export type Filled<L> = L extends Place<infer T> ? NdArray.NdArray<T> : { readonly [K in keyof L]: Filled<L[K]> }

/** A table [n, d] of normal rows, such as embeddings; the row `zeroRow` starts at zero. */
export const table = (
  name: string,
  shape: readonly [number, number],
  deviation: number,
  zeroRow?: number
): Place<tf.Tensor2D> => ({
  dtype: "float32",
  shape,
  name,
  start: { deviation, ...(zeroRow === undefined ? {} : { zeroRow }) }
})

/** A vector of equal elements: a bias (0) or a scale (1). */
export const vector = (name: string, length: number, constant = 0): Place<tf.Tensor1D> => ({
  dtype: "float32",
  shape: [length],
  name,
  start: { constant }
})

/** Weights [in, out], which a state dict has as [out, in]. */
export const weights = (name: string, inputs: number, outputs: number, deviation: number): Place<tf.Tensor2D> => ({
  dtype: "float32",
  shape: [inputs, outputs],
  name,
  order: [1, 0],
  start: { deviation }
})

/** A dense layer `name.weight`, `name.bias`. */
export const dense = (name: string, inputs: number, outputs: number, deviation: number) => ({
  w: weights(`${name}.weight`, inputs, outputs, deviation),
  b: vector(`${name}.bias`, outputs)
})

/** A normalisation `name.weight`, `name.bias`. */
export const norm = (name: string, width: number) => ({
  scale: vector(`${name}.weight`, width, 1),
  offset: vector(`${name}.bias`, width)
})

const map = <L extends object>(layout: L, f: (place: Place) => NdArray.NdArray): Filled<L> =>
  Tree.mapHost(layout as unknown as Tree.HostTree, (place) => f(place as unknown as Place)) as Filled<L>

/** All places, in the layout's order. */
export const entries = (layout: object): ReadonlyArray<Place> =>
  Tree.hostEntries(layout as unknown as Tree.HostTree).map(([, place]) => place as unknown as Place)

/** Arrays to start from: each a function of the seed and of its name. */
export const init =
  <L extends object>(layout: L) =>
  (seed: Seed.Seed): Filled<L> =>
    map(layout, ({ name, rows, shape, start }) => {
      if ("constant" in start) return Init.constant(start.constant, shape)(seed)
      const own = Seed.fold(seed, rows === undefined ? name : `${name} ${rows.at[0]}`)
      const drawn = Init.normal(start.deviation, shape)(own)
      const { zeroRow } = start
      if (zeroRow !== undefined) drawn.data.fill(0, zeroRow * shape[1]!, (zeroRow + 1) * shape[1]!)
      return drawn
    })

/** The shape that a place has in a state dict. */
const shapeThere = ({ order, rows, shape }: Place): ReadonlyArray<number> => {
  const there = order === undefined ? shape : order.map((_, axis) => shape[order.indexOf(axis)]!)
  return rows === undefined ? there : there.with(0, rows.of)
}

/** What taking a layout's arrays out of a state dict has shown. */
export interface Report {
  readonly taken: ReadonlySet<string>
  readonly missing: ReadonlyArray<string>
  readonly misshapen: ReadonlyArray<string>
}

/**
 * Takes a layout's arrays out of a state dict, where they stand under `prefix`. Where anything is missing or misshapen, the
 * parameters must not be used.
 */
export const read = <L extends object>(
  layout: L,
  tensors: ReadonlyMap<string, NdArray.NdArray>,
  prefix: string
): readonly [params: Filled<L>, report: Report] => {
  const [taken, missing, misshapen] = [new Set<string>(), new Set<string>(), new Set<string>()]
  const params = map<L>(layout, (place) => {
    const name = `${prefix}${place.name}`
    const found = tensors.get(name)
    const want = { dtype: "float32", shape: shapeThere(place) } as const
    taken.add(name)
    if (found === undefined) missing.add(name)
    else if (form(found) !== form(want))
      misshapen.add(`${name} is ${form(found)}, the configuration says ${form(want)}`)
    else {
      const part: NdArray.NdArray = place.rows === undefined ? found : rowsOf(found, place.rows.at)
      return place.order === undefined ? part : permuted<NdArray.NdArray>(part, place.order)
    }
    return undefined as never
  })
  return [params, { taken, missing: [...missing], misshapen: [...misshapen] }]
}

const rowsOf = (array: NdArray.NdArray, at: ReadonlyArray<number>): NdArray.NdArray => {
  const width = array.data.length / array.shape[0]!
  const data = new Float32Array(at.length * width)
  for (const [to, from] of at.entries()) data.set(array.data.subarray(from * width, (from + 1) * width), to * width)
  return { dtype: "float32", shape: array.shape.with(0, at.length), data }
}

/** A layout's arrays under their names in a state dict, `prefix` before each. */
export const write = <L extends object>(
  layout: L,
  params: Filled<L>,
  prefix: string
): ReadonlyArray<readonly [name: string, array: NdArray.NdArray]> => {
  const arrays = Tree.hostEntries(params as unknown as Tree.HostTree)
  const named = new Map<string, NdArray.NdArray>()
  for (const [i, place] of entries(layout).entries()) {
    const { order, rows } = place
    const [path, array] = arrays[i] ?? [place.name, undefined]
    if (array?.shape.join() !== place.shape.join()) {
      throw new RangeError(
        `${prefix}${place.name}: '${path}' is [${array?.shape}], the configuration says [${place.shape}]; write what it describes`
      )
    }
    const there =
      order === undefined
        ? array
        : permuted(
            array,
            order.map((_, axis) => order.indexOf(axis))
          )
    const name = `${prefix}${place.name}`
    if (rows === undefined) {
      named.set(name, there)
      continue
    }
    const shape = shapeThere(place)
    const whole = named.get(name) ?? {
      dtype: "float32",
      shape,
      data: new Float32Array(shape.reduce((n, m) => n * m, 1))
    }
    const width = there.data.length / rows.at.length
    for (const [from, to] of rows.at.entries())
      whole.data.set(there.data.subarray(from * width, (from + 1) * width), to * width)
    named.set(name, whole)
  }
  return [...named]
}
