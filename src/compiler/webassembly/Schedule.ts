/** Which loops compute a graph, in which order: operations on elements that go over the same loops share them. */
import { size } from "../../dsl/values/NdArray.ts"
import { type Attrs, type Dtype, type Node, none, reachable, type Shape, sizeOf } from "../graph/Graph.ts"
import {
  type Access,
  accessOf,
  type Affine,
  axesOf,
  loopsOf,
  moves,
  repeated,
  stridesOf,
  Unreachable
} from "./Access.ts"
import { elementwise } from "./Elementwise.ts"
import { formOf, type Product } from "./Products.ts"

/** One operation within a loop. */
export interface Member {
  /** What it computes, or a part of. */
  readonly node: Node
  /** The operation, with the types of what it takes. */
  readonly as: Node
  readonly operands: ReadonlyArray<Access>
  /** Where its elements go, if that is asked for. */
  readonly store: Access
}

/** Loops over a shape, with operations on elements and reductions along the same of the loops. */
export interface Loop {
  readonly kind: "loop"
  readonly loops: ReadonlyArray<number>
  readonly members: Array<Member>
  /** Which loops are reduced; undefined while there is no reduction. */
  reduced: ReadonlyArray<boolean> | undefined
}

/** An operation with loops of its own. */
export interface Apart {
  readonly kind: "apart"
  readonly node: Node
  readonly operands: ReadonlyArray<Access>
}

export type Kernel = Loop | Apart

/** Where a result is. */
export type Source = { readonly from: "input"; readonly index: number } | { readonly from: "node"; readonly node: Node }

export const reductions = new Set(["sum", "prodOf", "maxOf", "minOf"])
const apart = new Set(["matmul", "gather", "segmentSum", "cumsum", "argMax", "argMin", "noise"])
/** Operations that are made of others here. */
const composed = new Set(["softmax", "concat", "pad"])
/** Operations that there is a form in WebAssembly for. */
export const covered = (op: string): boolean =>
  op in elementwise ||
  reductions.has(op) ||
  apart.has(op) ||
  composed.has(op) ||
  ["input", "const", "broadcast", "reshape", "transpose", "slice", "reverse"].includes(op)

/** Most operations of one loop: each takes registers. */
const mostMembers = 48
/** Loops that are looked back at for one to join. */
const mostBack = 64

const pseudo = (
  op: string,
  inputs: ReadonlyArray<Node>,
  shape: Shape,
  like: Node,
  attrs: Attrs = none,
  dtype: Dtype = like.dtype
): Node => ({
  id: like.id,
  op,
  inputs,
  attrs,
  shape,
  dtype,
  level: like.level,
  values: undefined
})

/** A product in the terms of its operands' accesses, whose loops are those of the batch, rows, columns, and the sum. */
export const productOf = (node: Node, [a, b]: ReadonlyArray<Access>): Product => {
  const batch = node.shape.slice(0, -2)
  const [rows, columns] = node.shape.slice(-2) as [number, number]
  const inner = node.inputs[0]!.shape.at(node.attrs["ta"] === true ? -2 : -1)!
  const strides = ({ factors }: Access, outer: number) => ({
    batch: factors.slice(0, batch.length),
    outer: factors[batch.length + outer]!,
    inner: factors[batch.length + 2]!
  })
  const [left, right] = [strides(a!, 0), strides(b!, 1)]
  return { batch, rows, columns, inner, left, right, whole: node.dtype === "int32" }
}

const inOrder = (node: Node, loops: ReadonlyArray<number>): Access => ({ node, constant: 0, factors: stridesOf(loops) })

export class Schedule {
  readonly kernels: Array<Kernel> = []
  /** The last kernel that writes a node. */
  readonly written = new Map<Node, number>()
  /** The first. */
  readonly begun = new Map<Node, number>()
  /** Nodes that are needed in memory: read from another kernel than their own, or in another order. */
  readonly stored = new Set<Node>()
  /** The last kernel that reads a node. */
  readonly read = new Map<Node, number>()
  /** What is sent, as one list. */
  readonly list: Node
  readonly kept: ReadonlyArray<Source>

