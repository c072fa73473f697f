/** The code of loops: the innermost axis four elements at a time. */
import { size } from "../../dsl/values/NdArray.ts"
import { type Node, sizeOf } from "../graph/Graph.ts"
import type { Access } from "./Access.ts"
import type { Body } from "./Binary.ts"
import { Code, type Vector, type VectorOp, type Word } from "./Code.ts"
import { byElement, elementwise } from "./Elementwise.ts"
import { type Loop, type Member, reductions } from "./Schedule.ts"

/** Where an argument of a kernel points to: so many words into a node. */
export interface Pointer {
  readonly node: Node
  readonly constant: number
}

/** The code of a kernel, and what it is to be called with. */
export interface Emitted {
  readonly body: Body
  readonly takes: ReadonlyArray<Pointer>
}

/** What kernels know of memory. */
export interface Memory {
  /** Whether a node's elements are needed in memory. */
  readonly stored: (node: Node) => boolean
  /** Whether what lies behind a node's last element, up to a whole vector, may be written to. */
  readonly padded: (node: Node) => boolean
}

/** The arguments of a kernel under construction. */
export class Arguments {
  readonly takes: Array<Pointer> = []
  /** The argument that points there. */
  index({ constant, node }: Pointer): number {
    const known = this.takes.findIndex((each) => each.node === node && each.constant === constant)
    return known >= 0 ? known : this.takes.push({ node, constant }) - 1
  }
}

/** A constant of one element four times. */
export const filled = (c: Code, { dtype, values }: Node): Vector =>
  dtype === "float32" ? c.float(values![0]!) : c.int(dtype === "bool" ? -values![0]! : values![0]!)
export const isFilled = (node: Node): boolean => node.values?.length === 1

const folds: { readonly [op: string]: readonly [float: VectorOp, word: VectorOp, identity: number, whole: number] } = {
  sum: ["add", "addWord", 0, 0],
  prodOf: ["mul", "mulWord", 1, 1],
  maxOf: ["max", "maxWord", -Infinity, -(2 ** 31)],
  minOf: ["min", "minWord", Infinity, 2 ** 31 - 1]
}

/** Loops that every access goes over as over one are one. */
const collapsed = (
  loops: ReadonlyArray<number>,
  reduced: ReadonlyArray<boolean>,
  accesses: ReadonlyArray<ReadonlyArray<number>>
) => {
  const lengths = [...loops]
  const gone = [...reduced]
  const factors = accesses.map((each) => [...each])
  for (let i = lengths.length - 2; i >= 0; i--) {
    const together = gone[i] === gone[i + 1] && factors.every((each) => each[i] === each[i + 1]! * lengths[i + 1]!)
    if (!together) continue
    lengths.splice(i, 2, lengths[i]! * lengths[i + 1]!)
    gone.splice(i, 1)
    for (const each of factors) each.splice(i, 1)
  }
  return { lengths, gone, factors }
}

/** A place in memory that moves with loops. */
interface Moving {
  readonly factors: ReadonlyArray<number>
  readonly pointer: Word
}

class LoopEmitter {
  readonly #kernel: Loop
  readonly #memory: Memory
  readonly #arguments = new Arguments()
  readonly #places = new Map<string, Moving>()
  readonly #c: Code
  readonly #lengths: ReadonlyArray<number>
  readonly #gone: ReadonlyArray<boolean>
  readonly #own: ReadonlySet<Node>
  #hoisted = new Map<Moving, Vector>()
  #totals: ReadonlyArray<ReadonlyArray<Vector>> = []

