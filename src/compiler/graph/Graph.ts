/**
 * The graph of a traced step: a small language of tensor operations, few enough that every pass over it can know them all.
 *
 * A node is made once: asking for one that exists gives the one there is, so common subexpressions never arise. Rules that
 * make fewer or smaller nodes live in the builders (`Elementwise`, `Layout`, `Contraction`), which see each node as it is made.
 */
import * as ExactJson from "../../dsl/values/ExactJson.ts"
import { size } from "../../dsl/values/NdArray.ts"

/** Types of elements. Truth values, and numbers in half the bits, are inside a graph and never leave it. */
export type Dtype = "float32" | "int32" | "bool" | Half
/** Numbers in 16 bits: what `Autocast` casts to. Constants are none. */
export type Half = "bfloat16" | "float16"
/** Whether elements have 16 bits. */
export const isHalf = (dtype: Dtype): dtype is Half => dtype === "bfloat16" || dtype === "float16"
export type Shape = ReadonlyArray<number>
export type Values = Float32Array | Int32Array | Uint8Array
export type Attr = number | string | boolean | ReadonlyArray<number>
export type Attrs = { readonly [name: string]: Attr }

/** One operation and what it yields: always one tensor of a known shape. */
export interface Node {
  readonly id: number
  readonly op: string
  readonly inputs: ReadonlyArray<Node>
  readonly attrs: Attrs
  readonly shape: Shape
  readonly dtype: Dtype
  /** The level whose computation first asked for it; empty outside of levels. */
  readonly level: string
  /** Numbers of a `const`. */
  readonly values: Values | undefined
}

/** No attributes. */
export const none: Attrs = {}

/** Numbers in the element type they stand for. */
export const valuesOf = (dtype: Dtype, numbers: ArrayLike<number>): Values =>
  dtype === "float32"
    ? Float32Array.from(numbers)
    : dtype === "int32"
      ? Int32Array.from(numbers)
      : Uint8Array.from(numbers)

const uniform = (numbers: ArrayLike<number>): boolean => {
  const first = numbers[0]
  for (let i = 1; i < numbers.length; i++) if (!Object.is(numbers[i], first)) return false
  return true
}

// Of float32 its bits, which tell −0 from 0 and a NaN from nothing.
const bits = (values: Values): Uint8Array | Uint32Array =>
  values instanceof Uint8Array ? values : new Uint32Array(values.buffer, values.byteOffset, values.length)
// FNV-1a over whole elements.
const digest = (values: Values): number => {
  let hash = 0x811c_9dc5
  for (const word of bits(values)) hash = Math.imul(hash ^ word, 0x0100_0193)
  return hash
}
const sameBits = (a: Values, b: Values): boolean => {
  const [m, n] = [bits(a), bits(b)]
  for (let i = 0; i < m.length; i++) if (m[i] !== n[i]) return false
  return m.length === n.length
}

/** Nodes under construction. `level` is asked, at each new node, whose work it is. */
export class Graph {
  readonly #known = new Map<string, Node>()
  #level: () => string
  #next = 0

  constructor(level: () => string = () => "") {
    this.#level = level
  }

  #add(op: string, inputs: ReadonlyArray<Node>, attrs: Attrs, shape: Shape, dtype: Dtype, values?: Values): Node {
    return { id: this.#next++, op, inputs, attrs, shape: [...shape], dtype, level: this.#level(), values }
  }