  constructor(inputs: ReadonlyArray<Node>, kept: ReadonlyArray<Node>, sent: ReadonlyArray<Node>) {
    for (const node of reachable([...kept, ...sent])) this.#schedule(node)
    this.kept = kept.map((node) => this.#source(node, inputs))
    const words = sent.reduce((sum, node) => sum + sizeOf(node), 0)
    this.list = pseudo("list", [], [words], { ...(sent[0] ?? kept[0]!), dtype: "float32", level: "" })
    let from = 0
    for (const node of sent) {
      this.#copy(node, this.list, from, stridesOf(node.shape))
      from += sizeOf(node)
    }
    this.stored.add(this.list)
  }

  #lies = (node: Node): boolean => node.op === "input" || node.op === "const" || this.written.has(node)

  #schedule(node: Node): void {
    const { attrs, inputs, op, shape } = node
    if (op === "input" || op === "const" || moves(node)) return
    if (sizeOf(node) === 0) {
      this.#wrote(node, 0)
      return
    }
    switch (op) {
      case "softmax":
        return this.#softmax(node)
      case "concat": {
        const axis = attrs["axis"] as number
        const strides = stridesOf(shape)
        let from = 0
        for (const part of inputs) {
          this.#copy(part, node, from * strides[axis]!, strides)
          from += part.shape[axis]!
        }
        return
      }
      case "pad": {
        const before = attrs["before"] as Shape
        const strides = stridesOf(shape)
        const value = { ...pseudo("const", [], [], node), values: Float32Array.of(attrs["value"] as number) }
        const filling = node.dtype === "float32" ? value : { ...value, values: Int32Array.of(attrs["value"] as number) }
        this.#element(node, pseudo("copy", [filling], shape, node))
        return this.#copy(
          inputs[0]!,
          node,
          before.reduce((sum, n, i) => sum + n * strides[i]!, 0),
          strides,
          this.written.get(node)! + 1
        )
      }
    }
    if (reductions.has(op)) return this.#reduce(node)
    if (op in elementwise) return this.#element(node, node)
    if (op === "matmul") return this.#product(node)
    // Others take their operands in order.
    const operands = inputs.map((input) => this.#whole(input))
    this.#apart({ kind: "apart", node, operands })
  }

