/** Operations that move elements without changing them, simplified as they are made. */
import { size } from "../../dsl/values/NdArray.ts"
import { CompileError } from "./CompileError.ts"
import { type Graph, type Node, none, type Shape, core, sameShape, sizeOf, uniformValue } from "./Graph.ts"

const withoutOnes = (shape: Shape): Shape => shape.filter((n) => n !== 1)

/** The source of a broadcast in the rank of its result: ones in front. */
export const aligned = (g: Graph, x: Node): Node => {
  const inner = core(x)
  return reshape(g, inner, [...Array<number>(x.shape.length - inner.shape.length).fill(1), ...inner.shape])
}

/** The same elements in another shape. */
export const reshape = (g: Graph, x: Node, shape: Shape): Node => {
  if (sameShape(x.shape, shape)) return x
  if (x.op === "reshape") return reshape(g, x.inputs[0]!, shape)
  if (x.values !== undefined) return g.const(x.values, shape, x.dtype)
  if (x.op === "broadcast") {
    const inner = x.inputs[0]!
    if (sizeOf(inner) === 1) return g.broadcast(reshape(g, inner, []), shape)
    const moved = reshapedBroadcast(g, x, shape)
    if (moved !== undefined) return moved
  }
  return g.node("reshape", [x], none, shape, x.dtype)
}

// Where a reshape only adds or drops axes of length one, what is repeated can be reshaped instead.
const reshapedBroadcast = (g: Graph, x: Node, shape: Shape): Node | undefined => {
  if (!sameShape(withoutOnes(x.shape), withoutOnes(shape))) return undefined
  const source = aligned(g, x).shape
  const kept = source.filter((_, axis) => x.shape[axis] !== 1)
  let next = 0
  const small = shape.map((n) => (n === 1 ? 1 : kept[next++]!))
  return g.broadcast(reshape(g, x.inputs[0]!, small), shape)
}

/** Axes in another order: axis `i` of the result is axis `perm[i]` of `x`. */
export const transpose = (g: Graph, x: Node, perm: ReadonlyArray<number>): Node => {
  if (perm.every((axis, i) => axis === i)) return x
  const shape = perm.map((axis) => x.shape[axis]!)
  if (x.op === "transpose") {
    const first = x.attrs["perm"] as ReadonlyArray<number>
    return transpose(
      g,
      x.inputs[0]!,
      perm.map((axis) => first[axis]!)
    )
  }
  if (x.op === "broadcast") return g.broadcast(transpose(g, aligned(g, x), perm), shape)
  const long = (axis: number) => x.shape[axis] !== 1
  const order = perm.filter(long)
  if (order.every((axis, i) => i === 0 || order[i - 1]! < axis)) return reshape(g, x, shape)
  return g.node("transpose", [x], { perm }, shape, x.dtype)
}

const inverse = (perm: ReadonlyArray<number>): ReadonlyArray<number> => perm.map((_, axis) => perm.indexOf(axis))

/**
 * The order of axes in which to compute on operands of which one, as large as the result, is transposed: where the others
 * are so too, or are smaller, the transpose can wait until after. A layout thus travels on until something needs another.
 */
export const layoutOf = (operands: ReadonlyArray<Node>, shape: Shape): ReadonlyArray<number> | undefined => {
  const first = operands.find((x) => x.op === "transpose" && sameShape(x.shape, shape))
  const perm = first?.attrs["perm"] as ReadonlyArray<number> | undefined
  if (perm === undefined) return undefined
  const follows = (x: Node) =>
    x.op === "transpose"
      ? sameShape(x.attrs["perm"] as Shape, perm) || sizeOf(x) < size(shape)
      : sizeOf(x) < size(shape)
  return operands.every(follows) ? perm : undefined
}

/** An operand of {@link layoutOf}, in the layout found. */
export const inLayout = (g: Graph, x: Node, perm: ReadonlyArray<number>): Node => {
  const rank = perm.length
  if (sizeOf(x) === 1) return x
  return transpose(g, reshape(g, x, [...Array<number>(rank - x.shape.length).fill(1), ...x.shape]), inverse(perm))
}

