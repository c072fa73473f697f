/** Where the elements of a node lie, as sums of multiples of the loops that go over them: what only moves elements needs no memory. */
import { type Node, type Shape, sizeOf } from "../graph/Graph.ts"

/** A whole number plus multiples of loops' counters. */
export interface Affine {
  readonly constant: number
  readonly factors: ReadonlyArray<number>
}

/** Elements of a node, in order of loops: in words from its first. */
export interface Access extends Affine {
  readonly node: Node
}

/** What there is no such sum for: this node's elements must be put down in their own order first. */
export class Unreachable {
  readonly node: Node
  constructor(node: Node) {
    this.node = node
  }
}

const sum = (a: Affine, b: Affine, times: number): Affine => ({
  constant: a.constant + times * b.constant,
  factors: a.factors.map((factor, loop) => factor + times * b.factors[loop]!)
})

/** Words from one element to the next along each axis. */
export const stridesOf = (shape: Shape): ReadonlyArray<number> => {
  const strides: Array<number> = []
  let next = 1
  for (const n of shape.toReversed()) {
    strides.unshift(next)
    next *= n
  }
  return strides
}

/** No loop's multiple. */
const still = (loops: ReadonlyArray<number>): Affine => ({ constant: 0, factors: loops.map(() => 0) })

/** The axes of a shape, of which those longer than one are the loops in order. */
export const axesOf = (shape: Shape, loops: ReadonlyArray<number>): ReadonlyArray<Affine> => {
  let next = 0
  return shape.map((n) => {
    if (n === 1) return still(loops)
    const loop = next++
    return { constant: 0, factors: loops.map((_, i) => (i === loop ? 1 : 0)) }
  })
}

/** The loops that go over a shape: its axes longer than one. */
export const loopsOf = (shape: Shape): ReadonlyArray<number> => shape.filter((n) => n !== 1)

/** The place of an element among all, in order. */
const placeOf = (shape: Shape, axes: ReadonlyArray<Affine>, loops: ReadonlyArray<number>): Affine =>
  stridesOf(shape).reduce((place, stride, axis) => sum(place, axes[axis]!, stride), still(loops))

/** The axes of the element at a place, where each loop moves along one axis only. */
const unplaced = (place: Affine, shape: Shape, loops: ReadonlyArray<number>): ReadonlyArray<Affine> | undefined => {
  if (place.constant < 0 || place.factors.some((factor) => factor < 0)) return undefined
  const strides = stridesOf(shape)
  let constant = place.constant
  const factors = [...place.factors]
  const axes = shape.map((n, axis): Affine | undefined => {
    const stride = strides[axis]!
    const own = factors.map((factor, loop) => {
      if (loops[loop] === 1 || factor < stride || n === 1 || factor % stride !== 0) return 0
      factors[loop] = 0
      return factor / stride
    })
    const from = n === 1 ? 0 : Math.floor(constant / stride)
    constant -= from * stride
    const last = own.reduce((most, factor, loop) => most + factor * (loops[loop]! - 1), from)
    return last < n ? { constant: from, factors: own } : undefined
  })
  const left = constant > 0 || factors.some((factor, loop) => factor > 0 && loops[loop] !== 1)
  return left || axes.includes(undefined) ? undefined : (axes as ReadonlyArray<Affine>)
}

/** The axes of an operand that is repeated to a shape with these axes. */
export const repeated = (
  operand: Node,
  axes: ReadonlyArray<Affine>,
  loops: ReadonlyArray<number>
): ReadonlyArray<Affine> => {
  const extra = axes.length - operand.shape.length
  return operand.shape.map((n, axis) => (n === 1 ? still(loops) : axes[axis + extra]!))
}

/** What an operation that only moves elements takes for these axes of its result. */
const moved = (
  node: Node,
  axes: ReadonlyArray<Affine>,
  loops: ReadonlyArray<number>
): ReadonlyArray<Affine> | undefined => {
  const { attrs, op } = node
  const inner = node.inputs[0]!
  switch (op) {
    case "broadcast":
      return repeated(inner, axes, loops)
    case "transpose": {
      const perm = attrs["perm"] as Shape
      return perm.map((_, axis) => axes[perm.indexOf(axis)]!)
    }
    case "slice": {
      const [begin, strides] = [attrs["begin"] as Shape, attrs["strides"] as Shape]
      return axes.map((axis, i) => sum({ ...still(loops), constant: begin[i]! }, axis, strides[i]!))
    }
    case "reverse": {
      const turned = attrs["axes"] as Shape
      return axes.map((axis, i) =>
        turned.includes(i) ? sum({ ...still(loops), constant: inner.shape[i]! - 1 }, axis, -1) : axis
      )
    }
    case "reshape":
      return unplaced(placeOf(node.shape, axes, loops), inner.shape, loops)
  }
  return undefined
}

/** Operations that only move elements. */
export const moves = (node: Node): boolean =>
  ["broadcast", "transpose", "slice", "reverse", "reshape"].includes(node.op) && sizeOf(node) > 0

/** Where elements lie that have these axes in a node: in the nearest node that `lies` somewhere. */
export const accessOf = (
  start: Node,
  given: ReadonlyArray<Affine>,
  loops: ReadonlyArray<number>,
  lies: (node: Node) => boolean
): Access | Unreachable => {
  let [node, axes] = [start, given]
  for (;;) {
    if (lies(node) || !moves(node)) return { node, ...placeOf(node.shape, axes, loops) }
    // A list of all elements in order is the same list, whatever the shape.
    let inner = node.inputs[0]!
    const next = moved(node, axes, loops)
    if (next === undefined) {
      while (!lies(inner) && inner.op === "reshape") inner = inner.inputs[0]!
      if (lies(inner) || !moves(inner)) return { node: inner, ...placeOf(node.shape, axes, loops) }
      return new Unreachable(inner)
    }
    ;[node, axes] = [inner, next]
  }
}
