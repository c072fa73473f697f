/** StableHLO under construction, as MLIR text that a person can read. */
import type { Attrs, Dtype, Shape, Values } from "../graph/Graph.ts"

/** Element types: those of graphs, and words of 32 bits for the noise. */
export type Element = "f32" | "bf16" | "f16" | "i32" | "i1" | "ui32"

/** Whether an element type has fractions. */
export const isFloat = (element: Element): boolean => element === "f32" || element === "bf16" || element === "f16"

/** A value of the function that is being written: its name, and what it is. */
export interface Value {
  readonly name: string
  readonly element: Element
  readonly shape: Shape
}

const elements = { float32: "f32", bfloat16: "bf16", float16: "f16", int32: "i32", bool: "i1" } as const

export const elementOf = (dtype: Dtype): Element => elements[dtype]

/** `tensor<2x3xf32>`. */
export const typeOf = ({ element, shape }: Pick<Value, "element" | "shape">): string =>
  `tensor<${shape.map((n) => `${n}x`).join("")}${element}>`

const list = (numbers: ReadonlyArray<number>): string => `[${numbers.join(", ")}]`
const longs = (numbers: ReadonlyArray<number>): string => `array<i64: ${numbers.join(", ")}>`

const word = new DataView(new ArrayBuffer(4))

/** The bits of −0 and of what is not finite, by element type. */
const bitsOf = (element: Element, x: number): string => {
  word.setFloat32(0, x)
  if (element === "f32") return word.getUint32(0).toString(16).padStart(8, "0")
  const sign = word.getUint8(0) & 0x80 ? 0x8000 : 0
  const rest = Object.is(x, -0)
    ? 0
    : element === "bf16"
      ? Number.isNaN(x)
        ? 0x7fc0
        : 0x7f80
      : Number.isNaN(x)
        ? 0x7e00
        : 0x7c00
  return (sign | rest).toString(16).padStart(4, "0")
}

/** A number as text that reads back as the same bits: decimal where it is a number other than −0, else its bits. */
const float = (x: number, element: Element): string => {
  if (Number.isFinite(x) && !Object.is(x, -0)) {
    const text = String(x)
    return /^-?\d+$/.test(text) ? `${text}.0` : text.replace(/^(-?\d+)e/, "$1.0e")
  }
  return `0x${bitsOf(element, x).toUpperCase()}`
}

const number = (element: Element, x: number): string =>
  isFloat(element) ? float(x, element) : element === "i1" ? String(x !== 0) : String(x)