/** A box of `size` elements from `begin`, every `strides`-th along each axis. */
export const slice = (g: Graph, x: Node, begin: Shape, extent: Shape, strides: Shape = begin.map(() => 1)): Node => {
  if (sameShape(x.shape, extent)) return x
  const filled = uniformValue(x)
  if (filled !== undefined) return g.broadcast(g.scalar(filled, x.dtype), extent)
  if (x.op === "broadcast") {
    const source = aligned(g, x)
    const own = (whole: number, axis: number) => (source.shape[axis] === 1 ? whole : undefined)
    const small = extent.map((n, axis) => own(1, axis) ?? n)
    return g.broadcast(
      slice(
        g,
        source,
        begin.map((n, axis) => own(0, axis) ?? n),
        small,
        strides
      ),
      extent
    )
  }
  if (x.op === "slice" && strides.every((n) => n === 1) && (x.attrs["strides"] as Shape).every((n) => n === 1)) {
    const outer = x.attrs["begin"] as Shape
    return slice(
      g,
      x.inputs[0]!,
      begin.map((n, axis) => n + outer[axis]!),
      extent
    )
  }
  if (x.op === "concat") {
    const part = partOf(x, begin, extent, strides)
    if (part !== undefined) return part
  }
  if (x.op === "transpose") {
    const perm = x.attrs["perm"] as ReadonlyArray<number>
    const back = (along: Shape) => inverse(perm).map((axis) => along[axis]!)
    return transpose(g, slice(g, x.inputs[0]!, back(begin), back(extent), back(strides)), perm)
  }
  return g.node("slice", [x], { begin, strides }, extent, x.dtype)
}

// A slice that is exactly one part of a concatenation is that part.
const partOf = (x: Node, begin: Shape, extent: Shape, strides: Shape): Node | undefined => {
  const axis = x.attrs["axis"] as number
  if (!strides.every((n) => n === 1) || !begin.every((n, i) => i === axis || n === 0)) return undefined
  let offset = 0
  for (const part of x.inputs) {
    if (offset === begin[axis] && sameShape(part.shape, extent)) return part
    offset += part.shape[axis]!
  }
  return undefined
}

/** Tensors end to end along an axis. */
export const concat = (g: Graph, parts: ReadonlyArray<Node>, axis: number): Node => {
  const present = parts.filter((part) => part.shape[axis] !== 0)
  if (present.length === 1) return present[0]!
  const perm = layoutOf(
    present.map((x) => ({ ...x, shape: present[0]!.shape })),
    present[0]!.shape
  )
  if (perm !== undefined)
    return transpose(
      g,
      concat(
        g,
        present.map((x) => x.inputs[0]!),
        perm[axis]!
      ),
      perm
    )
  const shape = present[0]!.shape.map((n, i) =>
    i === axis ? present.reduce((sum, part) => sum + part.shape[axis]!, 0) : n
  )
  return g.node("concat", present, { axis }, shape, present[0]!.dtype)
}

/** Constant `value` around a tensor. */
export const pad = (g: Graph, x: Node, before: Shape, after: Shape, value: number): Node => {
  if (before.every((n) => n === 0) && after.every((n) => n === 0)) return x
  if (x.op === "transpose") {
    const perm = x.attrs["perm"] as ReadonlyArray<number>
    const back = (along: Shape) => inverse(perm).map((axis) => along[axis]!)
    return transpose(g, pad(g, x.inputs[0]!, back(before), back(after), value), perm)
  }
  const shape = x.shape.map((n, axis) => n + before[axis]! + after[axis]!)
  if (Object.is(uniformValue(x), value)) return g.broadcast(g.scalar(value, x.dtype), shape)
  return g.node("pad", [x], { before, after, value }, shape, x.dtype)
}

/** A tensor mirrored at its edges, with them (`symmetric`) or without (`reflect`): rows taken again along each axis. */
export const mirrorPad = (g: Graph, x: Node, before: Shape, after: Shape, mode: "reflect" | "symmetric"): Node =>
  x.shape.reduce((sofar, n, axis) => {
    if (before[axis] === 0 && after[axis] === 0) return sofar
    const skip = mode === "reflect" ? 0 : 1
    const mirrored = (i: number) => (i < 0 ? -i - skip : i >= n ? 2 * n - 2 - i + skip : i)
    const length = n + before[axis]! + after[axis]!
    const places = Int32Array.from({ length }, (_, i) => mirrored(i - before[axis]!))
    return gather(g, sofar, g.const(places, [length], "int32"), axis, 0)
  }, x)

