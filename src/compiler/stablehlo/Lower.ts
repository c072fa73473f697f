/** From graphs to StableHLO: what each operation is there, and a whole function as text. */
import { CompileError } from "../graph/CompileError.ts"
import { type Node, reachable, type Shape, sizeOf } from "../graph/Graph.ts"
import { binaries, unaries } from "./Elementwise.ts"
import { elementOf, Emitter, isFloat, longs, precisionOf, region, typeOf, type Value } from "./Emitter.ts"
import * as Images from "./Images.ts"
import * as Noise from "./Noise.ts"
import { alone, attribute, mesh, type Sharding } from "./Sharding.ts"

type Lowering = (e: Emitter, inputs: ReadonlyArray<Value>, node: Node) => Value

const reducing =
  (by: string, initial: (node: Node) => number): Lowering =>
  (e, [x], node) => {
    const reduced = e.reduce(x!, e.scalar(initial(node), x!.element), by, node.attrs["axes"] as Shape)
    return e.reshape(reduced, node.shape)
  }

const least = ({ dtype }: Node): number => (dtype === "int32" ? -(2 ** 31) : -Infinity)
const most = ({ dtype }: Node): number => (dtype === "int32" ? 2 ** 31 - 1 : Infinity)

/** The first place of the greatest or least element along an axis: the least of the places where it stands. */
const placing =
  (by: "maximum" | "minimum"): Lowering =>
  (e, [x], { attrs }) => {
    const axis = attrs["axis"] as number
    const { element, shape } = x!
    const far = isFloat(element)
      ? by === "maximum"
        ? -Infinity
        : Infinity
      : by === "maximum"
        ? -(2 ** 31)
        : 2 ** 31 - 1
    const best = e.reduce(x!, e.scalar(far, element), by, [axis])
    const spread = e.broadcast(e.reshape(best, shape.with(axis, 1)), shape)
    const places = e.iota(axis, "i32", shape)
    const nowhere = e.full(shape[axis]!, "i32", shape)
    const standing = e.select(e.compare("EQ", x!, spread), places, nowhere)
    const first = e.reduce(standing, e.scalar(shape[axis]!, "i32"), "minimum", [axis])
    return e.same("minimum", first, e.full(shape[axis]! - 1, "i32", first.shape))
  }

const cumsum: Lowering = (e, [x], { attrs, shape }) => {
  const axis = attrs["axis"] as number
  const [exclusive, back] = [attrs["exclusive"] === true, attrs["reverse"] === true]
  const length = shape[axis]!
  // What a place sums reaches back to the first; without itself, from the place before.
  const before = exclusive ? length : length - 1
  const after = exclusive ? -1 : 0
  const own = back ? ([after, before] as const) : ([before, after] as const)
  const padding = shape.map((_, i) => (i === axis ? own : ([0, 0] as const)))
  const window = shape.map((_, i) => (i === axis ? length : 1))
  return e.reduceWindow(
    x!,
    e.scalar(0, x!.element),
    "add",
    window,
    shape.map(() => 1),
    padding
  )
}

const softmax: Lowering = (e, [x], { shape }) => {
  const last = shape.length - 1
  const rows = shape.with(last, 1)
  const greatest = e.reshape(e.reduce(x!, e.scalar(-Infinity), "maximum", [last]), rows)
  const raised = e.same("exponential", e.same("subtract", x!, e.broadcast(greatest, shape)))
  const sums = e.reshape(e.reduce(raised, e.scalar(0), "add", [last]), rows)
  return e.same("divide", raised, e.broadcast(sums, shape))
}

const matmul: Lowering = (e, [a, b], { attrs, shape }) => {
  const [ta, tb] = [attrs["ta"] === true, attrs["tb"] === true]
  const batch = shape.slice(0, -2)
  const [left, right] = [a!, b!].map((x) => e.broadcast(x, [...batch, ...x.shape.slice(-2)])) as [Value, Value]
  const n = batch.length
  const axes = batch.map((_, axis) => axis).join(", ")
  const batching = n === 0 ? "" : `batching_dims = [${axes}] x [${axes}], `
  const precision = precisionOf(left.element, attrs)
  const head =
    `stablehlo.dot_general ${left.name}, ${right.name}, ${batching}` +
    `contracting_dims = [${ta ? n : n + 1}] x [${tb ? n + 1 : n}], precision = [${precision}, ${precision}]`
  return e.typed(left.element, shape, head, [left, right])
}

