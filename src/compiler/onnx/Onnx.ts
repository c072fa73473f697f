/**
 * ONNX models as bytes: the few protocol buffer messages of onnx.proto3 that a graph needs, encoded by hand.
 *
 * Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
 */
import { CompileError } from "../graph/CompileError.ts"
import { type Dtype, isHalf, type Values } from "../graph/Graph.ts"

/** What ONNX Runtime computes with. */
export type Provider = "cpu" | "cuda" | "webgpu"

/** Element types by ONNX's numbers for them. */
export const types = { float32: 1, int32: 6, int64: 7, bool: 9, uint32: 12 } as const
export type Type = keyof typeof types

/** The element type of a node. Numbers in 16 bits have none here: traces for ONNX Runtime have none. */
export const typeOf = (dtype: Dtype): Type => {
  if (isHalf(dtype))
    throw new CompileError({ op: dtype, level: "", reason: "is a type that models for ONNX Runtime are not made of" })
  return dtype
}

export interface Tensor {
  readonly name: string
  readonly type: Type
  readonly shape: ReadonlyArray<number>
  readonly values: Values | BigInt64Array | Uint32Array
}
export interface Value {
  readonly name: string
  readonly type: Type
  readonly shape: ReadonlyArray<number>
}
export type Attribute = number | string | ReadonlyArray<number> | { readonly float: number }
export interface Operation {
  readonly name: string
  readonly op: string
  /** Empty for the standard operators. */
  readonly domain: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly attrs: { readonly [name: string]: Attribute }
}
export interface Model {
  readonly inputs: ReadonlyArray<Value>
  readonly outputs: ReadonlyArray<Value>
  readonly constants: ReadonlyArray<Tensor>
  readonly operations: ReadonlyArray<Operation>
}

const utf8 = new TextEncoder()

/** Protocol buffers written front to back into one array that grows. */
class Writer {
  #bytes = new Uint8Array(1 << 16)
  #at = 0

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#at + more))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
  }

  #varint(value: number): void {
    this.#room(10)
    if (value < 0) {
      for (let i = 0n; i < 10n; i++)
        this.#bytes[this.#at++] = Number((BigInt.asUintN(64, BigInt(value)) >> (7n * i)) & 127n) | (i < 9n ? 128 : 0)
      return
    }
    let rest = value
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#bytes[this.#at++] = (rest % 128) | 128
    this.#bytes[this.#at++] = rest
  }

  number(field: number, value: number): void {
    this.#varint(field * 8)
    this.#varint(value)
  }

  float(field: number, value: number): void {
    this.#varint(field * 8 + 5)
    this.#room(4)
    new DataView(this.#bytes.buffer).setFloat32(this.#at, value, true)
    this.#at += 4
  }

  bytes(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2)
    this.#varint(value.length)
    this.#room(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  text(field: number, value: string): void {
    this.bytes(field, utf8.encode(value))
  }

  /** A message inside of this one. Its length, known only afterwards, takes five bytes however small it is. */
  message(field: number, write: () => void): void {
    this.#varint(field * 8 + 2)
    this.#room(5)
    const at = this.#at
    this.#at += 5
    write()
    let length = this.#at - at - 5
    for (let i = 0; i < 5; i++, length = Math.floor(length / 128))
      this.#bytes[at + i] = (length % 128) | (i < 4 ? 128 : 0)
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#at)
  }
}

const tensor = (w: Writer, { name, shape, type, values }: Tensor): void => {
  for (const n of shape) w.number(1, n)
  w.number(2, types[type])
  w.text(8, name)
  w.bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
}

const value = (w: Writer, { name, shape, type }: Value): void => {
  w.text(1, name)
  w.message(2, () =>
    w.message(1, () => {
      w.number(1, types[type])
      w.message(2, () => {
        for (const n of shape) w.message(1, () => w.number(1, n))
      })
    })
  )
}

const attribute = (w: Writer, name: string, given: Attribute): void => {
  w.text(1, name)
  if (typeof given === "number") {
    w.number(3, given)
    w.number(20, 2)
  } else if (typeof given === "string") {
    w.text(4, given)
    w.number(20, 3)
  } else if ("float" in given) {
    w.float(2, given.float)
    w.number(20, 1)
  } else {
    for (const n of given) w.number(8, n)
    w.number(20, 7)
  }
}

const operation = (w: Writer, { attrs, domain, inputs, name, op, outputs }: Operation): void => {
  for (const input of inputs) w.text(1, input)
  for (const output of outputs) w.text(2, output)
  w.text(3, name)
  w.text(4, op)
  for (const [key, given] of Object.entries(attrs)) w.message(5, () => attribute(w, key, given))
  if (domain !== "") w.text(7, domain)
}

const opset = (w: Writer, domain: string, version: number): void =>
  w.message(8, () => {
    w.text(1, domain)
    w.number(2, version)
  })

/** What {@link encode} calls the output that seals a model. */
export const seal = "seal"

const sealing: Operation = { name: seal, op: "SequenceEmpty", domain: "", inputs: [], outputs: [seal], attrs: {} }

const sequence = (w: Writer, name: string): void => {
  w.text(1, name)
  w.message(2, () => w.message(4, () => w.message(1, () => w.message(1, () => w.number(1, types.float32)))))
}

/**
 * The bytes of a model. One that is `sealed` has an empty sequence as its first output: ONNX Runtime's binding for Node
 * copies every output once more, also one that it was given memory for, and at a sequence it stops with an error instead.
 */
export const encode = ({ constants, inputs, operations, outputs }: Model, sealed: boolean): Uint8Array => {
  const w = new Writer()
  w.number(1, 10)
  w.text(2, "tapweight")
  w.message(7, () => {
    // ONNX Runtime orders operators itself: depth first from the results, of several inputs the one listed last first.
    // Listed in reverse they run in the order of their making, which frees what a backward pass holds as it goes.
    for (const each of [...operations, ...(sealed ? [sealing] : [])].toReversed())
      w.message(1, () => operation(w, each))
    w.text(2, "step")
    for (const each of constants) w.message(5, () => tensor(w, each))
    for (const each of inputs) w.message(11, () => value(w, each))
    if (sealed) w.message(12, () => sequence(w, seal))
    for (const each of outputs) w.message(12, () => value(w, each))
  })
  opset(w, "", 21)
  opset(w, "com.microsoft", 1)
  return w.done()
}