  /** The node for this operation: the one there is, or a new one. No rule is applied. */
  node(op: string, inputs: ReadonlyArray<Node>, attrs: Attrs, shape: Shape, dtype: Dtype): Node {
    // By what they say: where a process has the package twice, there are two objects that say nothing.
    const key = `${op} ${inputs.map((x) => x.id).join()} ${attrs === none ? "{}" : ExactJson.stringify(attrs)} ${dtype} ${shape.join()}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const made = this.#add(op, inputs, attrs, shape, dtype)
    this.#known.set(key, made)
    return made
  }

  /** Runs `f`, whose new nodes are the work of a level. */
  within<A>(level: string, f: () => A): A {
    const outer = this.#level
    this.#level = () => level
    try {
      return f()
    } finally {
      this.#level = outer
    }
  }

  /** A new source of numbers, distinct from every other. */
  input(name: string, shape: Shape, dtype: Dtype): Node {
    return this.#add("input", [], { name }, shape, dtype)
  }

  /** Numbers known now. Equal ones are one node; many equal elements are one, broadcast. */
  const(numbers: ArrayLike<number>, shape: Shape, dtype: Dtype): Node {
    if (numbers.length > 1 && uniform(numbers)) return this.broadcast(this.scalar(numbers[0]!, dtype), shape)
    const values = valuesOf(dtype, numbers)
    const key = `const ${dtype} ${shape.join()} ${digest(values)}`
    const known = this.#known.get(key)
    if (known !== undefined && sameBits(known.values!, values)) return known
    const made = this.#add("const", [], none, shape, dtype, values)
    this.#known.set(key, made)
    return made
  }

  /** One number. */
  scalar(value: number, dtype: Dtype): Node {
    return this.const([value], [], dtype)
  }

  /** `x` repeated to a shape that it broadcasts to. */
  broadcast(x: Node, shape: Shape): Node {
    if (sameShape(x.shape, shape)) return x
    if (x.op === "broadcast") return this.broadcast(x.inputs[0]!, shape)
    return this.node("broadcast", [x], none, shape, x.dtype)
  }
}

/** Operations under the names that others give them: the same, but for a capital. */
export const capitalized = (ops: string): ReadonlyArray<readonly [name: string, op: string]> =>
  ops.split(" ").map((op) => [`${op[0]!.toUpperCase()}${op.slice(1)}`, op] as const)

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i])

/** Elements of a node. */
export const sizeOf = (node: Node): number => size(node.shape)

/** What is repeated, where a node only repeats something; else the node. */
export const core = (x: Node): Node => (x.op === "broadcast" ? x.inputs[0]! : x)

/** The one number that fills a node, where that is known. */
export const uniformValue = (x: Node): number | undefined => {
  const { values } = core(x)
  return values?.length === 1 ? values[0] : undefined
}

/** Nodes that the results need, each after what it needs. What is not among them is dead. Nothing is sought behind a `source`. */
export const reachable = (
  results: ReadonlyArray<Node>,
  source: (node: Node) => boolean = () => false
): ReadonlyArray<Node> => {
  const seen = new Set<Node>()
  const stack: Array<Node> = [...results]
  while (stack.length > 0) {
    const node = stack.pop()!
    if (seen.has(node)) continue
    seen.add(node)
    if (!source(node)) stack.push(...node.inputs)
  }
  // Inputs of a node are made before it, so that the order of making is an order of execution.
  return [...seen].sort((a, b) => a.id - b.id)
}

/** How often each operation stands among what the results need. */
export const count = (results: ReadonlyArray<Node>): { readonly [op: string]: number } => {
  const counts: { [op: string]: number } = {}
  for (const { op } of reachable(results)) counts[op] = (counts[op] ?? 0) + 1
  return counts
}

const numeral = (value: number): string => (Object.is(value, -0) ? "-0" : String(value))

const shown = (value: Attr): string =>
  Array.isArray(value) ? `[${value.join(", ")}]` : typeof value === "number" ? numeral(value) : String(value)

const numbers = (values: Values): string =>
  values.length <= 8
    ? Array.from(values, (v) => numeral(Number(v.toPrecision(7)))).join(" ")
    : `… ${values.length} numbers`

/** The graph as text, one node a line, for reading and for snapshots: work that appears or vanishes shows in a diff. */
export const print = (results: ReadonlyArray<readonly [name: string, node: Node]>): string => {
  const nodes = reachable(results.map(([, node]) => node))
  const names = new Map<Node, string>()
  let next = 0
  const named = (node: Node): string => {
    if (node.op === "input") return String(node.attrs["name"])
    return node.values !== undefined && node.shape.length === 0 ? numbers(node.values) : names.get(node)!
  }
  const lines: Array<string> = []
  for (const node of nodes) {
    const { attrs, dtype, inputs, level, op, shape, values } = node
    if (op === "input" || (values !== undefined && shape.length === 0)) continue
    names.set(node, `%${next++}`)
    const options = Object.entries(attrs).map(([name, value]) => `${name}=${shown(value)}`)
    const operands = [...inputs.map(named), ...(values === undefined ? [] : [numbers(values)]), ...options].join(", ")
    const type = dtype === "float32" ? `[${shape.join(", ")}]` : `${dtype}[${shape.join(", ")}]`
    lines.push(`${names.get(node)} = ${op}(${operands}): ${type}${level === "" ? "" : `  // ${level}`}`)
  }
  return [...lines, ...results.map(([name, node]) => `${name} ← ${named(node)}`)].join("\n")
}

/** What a leaf looks like, on the host or on a device. */
export interface LeafType {
  readonly dtype: "float32" | "int32"
  readonly shape: Shape
  /** The axis along which several devices share it, each having an equal part; absent where each has all of it. */
  readonly axis?: number | undefined
}
