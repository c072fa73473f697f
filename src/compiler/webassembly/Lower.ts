/** From graphs to WebAssembly: one function for each kernel that differs from others, and one that calls them in order. */
import { CompileError } from "../graph/CompileError.ts"
import { type Node, reachable, sizeOf } from "../graph/Graph.ts"
import { type Body, encode, type Signature, type } from "./Binary.ts"
import { Code, type Word } from "./Code.ts"
import { arity, imported } from "./Elementwise.ts"
import { emitLoop, type Emitted, type Pointer } from "./Loops.ts"
import * as Plan from "./MemoryPlan.ts"
import { emitProduct, turns } from "./Products.ts"
import { rows } from "./Rows.ts"
import { covered, type Kernel, productOf, Schedule } from "./Schedule.ts"

/** Where something that a function keeps comes from: one of its inputs, or memory that it wrote. */
export type Source = { readonly from: "input" | "output"; readonly index: number }

/** A function ready to run. It takes the address of a list of addresses, see {@link Address}. */
export interface Program {
  readonly module: Uint8Array<ArrayBuffer>
  /** Numbers that are known now, as words of memory. */
  readonly constants: Int32Array
  /** Words that it needs while it runs. */
  readonly scratch: number
  /** Words that each of its inputs and outputs has. */
  readonly inputs: ReadonlyArray<number>
  readonly outputs: ReadonlyArray<number>
  readonly kept: ReadonlyArray<Source>
  /** Words of the list of what is sent. */
  readonly sent: number
  /** What went wrong, by the number that the module's `fault` then has. */
  readonly faults: ReadonlyMap<number, string>
}

/** Places in the list of addresses: first these, then those of inputs and of outputs. Each has room for a whole vector behind it. */
export const address = { scratch: 0, constants: 1, list: 2, first: 3 } as const

/** The first operation that there is no form in WebAssembly for. */
export const lacking = (results: ReadonlyArray<Node>): Node | undefined =>
  reachable(results).find((node) => !covered(node.op) || sizeOf(node) === 0 || node.inputs.some((x) => sizeOf(x) === 0))

const emitted = (kernel: Kernel, memory: Parameters<typeof emitLoop>[1]): Emitted => {
  if (kernel.kind === "loop") return emitLoop(kernel, memory)
  const { node, operands } = kernel
  const result: Pointer = { node, constant: 0 }
  if (node.op !== "matmul") return { body: rows[node.op]!(node), takes: [...operands, result] }
  const product = productOf(node, operands)
  const [left, right] = turns(product) ? [operands[1]!, operands[0]!] : [operands[0]!, operands[1]!]
  return { body: emitProduct(product), takes: [left, right, result] }
}

/** Numbers of a constant as words: truth values are all ones. */
const wordsOf = ({ dtype, values }: Node): Int32Array =>
  dtype === "float32"
    ? new Int32Array(values!.buffer, values!.byteOffset, values!.length)
    : Int32Array.from(values!, (value) => (dtype === "bool" ? -value : value))

// FNV-1a.
const hashOf = (bytes: Uint8Array): number =>
  bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x0100_0193), 0x811c_9dc5)
const sameBody = (a: Body, b: Body): boolean =>
  Buffer.compare(a.code, b.code) === 0 && a.locals.every((each, i) => each === b.locals[i])