/** A tensor repeated end to end along its axes. */
export const tile = (g: Graph, x: Node, repeats: Shape): Node => {
  const shape = x.shape.map((n, axis) => n * repeats[axis]!)
  if (x.shape.every((n, axis) => n === 1 || repeats[axis] === 1)) return g.broadcast(x, shape)
  // Repeating is broadcasting along a new axis before each one.
  const apart = x.shape.flatMap((n) => [1, n])
  return reshape(
    g,
    g.broadcast(
      reshape(g, x, apart),
      x.shape.flatMap((n, axis) => [repeats[axis]!, n])
    ),
    shape
  )
}

/** Elements in reverse order along some axes. */
export const reverse = (g: Graph, x: Node, axes: ReadonlyArray<number>): Node => {
  const turning = axes.filter((axis) => x.shape[axis]! > 1)
  if (turning.length === 0 || uniformValue(x) !== undefined) return x
  return g.node("reverse", [x], { axes: turning }, x.shape, x.dtype)
}

/** Stands for a number of a row that there is none of, also with the rows of earlier blocks added. */
const nowhere = 2 ** 30

/**
 * Rows `indices` of `x` along an axis; the first `batch` axes of both go together. Throws a `CompileError` where an index
 * that is known now is out of range; of others, each lowering sees to it that they give an error or NaN, never another row.
 */
export const gather = (g: Graph, x: Node, indices: Node, axis: number, batch: number): Node => {
  const outside = indices.values?.find((row) => row < 0 || row >= x.shape[axis]!)
  if (outside !== undefined) {
    const reason = `takes row ${outside} of ${x.shape[axis]}, which are counted from 0`
    throw new CompileError({ op: "gather", level: "", reason })
  }
  const shape = [...x.shape.slice(0, axis), ...indices.shape.slice(batch), ...x.shape.slice(axis + 1)]
  const filled = uniformValue(x)
  if (filled !== undefined) return g.broadcast(g.scalar(filled, x.dtype), shape)
  if (batch === 0) return g.node("gather", [x, indices], { axis }, shape, x.dtype)
  // With batch axes: rows of the flat table, each batch offset to its own block.
  const blocks = size(x.shape.slice(0, batch))
  if (axis !== batch) {
    const perm = [...range(0, batch), axis, ...range(batch, axis), ...range(axis + 1, x.shape.length)]
    const found = gather(g, transpose(g, x, perm), indices, batch, batch)
    const [r, m] = [indices.shape.length, axis - batch]
    const back = [...range(0, batch), ...range(r, r + m), ...range(batch, r), ...range(r + m, found.shape.length)]
    return transpose(g, found, back)
  }
  const rows = x.shape[axis]!
  const offsets = g.const(
    Int32Array.from({ length: blocks }, (_, i) => i * rows),
    [...x.shape.slice(0, batch), ...Array<number>(indices.shape.length - batch).fill(1)],
    "int32"
  )
  const flat = reshape(g, x, [blocks * rows, ...x.shape.slice(batch + 1)])
  // A number out of range must not become a row of another block.
  const within = indices.values === undefined ? inRange(g, indices, rows) : indices
  const places = g.node("add", [within, offsets], none, indices.shape, "int32")
  return g.node("gather", [flat, places], { axis: 0 }, shape, x.dtype)
}

const inRange = (g: Graph, indices: Node, rows: number): Node => {
  const node = (op: string, inputs: ReadonlyArray<Node>, dtype: "bool" | "int32") =>
    g.node(op, inputs, none, indices.shape, dtype)
  const below = node("less", [indices, g.scalar(rows, "int32")], "bool")
  const inside = node("and", [node("greaterEqual", [indices, g.scalar(0, "int32")], "bool"), below], "bool")
  return node("select", [inside, indices, g.scalar(nowhere, "int32")], "int32")
}

const range = (from: number, to: number): ReadonlyArray<number> => Array.from({ length: to - from }, (_, i) => from + i)