/** Rows along an axis by number. XLA would take the nearest row for one that there is none of: here that is NaN. */
const gather: Lowering = (e, [x, ids], { attrs, inputs, shape }) => {
  const axis = attrs["axis"] as number
  const { element, shape: source } = x!
  const rank = inputs[1]!.shape.length
  const offsets = source.flatMap((_, i) => (i === axis ? [] : [i < axis ? i : i + rank - 1]))
  const head =
    `"stablehlo.gather"(${x!.name}, ${ids!.name}) <{dimension_numbers = #stablehlo.gather<` +
    `${offsets.length === 0 ? "" : `offset_dims = [${offsets.join(", ")}], `}collapsed_slice_dims = [${axis}], ` +
    `start_index_map = [${axis}], index_vector_dim = ${rank}>, indices_are_sorted = false, ` +
    `slice_sizes = ${longs(source.with(axis, 1))}}>`
  const rows = e.typed(element, shape, head, [x!, ids!])
  if (inputs[1]!.values !== undefined || element === "i1") return rows
  const numbers = (value: number) => e.full(value, "i32", ids!.shape)
  const [low, high] = [e.compare("GE", ids!, numbers(0)), e.compare("LT", ids!, numbers(source[axis]!))]
  const along = shape.map((n, i) => (i >= axis && i < axis + rank ? n : 1))
  const inside = e.broadcast(e.reshape(e.same("and", low, high), along), shape)
  return e.select(inside, rows, e.full(isFloat(element) ? Number.NaN : -(2 ** 31), element, shape))
}

const segmentSum: Lowering = (e, [x, ids], { inputs, shape }) => {
  const count = sizeOf(inputs[1]!)
  const inner = shape.slice(1)
  const updates = e.reshape(x!, [count, ...inner])
  const places = e.reshape(ids!, [count, 1])
  const zeros = e.full(0, x!.element, shape)
  const windows = inner.length === 0 ? "" : `update_window_dims = [${inner.map((_, i) => i + 1).join(", ")}], `
  const head =
    `"stablehlo.scatter"(${zeros.name}, ${places.name}, ${updates.name}) <{indices_are_sorted = false, ` +
    `scatter_dimension_numbers = #stablehlo.scatter<${windows}inserted_window_dims = [0], ` +
    `scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, unique_indices = false}> ${region("add", x!.element)}`
  return e.typed(x!.element, shape, head, [zeros, places, updates])
}

const cast: Lowering = (e, [x], { dtype }) =>
  dtype === "bool" ? e.compare("NE", x!, e.full(0, x!.element, x!.shape)) : e.convert(x!, elementOf(dtype))

const moving: { readonly [op: string]: Lowering } = {
  broadcast: (e, [x], { shape }) => e.broadcast(x!, shape),
  reshape: (e, [x], { shape }) => e.reshape(x!, shape),
  transpose: (e, [x], { attrs }) => e.transpose(x!, attrs["perm"] as Shape),
  slice: (e, [x], { attrs, shape }) => {
    const [begin, strides] = [attrs["begin"] as Shape, attrs["strides"] as Shape]
    return e.slice(
      x!,
      begin,
      begin.map((from, axis) => from + (shape[axis]! - 1) * strides[axis]! + 1),
      strides
    )
  },
  reverse: (e, [x], { attrs }) => e.reverse(x!, attrs["axes"] as Shape),
  concat: (e, inputs, { attrs }) => e.concatenate(inputs, attrs["axis"] as number),
  pad: (e, [x], { attrs }) =>
    e.pad(x!, e.scalar(attrs["value"] as number, x!.element), attrs["before"] as Shape, attrs["after"] as Shape)
}