  constructor(kernel: Loop, memory: Memory) {
    this.#kernel = kernel
    this.#memory = memory
    const total = size(kernel.loops)
    this.#own = new Set(
      kernel.members.filter(({ as, node }) => !reductions.has(as.op) && sizeOf(node) === total).map(({ node }) => node)
    )
    const accesses = kernel.members.flatMap((member) => [
      ...member.operands.filter((access) => this.#loaded(access)),
      ...(this.#stores(member) ? [member.store] : [])
    ])
    const keys = new Map(accesses.map((access) => [this.#key(access), access]))
    for (const access of keys.values()) this.#arguments.index(access)
    this.#c = new Code(this.#arguments.takes.length)
    const none = kernel.loops.map(() => false)
    const { factors, gone, lengths } = collapsed(
      kernel.loops.length === 0 ? [1] : kernel.loops,
      kernel.loops.length === 0 ? [false] : (kernel.reduced ?? none),
      [...keys.values()].map((access) => (kernel.loops.length === 0 ? [0] : access.factors))
    )
    this.#lengths = lengths
    this.#gone = gone
    for (const [i, [key, access]] of [...keys].entries()) {
      const base = this.#c.parameter(this.#arguments.index(access))
      const still = factors[i]!.every((factor) => factor === 0)
      this.#places.set(key, { factors: factors[i]!, pointer: still ? base : this.#c.copy(base) })
    }
  }

  #key({ constant, factors, node }: Access): string {
    return `${this.#arguments.index({ node, constant })} ${factors.join()}`
  }
  #loaded({ node }: Access): boolean {
    return !this.#own.has(node) && !isFilled(node)
  }
  #stores({ node, store }: Member): boolean {
    return store.node !== node || !this.#own.has(node) || this.#memory.stored(node)
  }

  #advance(loop: number, by: number): void {
    for (const { factors, pointer } of this.#places.values()) this.#c.advance(pointer, 4 * by * factors[loop]!)
  }

  /** A loop over one of the lengths, other than the innermost. */
  #over(loop: number, body: () => void): void {
    const n = this.#lengths[loop]!
    this.#c.loop(n, () => {
      body()
      if (n > 1) this.#advance(loop, 1)
    })
    if (n > 1) this.#advance(loop, -n)
  }
  #nest(loops: ReadonlyArray<number>, body: () => void): void {
    const [first, ...rest] = loops
    if (first === undefined) body()
    else this.#over(first, () => this.#nest(rest, body))
  }

  /** `vectors` vectors side by side, `unroll` at a time, and one of `rest` elements. */
  #vectors(vectors: number, rest: number, unroll: number, body: (count: number, lanes: number) => void): void {
    const last = this.#lengths.length - 1
    const whole = vectors <= unroll ? 0 : Math.floor(vectors / unroll)
    if (whole > 0) {
      this.#c.loop(whole, () => {
        body(unroll, 4)
        this.#advance(last, 4 * unroll)
      })
    }
    const left = vectors - whole * unroll
    if (left > 0) body(left, 4)
    if (rest > 0) {
      this.#advance(last, 4 * left)
      body(1, rest)
      this.#advance(last, -4 * left)
    }
    this.#advance(last, -4 * whole * unroll)
  }

  #load(place: Moving, at: number, lanes: number, registers: Map<Moving, Vector>): Vector {
    const known = this.#hoisted.get(place) ?? registers.get(place)
    if (known !== undefined) return known
    const factor = place.factors.at(-1)!
    const offset = 16 * at * factor
    const x =
      factor === 0
        ? this.#c.loadSplat(place.pointer, 0)
        : factor === 1
          ? this.#c.load(place.pointer, offset)
          : this.#c.loadApart(place.pointer, offset, 4 * factor, lanes)
    registers.set(place, x)
    return x
  }

  /** Elements of the vector `at` from where pointers stand; `fold` takes what is reduced. */
  #evaluate(at: number, lanes: number, fold: (reduction: number, x: Vector, as: Node) => void): void {
    const c = this.#c
    const values = new Map<Node, Vector>()
    const loads = new Map<Moving, Vector>()
    let reduction = 0
    for (const member of this.#kernel.members) {
      const operands = member.operands.map((access) => {
        const { node } = access
        if (isFilled(node)) return filled(c, node)
        return values.get(node) ?? this.#load(this.#places.get(this.#key(access))!, at, lanes, loads)
      })
      if (reductions.has(member.as.op)) {
        fold(reduction++, operands[0]!, member.as)
        continue
      }
      const value = elementwise[member.as.op]!({ c, node: member.as, lanes }, operands)
      if (this.#own.has(member.node)) values.set(member.node, value)
      if (this.#stores(member)) this.#put(member, at, value, lanes)
    }
  }

  #put(member: Member, at: number, value: Vector, lanes: number): void {
    const place = this.#places.get(this.#key(member.store))!
    const factor = place.factors.at(-1)!
    if (factor === 1 || lanes === 1) this.#c.store(place.pointer, 16 * at * factor, value, lanes)
    else if (factor === 0) this.#c.store(place.pointer, 0, value, lanes)
    else this.#c.storeApart(place.pointer, 16 * at * factor, value, 4 * factor, lanes)
  }

  /** Loads what does not move with the innermost loop, before it. */
  #hoist(): void {
    this.#hoisted = new Map()
    const loads = new Map<Moving, Vector>()
    for (const { operands } of this.#kernel.members) {
      for (const access of operands) {
        if (!this.#loaded(access)) continue
        const place = this.#places.get(this.#key(access))!
        if (place.factors.at(-1) === 0) loads.set(place, this.#load(place, 0, 1, loads))
      }
    }
    this.#hoisted = loads
  }

  #begin(folding: ReadonlyArray<Member>, count: number): void {
    this.#totals = folding.map(({ as }) => {
      const [, , identity, whole] = folds[as.op]!
      const start = as.dtype === "float32" ? this.#c.float(identity) : this.#c.int(whole)
      return Array.from({ length: count }, () => this.#c.op("or", start, start))
    })
  }
  #fold(reduction: number, at: number, x: Vector, as: Node): void {
    const total = this.#totals[reduction]![at]!
    this.#c.assign(total, this.#two(as, total, x))
  }
  #two({ dtype, op }: Node, a: Vector, b: Vector): Vector {
    const [float, word] = folds[op]!
    return this.#c.op(dtype === "float32" ? float : word, a, b)
  }

  emit(): Emitted {
    const { members } = this.#kernel
    const last = this.#lengths.length - 1
    const n = this.#lengths[last]!
    const folding = members.filter(({ as }) => reductions.has(as.op))
    const kept = this.#gone.flatMap((gone, loop) => (gone || loop === last ? [] : [loop]))
    const reduced = this.#gone.flatMap((gone, loop) => (gone && loop !== last ? [loop] : []))
    const [vectors, rest] = [Math.floor(n / 4), n % 4]
    const side = members.length > 8 ? 1 : members.length > 3 ? 2 : 4

    if (folding.length === 0) {
      // Where there is room behind the last element of everything, the last vector may be a whole one. Elements that lie apart
      // have none: what would be read behind the last of them may be outside of memory.
      const whole =
        last === 0 &&
        [...this.#places.values()].every(({ factors }) => factors[0] === 0 || factors[0] === 1) &&
        members.every((each) => !byElement(each.as)) &&
        members.every(
          (each) =>
            !this.#stores(each) ||
            (this.#memory.padded(each.store.node) && sizeOf(each.store.node) === n && each.store.constant === 0)
        )
      this.#nest(kept, () => {
        this.#hoist()
        this.#vectors(whole ? Math.ceil(n / 4) : vectors, whole ? 0 : rest, side, (count, lanes) => {
          for (let at = 0; at < count; at++) this.#evaluate(at, lanes, () => {})
        })
      })
    } else if (this.#gone[last]!) {
      const count = Math.max(1, Math.min(4, vectors))
      this.#nest(kept, () => {
        this.#begin(folding, count)
        this.#nest(reduced, () => {
          this.#hoist()
          this.#vectors(vectors, rest, count, (width, lanes) => {
            for (let at = 0; at < width; at++)
              this.#evaluate(at, lanes, (reduction, x, as) => this.#fold(reduction, at, this.#only(as, x, lanes), as))
          })
        })
        for (const [i, { as, store }] of folding.entries()) {
          const total = this.#totals[i]!.reduce((a, b) => this.#two(as, a, b))
          const half = this.#two(as, total, this.#c.shuffle(total, total, [2, 3, 0, 1]))
          const one = this.#two(as, half, this.#c.shuffle(half, half, [1, 0, 3, 2]))
          this.#c.store(this.#places.get(this.#key(store))!.pointer, 0, one, 1)
        }
      })
    } else {
      this.#nest(kept, () =>
        this.#vectors(vectors, rest, 4, (count, lanes) => {
          this.#hoisted = new Map()
          this.#begin(folding, count)
          this.#nest(reduced, () => {
            for (let at = 0; at < count; at++)
              this.#evaluate(at, lanes, (reduction, x, as) => this.#fold(reduction, at, x, as))
          })
          for (const [i, member] of folding.entries())
            for (let at = 0; at < count; at++) this.#put(member, at, this.#totals[i]![at]!, lanes)
        })
      )
    }
    return { body: this.#c.body(), takes: this.#arguments.takes }
  }

  /** The first elements of a vector, and behind them what changes nothing. */
  #only({ dtype, op }: Node, x: Vector, lanes: number): Vector {
    if (lanes === 4) return x
    const [, , identity, whole] = folds[op]!
    const mask = this.#c.bits(-1, lanes > 1 ? -1 : 0, lanes > 2 ? -1 : 0, 0)
    return this.#c.op("bitselect", x, dtype === "float32" ? this.#c.float(identity) : this.#c.int(whole), mask)
  }
}

/** The code of a loop. */
export const emitLoop = (kernel: Loop, memory: Memory): Emitted => new LoopEmitter(kernel, memory).emit()