/** Constants one behind another. */
class Constants {
  readonly #places = new Map<Node, number>()
  readonly #parts: Array<Int32Array> = []
  #next = 0
  place(node: Node): number {
    const known = this.#places.get(node)
    if (known !== undefined) return known
    const words = wordsOf(node)
    const place = this.#next
    this.#places.set(node, place)
    const padded = new Int32Array(Math.ceil(words.length / 4) * 4)
    padded.set(words)
    this.#parts.push(padded)
    this.#next += padded.length
    return place
  }
  words(): Int32Array {
    const all = new Int32Array(this.#next)
    let at = 0
    for (const part of this.#parts) {
      all.set(part, at)
      at += part.length
    }
    return all
  }
}

const host = Object.keys(imported).map((name): { readonly name: string; readonly signature: Signature } => ({
  name,
  signature: { takes: Array<typeof type.f64>(arity(name)).fill(type.f64), gives: [type.f64] }
}))

const faultsOf = (nodes: ReadonlyArray<Node>): ReadonlyMap<number, string> =>
  new Map(
    nodes.flatMap((node): ReadonlyArray<readonly [number, string]> => {
      const where = node.level === "" ? "" : ` in level '${node.level}'`
      const { attrs, inputs, op, shape } = node
      if (op === "gather" || op === "segmentSum") {
        const count = op === "gather" ? inputs[0]!.shape[attrs["axis"] as number] : shape[0]
        return [[node.id + 1, `${op}${where}: a number is none of the ${count} rows that are counted from 0`]]
      }
      const divides = node.dtype === "int32" && ["div", "floorDiv", "mod"].includes(op)
      return divides ? [[node.id + 1, `${op}${where}: a whole number is divided by zero`]] : []
    })
  )

/** A graph as a program, which keeps some of its results and sends others. Throws a `CompileError` where it cannot be one. */
export const lower = (inputs: ReadonlyArray<Node>, kept: ReadonlyArray<Node>, sent: ReadonlyArray<Node>): Program => {
  const without = lacking([...kept, ...sent])
  if (without !== undefined) {
    const reason = covered(without.op) ? "of no elements has no form in WebAssembly" : "has no form in WebAssembly"
    throw new CompileError({ op: without.op, level: without.level, reason })
  }
  const schedule = new Schedule(inputs, kept, sent)
  const outputs = [...new Set(schedule.kept.flatMap((source) => (source.from === "node" ? [source.node] : [])))]
  const plan = Plan.make(schedule, outputs)
  const constants = new Constants()
  const memory = {
    stored: (node: Node) => schedule.stored.has(node),
    padded: (node: Node) => node !== schedule.list
  }

  const run = new Code(1)
  const addresses = new Map<number, Word>()
  const base = (place: number): Word => {
    const known = addresses.get(place) ?? run.loadWord(run.parameter(0), 4 * place)
    addresses.set(place, known)
    return known
  }
  const pointer = ({ constant, node }: Pointer) => {
    // In no local of its own: a function has not room for as many as there may be kernels.
    const from = (place: number, words: number) => ({ word: base(place), plus: 4 * words })
    if (node === schedule.list) return from(address.list, constant)
    if (node.op === "input") return from(address.first + inputs.indexOf(node), constant)
    if (node.op === "const") return from(address.constants, constants.place(node) + constant)
    const output = outputs.indexOf(node)
    if (output >= 0) return from(address.first + inputs.length + output, constant)
    return from(address.scratch, plan.places.get(node)! + constant)
  }

  const functions: Array<Body> = []
  const known = new Map<string, Array<number>>()
  for (const kernel of schedule.kernels) {
    const { body, takes } = emitted(kernel, memory)
    const key = `${takes.length} ${body.locals.length} ${hashOf(body.code)}`
    const alike = known.get(key) ?? []
    known.set(key, alike)
    const index = alike.find((i) => sameBody(functions[i]!, body)) ?? functions.push(body) - 1
    if (!alike.includes(index)) alike.push(index)
    run.call(host.length + index, takes.map(pointer))
  }
  functions.push(run.body())

  const source = (each: Schedule["kept"][number]): Source =>
    each.from === "input" ? each : { from: "output", index: outputs.indexOf(each.node) }
  return {
    module: encode({ imports: host, functions, run: functions.length - 1 }),
    constants: constants.words(),
    scratch: plan.words,
    inputs: inputs.map(sizeOf),
    outputs: outputs.map(sizeOf),
    kept: schedule.kept.map(source),
    sent: sizeOf(schedule.list),
    faults: faultsOf(reachable([...kept, ...sent]))
  }
}