const lowerings: { readonly [op: string]: Lowering } = {
  ...Object.fromEntries(Object.entries(unaries).map(([op, f]): [string, Lowering] => [op, (e, [x]) => f(e, x!)])),
  ...Object.fromEntries(
    Object.entries(binaries).map(([op, f]): [string, Lowering] => [
      op,
      (e, [a, b], { shape }) => f(e, e.broadcast(a!, shape), e.broadcast(b!, shape))
    ])
  ),
  ...Images.lowerings,
  ...moving,
  select: (e, inputs, { shape }) => {
    const [where, a, b] = inputs.map((x) => e.broadcast(x, shape)) as [Value, Value, Value]
    return e.select(where, a, b)
  },
  cast,
  noise: Noise.lower,
  sum: reducing("add", () => 0),
  prodOf: reducing("multiply", () => 1),
  maxOf: reducing("maximum", least),
  minOf: reducing("minimum", most),
  argMax: placing("maximum"),
  argMin: placing("minimum"),
  cumsum,
  softmax,
  matmul,
  gather,
  segmentSum
}

/** The operations that there are a form in StableHLO for. */
export const lowered: ReadonlyArray<string> = Object.keys(lowerings)

/** By input, the result that may take its memory. */
export type Aliases = ReadonlyMap<number, number>

/** Numbers of any type as one list of float32, bit for bit. */
const flat = (e: Emitter, x: Value): Value => {
  const list = e.reshape(x, [x.shape.reduce((n, m) => n * m, 1)])
  return list.element === "f32" ? list : e.typed("f32", list.shape, `stablehlo.bitcast_convert ${list.name}`, [list])
}

/**
 * A graph as a module whose function `main` takes the inputs in order. It gives what is kept in order, and last what is sent:
 * all of it as one list of float32 (whole numbers bit for bit), since one copy from a device costs what many small ones cost
 * each. Without anything to send there is no list.
 */
export const lower = (
  inputs: ReadonlyArray<Node>,
  kept: ReadonlyArray<Node>,
  sent: ReadonlyArray<Node>,
  aliases: Aliases = new Map(),
  sharding: Sharding = alone
): string => {
  const { devices } = sharding
  /** What is said of a parameter or result beside its type. */
  const said = (rank: number, axis: number | undefined, ...others: ReadonlyArray<string>): string => {
    const all = devices === 1 ? others : [attribute(rank, axis), ...others]
    return all.length === 0 ? "" : ` {${all.join(", ")}}`
  }
  const e = new Emitter()
  const values = new Map<Node, Value>()
  const parameters = inputs.map((node, i) => {
    const value: Value = { name: `%arg${i}`, element: elementOf(node.dtype), shape: node.shape }
    values.set(node, value)
    const alias = aliases.get(i)
    const handed = alias === undefined ? [] : [`tf.aliasing_output = ${alias} : i32`]
    return `${value.name}: ${typeOf(value)}${said(value.shape.length, sharding.inputs[i], ...handed)}`
  })
  let level = ""
  for (const node of reachable([...kept, ...sent])) {
    if (node.op === "input") continue
    if (node.level !== level) {
      level = node.level
      e.lines.push(level === "" ? "// outside of levels" : `// ${level}`)
    }
    if (node.values !== undefined) {
      values.set(node, e.constant(node.values, elementOf(node.dtype), node.shape))
      continue
    }
    const lowering = lowerings[node.op]
    if (lowering === undefined)
      throw new CompileError({ op: node.op, level: node.level, reason: "has no form in StableHLO" })
    const operands = node.inputs.map((input) => values.get(input)!)
    values.set(node, lowering(e, operands, node))
  }
  const parts = sent.filter((node) => sizeOf(node) > 0).map((node) => flat(e, values.get(node)!))
  const list = parts.length === 0 ? [] : [parts.length === 1 ? parts[0]! : e.concatenate(parts, 0)]
  const returned = [...kept.map((node) => values.get(node)!), ...list]
  const types = returned.map(typeOf).join(", ")
  const results = returned.map((value, i) => `${typeOf(value)}${said(value.shape.length, sharding.kept[i])}`)
  return [
    `module @step attributes {mhlo.num_partitions = ${devices} : i32, mhlo.num_replicas = 1 : i32} {`,
    ...(devices === 1 ? [] : [`  ${mesh(devices)}`]),
    `  func.func public @main(${parameters.join(", ")}) -> (${results.join(", ")}) {`,
    ...e.lines.map((line) => `    ${line}`),
    `    return${returned.length === 0 ? "" : ` ${returned.map(({ name }) => name).join(", ")} : ${types}`}`,
    "  }",
    "}",
    ""
  ].join("\n")
}
