/** ONNX operators under construction. */
import type { Node, Shape } from "../graph/Graph.ts"
import { type Attribute, type Operation, type Tensor, type Type, typeOf, types } from "./Onnx.ts"

/** Emits operators under construction; every method gives names of values. */
export class Emitter {
  readonly operations: Array<Operation> = []
  readonly #constants = new Map<string, Tensor>()
  readonly #names = new Map<Node, string>()
  #at = ""
  #next = 0

  /** Values of nodes made by now. */
  name(node: Node): string {
    return this.#names.get(node)!
  }

  bind(node: Node, name: string): void {
    this.#names.set(node, name)
  }

  /** Names what is emitted from here on after the node it is emitted for, so that errors of ONNX Runtime can be read. */
  enter(node: Node): void {
    this.#at = `${node.op}.${node.id}${node.level === "" ? "" : `@${node.level}`}`
  }

  /** One operator with several outputs. */
  emits(
    count: number,
    op: string,
    inputs: ReadonlyArray<string>,
    attrs: { readonly [name: string]: Attribute } = {},
    domain = ""
  ) {
    const outputs = Array.from({ length: count }, () => `v${this.#next++}`)
    this.operations.push({ name: `${this.#at}/${op}${this.#next}`, op, domain, inputs, outputs, attrs })
    return outputs
  }

  /** One operator with one output. */
  emit(
    op: string,
    inputs: ReadonlyArray<string>,
    attrs: { readonly [name: string]: Attribute } = {},
    domain = ""
  ): string {
    return this.emits(1, op, inputs, attrs, domain)[0]!
  }

  #constant(type: Type, shape: Shape, values: Tensor["values"]): string {
    // Of numbers their bits, which tell −0 from 0.
    const bits = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    const key = `${type} ${shape.join()} ${values.length > 64 ? `#${this.#constants.size}` : bits.join()}`
    const known = this.#constants.get(key)
    if (known !== undefined) return known.name
    const name = `c${this.#constants.size}`
    this.#constants.set(key, { name, type, shape, values })
    return name
  }

  /** Numbers of a `const`. */
  values(node: Node): string {
    return this.#constant(typeOf(node.dtype), node.shape, node.values!)
  }

  /** A shape, or some axes. */
  longs(values: ReadonlyArray<number>): string {
    return this.#constant("int64", [values.length], BigInt64Array.from(values, BigInt))
  }

  /** One float32 number. */
  float(value: number): string {
    return this.#constant("float32", [], Float32Array.of(value))
  }

  /** One int32 number. */
  int(value: number): string {
    return this.#constant("int32", [], Int32Array.of(value))
  }

  floats(shape: Shape, values: Float32Array): string {
    return this.#constant("float32", shape, values)
  }

  ints(shape: Shape, values: Int32Array): string {
    return this.#constant("int32", shape, values)
  }

  uints(values: Uint32Array): string {
    return this.#constant("uint32", [values.length], values)
  }

  cast(x: string, type: Type): string {
    return this.emit("Cast", [x], { to: types[type] })
  }

  reshape(x: string, shape: Shape): string {
    return this.emit("Reshape", [x, this.longs(shape)], { allowzero: 1 })
  }

  constants(): ReadonlyArray<Tensor> {
    return [...this.#constants.values()]
  }
}
