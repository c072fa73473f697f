/** From graphs to ONNX: what each operation is in ONNX's operators. */
import { CompileError } from "../graph/CompileError.ts"
import { capitalized, type Dtype, type Node, reachable, type Shape, sizeOf, uniformValue } from "../graph/Graph.ts"
import { divisorOf } from "./Divisor.ts"
import { Emitter } from "./Emitter.ts"
import * as Fuse from "./Fuse.ts"
import * as Images from "./LowerImages.ts"
import { factors } from "./Permutation.ts"
import { type Model, type Provider, typeOf } from "./Onnx.ts"
import * as Threefry from "./LowerNoise.ts"
import * as Webgpu from "./LowerForWebgpu.ts"

type Lowering = (e: Emitter, inputs: ReadonlyArray<string>, node: Node) => string

const direct =
  (op: string): Lowering =>
  (e, inputs) =>
    e.emit(op, inputs)

const names = [
  ...capitalized(
    "abs acos acosh add and asin asinh atan atanh ceil cos cosh div equal erf exp floor greater isInf less log max min"
  ),
  ...capitalized("mul neg not or pow reciprocal relu round sigmoid sign sin sinh softplus sqrt sub tan tanh"),
  ["GreaterOrEqual", "greaterEqual"],
  ["LessOrEqual", "lessEqual"],
  ["IsNaN", "isNan"]
] as const

const reducing =
  (op: string): Lowering =>
  (e, [x], { attrs, shape }) =>
    e.emit(op, [x!, e.longs(attrs["axes"] as Shape)], { keepdims: Number(shape.length > 0) })

const turned = (e: Emitter, x: string, { shape }: Node, transposed: number): string => {
  const n = shape.length
  const perm = shape.map((_, i) => (i < n - 2 ? i : 2 * n - 3 - i))
  return transposed === 0 ? x : e.emit("Transpose", [x], { perm })
}

/** Numbers of rows, of which ONNX counts negative ones from the end: out of range they are an error of ONNX Runtime's. */
const fromFront = (e: Emitter, ids: string, node: Node): string => {
  if (node.values !== undefined || node.op === "argMax" || node.op === "argMin") return ids
  return e.emit("Where", [e.emit("Less", [ids, e.int(0)]), e.int(2 ** 31 - 1), ids])
}

/** The extreme of numbers, which is none where one of them is none: ONNX Runtime's own passes over those. */
const extreme =
  (op: string): Lowering =>
  (e, inputs, node) => {
    const found = reducing(op)(e, inputs, node)
    if (node.dtype !== "float32") return found
    const missing = reducing("ReduceMax")(e, [e.emit("IsNaN", [inputs[0]!])], node)
    return e.emit("Where", [missing, e.float(Number.NaN), found])
  }

const placing =
  (op: string): Lowering =>
  (e, [x], { attrs }) =>
    e.cast(e.emit(op, [x!], { axis: attrs["axis"] as number, keepdims: 0 }), "int32")