const hex = (values: Values | Uint32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("hex").toUpperCase()

/** Numbers up to which a constant is written number by number. */
const mostShown = 16

/** The lines of one function. Equal constants and equal broadcasts are written once. */
export class Emitter {
  readonly lines: Array<string> = []
  readonly #known = new Map<string, Value>()
  #next = 0

  fresh(element: Element, shape: Shape): Value {
    return { name: `%${this.#next++}`, element, shape }
  }

  /** A new value that `text` computes. */
  emit(element: Element, shape: Shape, text: string): Value {
    const known = this.#known.get(text)
    if (known !== undefined) return known
    const value = this.fresh(element, shape)
    this.lines.push(`${value.name} = ${text}`)
    this.#known.set(text, value)
    return value
  }

  /** An operation whose operands and result are of one type. */
  same(op: string, ...operands: ReadonlyArray<Value>): Value {
    const [{ element, shape }] = operands as [Value]
    return this.emit(
      element,
      shape,
      `stablehlo.${op} ${operands.map(({ name }) => name).join(", ")} : ${typeOf({ element, shape })}`
    )
  }

  /** An operation written with its operands' types and its result's. */
  typed(element: Element, shape: Shape, head: string, operands: ReadonlyArray<Value>, tail = ""): Value {
    const types = `(${operands.map(typeOf).join(", ")}) -> ${typeOf({ element, shape })}`
    return this.emit(element, shape, `${head}${tail} : ${types}`)
  }

  /** The second result of an operation that has two of one type. */
  second(head: string, operands: ReadonlyArray<Value>, shape: Shape): Value {
    const [first, value] = [this.fresh("f32", shape), this.fresh("f32", shape)]
    const type = typeOf(value)
    this.lines.push(
      `${first.name}, ${value.name} = ${head} : (${operands.map(typeOf).join(", ")}) -> (${type}, ${type})`
    )
    return value
  }

  constant(values: Values | Uint32Array, element: Element, shape: Shape): Value {
    const text =
      shape.length === 0
        ? number(element, values[0]!)
        : values.length === 0
          ? ""
          : element !== "i1" && values.length > mostShown
            ? `"0x${hex(values)}"`
            : nested(
                Array.from(values, (x) => number(element, x)),
                shape
              )
    return this.emit(element, shape, `stablehlo.constant dense<${text}> : ${typeOf({ element, shape })}`)
  }

  /** One number. */
  scalar(x: number, element: Element = "f32"): Value {
    const values = isFloat(element) ? Float32Array.of(x) : element === "i32" ? Int32Array.of(x) : Uint32Array.of(x)
    return this.constant(values, element, [])
  }

  /** One number, repeated. */
  full(x: number, element: Element, shape: Shape): Value {
    return this.broadcast(this.scalar(x, element), shape)
  }

  /** `x` repeated to a shape that it broadcasts to, aligned at the last axis. */
  broadcast(x: Value, shape: Shape): Value {
    if (x.shape.length === shape.length && x.shape.every((n, i) => n === shape[i])) return x
    const first = shape.length - x.shape.length
    const dims = x.shape.map((_, i) => first + i)
    return this.typed(x.element, shape, `stablehlo.broadcast_in_dim ${x.name}, dims = ${list(dims)}`, [x])
  }

  convert(x: Value, element: Element): Value {
    return x.element === element ? x : this.typed(element, x.shape, `stablehlo.convert ${x.name}`, [x])
  }

  compare(direction: "EQ" | "NE" | "LT" | "LE" | "GT" | "GE", a: Value, b: Value): Value {
    const kind = isFloat(a.element) ? "FLOAT" : a.element === "i32" ? "SIGNED" : "UNSIGNED"
    return this.typed("i1", a.shape, `stablehlo.compare ${direction}, ${a.name}, ${b.name}, ${kind}`, [a, b])
  }

  select(where: Value, a: Value, b: Value): Value {
    const types = `${typeOf(where)}, ${typeOf(a)}`
    return this.emit(a.element, a.shape, `stablehlo.select ${where.name}, ${a.name}, ${b.name} : ${types}`)
  }

  reshape(x: Value, shape: Shape): Value {
    return this.typed(x.element, shape, `stablehlo.reshape ${x.name}`, [x])
  }

  transpose(x: Value, perm: Shape): Value {
    if (perm.every((axis, i) => axis === i)) return x
    const shape = perm.map((axis) => x.shape[axis]!)
    return this.typed(x.element, shape, `stablehlo.transpose ${x.name}, dims = ${list(perm)}`, [x])
  }

  slice(x: Value, begin: Shape, end: Shape, strides: Shape): Value {
    const shape = begin.map((from, i) => Math.ceil((end[i]! - from) / strides[i]!))
    const ranges = begin.map((from, i) => `${from}:${end[i]}${strides[i] === 1 ? "" : `:${strides[i]}`}`).join(", ")
    return this.typed(x.element, shape, `stablehlo.slice ${x.name} [${ranges}]`, [x])
  }

  reverse(x: Value, axes: Shape): Value {
    return this.emit(x.element, x.shape, `stablehlo.reverse ${x.name}, dims = ${list(axes)} : ${typeOf(x)}`)
  }

  concatenate(parts: ReadonlyArray<Value>, axis: number): Value {
    const [first] = parts as [Value]
    const length = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0)
    const head = `stablehlo.concatenate ${parts.map(({ name }) => name).join(", ")}, dim = ${axis}`
    return this.typed(first.element, first.shape.with(axis, length), head, parts)
  }

  pad(x: Value, value: Value, low: Shape, high: Shape): Value {
    const shape = x.shape.map((n, i) => low[i]! + n + high[i]!)
    const head = `stablehlo.pad ${x.name}, ${value.name}, low = ${list(low)}, high = ${list(high)}, interior = ${list(low.map(() => 0))}`
    return this.typed(x.element, shape, head, [x, value])
  }

  reduce(x: Value, initial: Value, by: string, axes: Shape): Value {
    const shape = x.shape.filter((_, axis) => !axes.includes(axis))
    const head = `stablehlo.reduce(${x.name} init: ${initial.name}) applies stablehlo.${by} across dimensions = ${list(axes)}`
    return this.typed(x.element, shape, head, [x, initial])
  }

  iota(axis: number, element: Element, shape: Shape): Value {
    return this.emit(element, shape, `stablehlo.iota dim = ${axis} : ${typeOf({ element, shape })}`)
  }

  /** Windows over `x`, reduced by `by`; padding before and after each axis. */
  reduceWindow(
    x: Value,
    initial: Value,
    by: string,
    window: Shape,
    strides: Shape,
    padding: ReadonlyArray<readonly [number, number]>
  ): Value {
    const shape = x.shape.map(
      (n, i) => Math.floor((padding[i]![0] + n + padding[i]![1] - window[i]!) / strides[i]!) + 1
    )
    const head =
      `"stablehlo.reduce_window"(${x.name}, ${initial.name}) <{padding = ${paddingText(padding)}, ` +
      `window_dimensions = ${longs(window)}, window_strides = ${longs(strides)}}> ${region(by, x.element)}`
    return this.typed(x.element, shape, head, [x, initial])
  }
}

const nested = (items: ReadonlyArray<string>, shape: Shape): string => {
  if (shape.length === 1) return `[${items.join(", ")}]`
  const size = items.length / shape[0]!
  const rows = Array.from({ length: shape[0]! }, (_, i) =>
    nested(items.slice(i * size, (i + 1) * size), shape.slice(1))
  )
  return `[${rows.join(", ")}]`
}

/** `dense<[[0, 1], …]> : tensor<4x2xi64>`. */
export const paddingText = (padding: ReadonlyArray<readonly [number, number]>): string =>
  `dense<[${padding.map(([low, high]) => `[${low}, ${high}]`).join(", ")}]> : tensor<${padding.length}x2xi64>`

/** A function of two numbers, as regions write it. */
export const region = (by: string, element: Element): string => {
  const type = `tensor<${element}>`
  return `({^bb0(%a: ${type}, %b: ${type}): %c = stablehlo.${by} %a, %b : ${type} stablehlo.return %c : ${type}})`
}

/**
 * How a product may round its factors: not at all, unless they have 16 bits already or a level asks for TF32. Otherwise XLA takes 11 bits
 * of float32 on NVIDIA's cards.
 */
export const precisionOf = (element: Element, attrs: Attrs): "HIGHEST" | "DEFAULT" =>
  element === "f32" && attrs["tf32"] !== true ? "HIGHEST" : "DEFAULT"

export { list, longs }