  #wrote(node: Node, kernel: number): void {
    this.written.set(node, Math.max(kernel, this.written.get(node) ?? 0))
    this.begun.set(node, Math.min(kernel, this.begun.get(node) ?? Infinity))
  }

  #reads(access: Access, kernel: number): void {
    const { node } = access
    if (node.op === "input" || node.op === "const") return
    this.stored.add(node)
    this.read.set(node, Math.max(kernel, this.read.get(node) ?? 0))
  }

  /** Where the elements of `node` with these axes lie; what stands in the way is put down first. */
  #access(node: Node, axes: ReadonlyArray<Affine>, loops: ReadonlyArray<number>): Access {
    for (;;) {
      const found = accessOf(node, axes, loops, this.#lies)
      if (!(found instanceof Unreachable)) return found
      this.#put(found.node)
    }
  }

  /** Puts down the elements of what only moves them, in its own order. */
  #put(node: Node): void {
    const loops = loopsOf(node.shape)
    const operand = this.#access(node, axesOf(node.shape, loops), loops)
    this.#join(
      loops,
      { node, as: pseudo("copy", [node], node.shape, node), operands: [operand], store: inOrder(node, loops) },
      0
    )
  }

  /** All elements of a node one after another. */
  #whole(node: Node): Access {
    for (;;) {
      const axes = axesOf(node.shape, loopsOf(node.shape))
      const found = accessOf(node, axes, loopsOf(node.shape), this.#lies)
      if (found instanceof Unreachable) {
        this.#put(found.node)
        continue
      }
      const strides = stridesOf(loopsOf(node.shape))
      if (found.factors.every((factor, i) => factor === strides[i]))
        return { node: found.node, constant: found.constant, factors: [1] }
      this.#put(node)
    }
  }

  /** Copies all elements of a node to places of another. */
  #copy(part: Node, into: Node, from: number, strides: ReadonlyArray<number>, after = 0): void {
    if (sizeOf(part) === 0) return
    const loops = loopsOf(part.shape)
    const operand = this.#access(part, axesOf(part.shape, loops), loops)
    const factors = part.shape.flatMap((n, axis) => (n === 1 ? [] : [strides[axis]!]))
    const store = { node: into, constant: from, factors }
    this.stored.add(into)
    this.#join(loops, { node: into, as: pseudo("copy", [part], part.shape, part), operands: [operand], store }, after)
  }

  #element(node: Node, as: Node): void {
    const loops = loopsOf(node.shape)
    const axes = axesOf(node.shape, loops)
    const operands = as.inputs.map((input) => this.#access(input, repeated(input, axes, loops), loops))
    this.#join(loops, { node, as, operands, store: inOrder(node, loops) }, 0)
  }

  #reduce(node: Node): void {
    const [x] = node.inputs as [Node]
    const along = node.attrs["axes"] as Shape
    const loops = loopsOf(x.shape)
    const reduced = x.shape.flatMap((n, axis) => (n === 1 ? [] : [along.includes(axis)]))
    const operands = [this.#access(x, axesOf(x.shape, loops), loops)]
    const left = stridesOf(loops.filter((_, i) => !reduced[i]))
    let next = 0
    const factors = reduced.map((gone) => (gone ? 0 : left[next++]!))
    this.stored.add(node)
    this.#join(loops, { node, as: node, operands, store: { node, constant: 0, factors } }, 0, reduced)
  }

  #softmax(node: Node): void {
    const [x] = node.inputs as [Node]
    const last = node.shape.length - 1
    const rows = node.shape.with(last, 1)
    const greatest = pseudo("maxOf", [x], rows, node, { axes: [last] })
    const moved = pseudo("sub", [x, greatest], node.shape, node)
    const raised = pseudo("exp", [moved], node.shape, node)
    const sums = pseudo("sum", [raised], rows, node, { axes: [last] })
    for (const each of [greatest, moved, raised, sums]) this.#schedule(each)
    this.#element(node, pseudo("div", [raised, sums], node.shape, node))
  }

  /** Operands of a product by its loops: those of the batch, rows, columns, and what is summed over. */
  #product(node: Node): void {
    const [a, b] = node.inputs as [Node, Node]
    const [ta, tb] = [node.attrs["ta"] === true, node.attrs["tb"] === true]
    const batch = node.shape.slice(0, -2)
    const [m, n] = node.shape.slice(-2) as [number, number]
    const k = ta ? a.shape.at(-2)! : a.shape.at(-1)!
    const loops = [...batch, m, n, k]
    const unit = (loop: number): Affine => ({ constant: 0, factors: loops.map((_, i) => (i === loop ? 1 : 0)) })
    const [row, column, inner] = [unit(batch.length), unit(batch.length + 1), unit(batch.length + 2)]
    const outer = batch.map((_, axis) => unit(axis))
    const operand = (x: Node, axes: ReadonlyArray<Affine>) =>
      this.#access(x, repeated(x, [...outer, ...axes], loops), loops)
    const factors = (): ReadonlyArray<Access> => [
      operand(a, ta ? [inner, row] : [row, inner]),
      operand(b, tb ? [column, inner] : [inner, column])
    ]
    let operands = factors()
    if (formOf(productOf(node, operands)) === undefined) {
      for (const x of [a, b]) if (!this.#lies(x)) this.#put(x)
      operands = factors()
    }
    if (formOf(productOf(node, operands)) === undefined) {
      // The columns of what lies by columns of its own, twice over.
      const rank = b.shape.length
      const perm = b.shape.map((_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis))
      const shape = perm.map((axis) => b.shape[axis]!)
      const across = pseudo("transpose", [b], shape, b, { perm })
      this.#put(across)
      operands = [operands[0]!, operand(across, [inner, column])]
    }
    this.#apart({ kind: "apart", node, operands })
  }

  #apart(kernel: Apart): void {
    const at = this.kernels.push(kernel) - 1
    for (const operand of kernel.operands) this.#reads(operand, at)
    this.stored.add(kernel.node)
    this.#wrote(kernel.node, at)
  }

  /** Adds to a loop there is, or to one of its own. */
  #join(loops: ReadonlyArray<number>, member: Member, after: number, reduced?: ReadonlyArray<boolean>): void {
    const strides = stridesOf(loops)
    const total = size(loops)
    const inPlace = ({ constant, factors, node }: Access): boolean =>
      constant === 0 && sizeOf(node) === total && factors.every((factor, i) => factor === strides[i])
    /** Whether what is read is at hand within a kernel: as a register, as this kernel itself computes it element by element. */
    const local = (access: Access, at: number): boolean =>
      this.written.get(access.node) === at && this.begun.get(access.node) === at && inPlace(access)
    let earliest = after
    for (const access of member.operands) {
      const at = this.written.get(access.node)
      if (at !== undefined) earliest = Math.max(earliest, at)
    }
    let chosen: number | undefined
    for (let at = this.kernels.length - 1; at >= Math.max(earliest, this.kernels.length - mostBack); at--) {
      const kernel = this.kernels[at]!
      if (kernel.kind !== "loop" || kernel.members.length >= mostMembers) continue
      if (kernel.loops.length !== loops.length || kernel.loops.some((n, i) => n !== loops[i])) continue
      if (reduced !== undefined && kernel.reduced?.some((gone, i) => gone !== reduced[i]) === true) continue
      const operands = member.operands.filter(({ node }) => this.written.get(node) === at)
      if (!operands.every((access) => local(access, at) && !reductions.has(access.node.op))) continue
      chosen ??= at
      if (operands.length > 0) {
        chosen = at
        break
      }
    }
    if (chosen === undefined) {
      chosen = this.kernels.push({ kind: "loop", loops, members: [], reduced: undefined }) - 1
    }
    const kernel = this.kernels[chosen] as Loop
    kernel.members.push(member)
    kernel.reduced ??= reduced
    for (const access of member.operands) if (this.written.get(access.node) !== chosen) this.#reads(access, chosen)
    this.#wrote(member.node, chosen)
  }

  #source(result: Node, inputs: ReadonlyArray<Node>): Source {
    let node = result
    while (!this.#lies(node) && node.op === "reshape") node = node.inputs[0]!
    if (node.op === "input") return { from: "input", index: inputs.indexOf(node) }
    if (node.op === "const") {
      const copy = pseudo("copy", [node], node.shape, node)
      this.#element(copy, copy)
      node = copy
    } else if (!this.#lies(node)) this.#put(node)
    this.stored.add(node)
    return { from: "node", node }
  }
}