const lowerings: { readonly [op: string]: Lowering } = {
  ...Object.fromEntries(names.map(([name, op]) => [op, direct(name)])),
  ...Images.lowerings,
  noise: Threefry.lower,

  notEqual: (e, inputs) => e.emit("Not", [e.emit("Equal", inputs)]),
  // ONNX has neither of these, and 1 + x loses a small x: e^x − 1 = tanh(x/2)(e^x + 1); Kahan's form of log(1 + x).
  expm1: (e, [x]) =>
    e.emit("Mul", [
      e.emit("Tanh", [e.emit("Mul", [x!, e.float(0.5)])]),
      e.emit("Add", [e.emit("Exp", [x!]), e.float(1)])
    ]),
  log1p: (e, [x]) => {
    const one = e.emit("Add", [x!, e.float(1)])
    const rounded = e.emit("Sub", [one, e.float(1)])
    const corrected = e.emit("Mul", [e.emit("Log", [one]), e.emit("Div", [x!, rounded])])
    // Where one is nothing beside x, infinity included, there is nothing to correct.
    const near = e.emit("Where", [e.emit("Equal", [rounded, e.float(0)]), x!, corrected])
    return e.emit("Where", [e.emit("Equal", [one, x!]), e.emit("Log", [x!]), near])
  },
  floorDiv: (e, [a, b], { dtype, inputs }) => {
    if (dtype === "float32") return e.emit("Floor", [e.emit("Div", [a!, b!])])
    // One less than the quotient towards zero where something is left and the signs differ.
    const divisor = divisorOf(e, b!, inputs[1]!)
    const isWhole = e.emit("Equal", [e.emit("Mod", [a!, divisor]), e.int(0)])
    const differ = e.emit("Xor", [e.emit("Less", [a!, e.int(0)]), e.emit("Less", [b!, e.int(0)])])
    const lower = e.cast(e.emit("And", [differ, e.emit("Not", [isWhole])]), "int32")
    const quotient = e.emit("Sub", [e.emit("Div", [a!, divisor]), lower])
    return divisor === b ? quotient : e.emit("Where", [e.emit("Equal", [b!, e.int(-1)]), e.emit("Neg", [a!]), quotient])
  },
  mod: (e, [a, b], { dtype, inputs }) => {
    if (dtype === "int32") return e.emit("Mod", [a!, divisorOf(e, b!, inputs[1]!)])
    // Exact, with the sign of b: the remainder of a quotient rounded to float32 would be lost where that is large.
    const rest = e.emit("Mod", [a!, b!], { fmod: 1 })
    const below = (x: string) => e.emit("Less", [x, e.float(0)])
    const done = e.emit("Or", [e.emit("Equal", [below(a!), below(b!)]), e.emit("Equal", [rest, e.float(0)])])
    return e.emit("Where", [done, rest, e.emit("Add", [rest, b!])])
  },
  cast: (e, [x], { dtype, inputs }) => {
    if (dtype !== "int32" || inputs[0]!.dtype !== "float32") return e.cast(x!, typeOf(dtype))
    // What no whole number of 32 bits stands for is zero, where ONNX Runtime gives whatever the processor does.
    const within = e.emit("Less", [e.emit("Abs", [x!]), e.float(2 ** 31)])
    return e.cast(e.emit("Where", [within, x!, e.float(0)]), "int32")
  },

  broadcast: (e, [x], { shape }) => e.emit("Expand", [x!, e.longs(shape)]),
  reshape: (e, [x], { shape }) => e.reshape(x!, shape),
  transpose: (e, [x], node) => {
    const perm = node.attrs["perm"] as Shape
    return (sizeOf(node) < 4096 ? [perm] : factors(perm)).reduce(
      (y, order) => e.emit("Transpose", [y], { perm: order }),
      x!
    )
  },
  slice: (e, [x], { attrs, shape }) => {
    const [begin, strides] = [attrs["begin"] as Shape, attrs["strides"] as Shape]
    const ends = begin.map((n, axis) => n + (shape[axis]! - 1) * strides[axis]! + 1)
    return e.emit("Slice", [x!, e.longs(begin), e.longs(ends), e.longs(begin.map((_, axis) => axis)), e.longs(strides)])
  },
  reverse: (e, [x], { attrs }) => {
    const axes = attrs["axes"] as Shape
    const each = (n: number) => e.longs(axes.map(() => n))
    return e.emit("Slice", [x!, each(-1), each(-(2 ** 31)), e.longs(axes), each(-1)])
  },
  concat: (e, inputs, { attrs }) => e.emit("Concat", inputs, { axis: attrs["axis"] as number }),
  pad: (e, [x], { attrs, dtype }) => {
    const pads = e.longs([...(attrs["before"] as Shape), ...(attrs["after"] as Shape)])
    const value = attrs["value"] as number
    return e.emit("Pad", [x!, pads, dtype === "int32" ? e.ints([], Int32Array.of(value)) : e.float(value)])
  },
  gather: (e, [x, ids], { attrs, inputs }) =>
    e.emit("Gather", [x!, fromFront(e, ids!, inputs[1]!)], { axis: attrs["axis"] as number }),

  sum: reducing("ReduceSum"),
  maxOf: extreme("ReduceMax"),
  minOf: extreme("ReduceMin"),
  prodOf: reducing("ReduceProd"),
  argMax: placing("ArgMax"),
  argMin: placing("ArgMin"),
  cumsum: (e, [x], { attrs }) =>
    e.emit("CumSum", [x!, e.longs([attrs["axis"] as number])], {
      exclusive: Number(attrs["exclusive"]),
      reverse: Number(attrs["reverse"])
    }),
  softmax: (e, [x]) => e.emit("Softmax", [x!], { axis: -1 }),
  // ONNX Runtime chooses between numbers only.
  select: (e, inputs, { dtype }) => {
    if (dtype !== "bool") return e.emit("Where", inputs)
    const [condition, a, b] = inputs as [string, string, string]
    return e.emit("Or", [e.emit("And", [condition, a]), e.emit("And", [e.emit("Not", [condition]), b])])
  },
  matmul: (e, [a, b], { attrs, dtype, inputs }) => {
    const [ta, tb] = [Number(attrs["ta"]), Number(attrs["tb"])]
    if (dtype === "int32") return e.emit("MatMul", [turned(e, a!, inputs[0]!, ta), turned(e, b!, inputs[1]!, tb)])
    if (inputs[0]!.shape.length === 2 && inputs[1]!.shape.length === 2)
      return e.emit("Gemm", [a!, b!], { transA: ta, transB: tb })
    if (ta + tb === 0) return e.emit("MatMul", [a!, b!])
    return e.emit("FusedMatMul", [a!, b!], { transA: ta, transB: tb }, "com.microsoft")
  },
  segmentSum: (e, [x, ids], { dtype, inputs, shape }) => {
    const [rows, ...inner] = shape
    const updates = e.reshape(x!, [sizeOf(inputs[1]!), ...inner])
    const places = e.cast(e.reshape(fromFront(e, ids!, inputs[1]!), [sizeOf(inputs[1]!), 1]), "int64")
    const all = e.longs([rows!, ...inner])
    const zeros = dtype === "int32" ? e.emit("Expand", [e.int(0), all]) : e.emit("ConstantOfShape", [all])
    return e.emit("ScatterND", [zeros, places, updates], { reduction: "add" })
  }
}

/** The operations that there are a form in ONNX for. */
export const lowered: ReadonlyArray<string> = Object.keys(lowerings)

/** Where one result of a compiled function comes from. */
export type Source =
  | { readonly from: "input"; readonly index: number }
  | { readonly from: "fill"; readonly value: number }
  | { readonly from: "model"; readonly name: string }

/** A graph ready to run: a model, which of the inputs it reads and under what names, where each result comes from. */
export interface Lowered {
  /** Absent where every result is an input or one number throughout. */
  readonly model: Model | undefined
  readonly feeds: ReadonlyArray<{ readonly index: number; readonly name: string }>
  readonly sources: ReadonlyArray<Source>
  /** Noise that is made outside of the model, from keys that stand at these places of `keys`' results. */
  readonly draws: ReadonlyArray<Draw>
  readonly keys: Lowered | undefined
}

/** Noise that a model is given: under what name, from which key. */
export interface Draw {
  readonly name: string
  readonly shape: Shape
  readonly salt: number
  readonly key: number
}

const valueOf = (name: string, { dtype, shape }: { readonly dtype: Dtype; readonly shape: Shape }) => ({
  name,
  type: typeOf(dtype),
  shape
})

/** A graph in ONNX's operators as `provider` has them, with noise made `inside` of the model or given to it. */
export const lower = (
  inputs: ReadonlyArray<Node>,
  results: ReadonlyArray<Node>,
  noise: "inside" | "given",
  provider: Provider = "cpu"
): Lowered => {
  const e = new Emitter()
  const sources = results.map((node): Source | Node => {
    if (node.op === "input") return { from: "input", index: inputs.indexOf(node) }
    const value = uniformValue(node)
    return value === undefined ? node : { from: "fill", value }
  })
  const computed = sources.filter((source) => "op" in source)
  const given = (node: Node): boolean => node.op === "noise" && noise === "given"
  const nodes = reachable(computed, given)
  const drawn = nodes.filter(given)
  const keys = [...new Set(drawn.map((node) => node.inputs[0]!))]
  const feeds: Array<{ readonly index: number; readonly name: string }> = []
  const special = provider === "webgpu" ? Webgpu.lowerings : provider === "cuda" ? { gather: Webgpu.gather } : {}
  const fusions = Fuse.find(nodes, computed, special)
  const absorbed = new Set([...fusions.values()].flatMap((fusion) => fusion.absorbed))
  for (const node of nodes) {
    if (absorbed.has(node)) continue
    e.enter(node)
    const fusion = fusions.get(node)
    if (fusion !== undefined)
      e.bind(
        node,
        e.emit(
          fusion.op,
          fusion.inputs.map((x) => e.name(x)),
          fusion.attrs,
          fusion.domain
        )
      )
    else if (node.op === "input") {
      const index = inputs.indexOf(node)
      e.bind(node, `i${index}`)
      feeds.push({ index, name: `i${index}` })
    } else if (given(node)) e.bind(node, `u${node.id}`)
    else if (node.values !== undefined) e.bind(node, e.values(node))
    else {
      const lowering = special[node.op] ?? lowerings[node.op]
      if (lowering === undefined)
        throw new CompileError({ op: node.op, level: node.level, reason: "has no form in ONNX" })
      e.bind(
        node,
        lowering(
          e,
          node.inputs.map((input) => e.name(input)),
          node
        )
      )
    }
  }
  const outputs = new Map<string, Node>()
  const named = sources.map((source): Source => {
    if ("from" in source) return source
    // Only what an operator yields is an output in ONNX.
    const name = source.values === undefined && !given(source) ? e.name(source) : e.emit("Identity", [e.name(source)])
    outputs.set(name, source)
    return { from: "model", name }
  })
  const draws = drawn.map((node) => ({
    name: e.name(node),
    shape: node.shape,
    salt: node.attrs["salt"] as number,
    key: keys.indexOf(node.inputs[0]!)
  }))
  const model = {
    inputs: [
      ...feeds.map(({ index, name }) => valueOf(name, inputs[index]!)),
      ...drawn.map((node) => valueOf(e.name(node), node))
    ],
    outputs: [...outputs].map(([name, node]) => valueOf(name, node)),
    constants: e.constants(),
    operations: e.operations
  }
  return {
    model: outputs.size === 0 ? undefined : model,
    feeds,
    sources: named,
    draws,
    // A key that itself comes from noise is rare: that noise is then made inside of the keys' own model.
    keys: drawn.length === 0 ? undefined : lower(inputs, keys, "inside")
  }
}
