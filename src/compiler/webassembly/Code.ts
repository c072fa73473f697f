/** Instructions of one function under construction. Vectors are four elements of 32 bits; each has a local of its own. */
import { type Body, Bytes, type Type, type } from "./Binary.ts"

/** A local that holds a vector. */
export type Vector = number & { readonly "~vector": true }
/** A local that holds an address or a count. */
export type Word = number & { readonly "~word": true }

const vectors = {
  splatWord: 0x11,
  splatFloat: 0x13,
  equalWord: 0x37,
  notEqualWord: 0x38,
  lessWord: 0x39,
  greaterWord: 0x3b,
  lessEqualWord: 0x3d,
  greaterEqualWord: 0x3f,
  equal: 0x41,
  notEqual: 0x42,
  less: 0x43,
  greater: 0x44,
  lessEqual: 0x45,
  greaterEqual: 0x46,
  not: 0x4d,
  and: 0x4e,
  andNot: 0x4f,
  or: 0x50,
  xor: 0x51,
  bitselect: 0x52,
  ceil: 0x67,
  floor: 0x68,
  nearest: 0x6a,
  absWord: 0xa0,
  negWord: 0xa1,
  addWord: 0xae,
  subWord: 0xb1,
  mulWord: 0xb5,
  minWord: 0xb6,
  maxWord: 0xb8,
  abs: 0xe0,
  neg: 0xe1,
  sqrt: 0xe3,
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  min: 0xe8,
  max: 0xe9,
  /** `b < a ? b : a`, and so `a` where that is no number. */
  lower: 0xea,
  /** `a < b ? b : a`, and so `a` where that is no number. */
  higher: 0xeb,
  truncated: 0xf8,
  converted: 0xfa
} as const
/** An instruction from vectors to a vector. */
export type VectorOp = keyof typeof vectors

const words = { add: 0x6a, sub: 0x6b, mul: 0x6c, div: 0x6d, rest: 0x6f, and: 0x71, xor: 0x73 } as const

const instruction = {
  unreachable: 0x00,
  loop: 0x03,
  when: 0x04,
  end: 0x0b,
  branchIf: 0x0d,
  call: 0x10,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  setGlobal: 0x24,
  loadWord: 0x28,
  storeWord: 0x36,
  constant: 0x41,
  choose: 0x1b,
  isZero: 0x45,
  greaterOrEqualUnsigned: 0x4f,
  demote: 0xb6,
  promote: 0xbb,
  convert: 0xb7,
  saturating: 0xfc,
  simd: 0xfd
} as const

const empty = 0x40

export class Code {
  readonly #takes: number
  readonly #locals: Array<Type> = []
  readonly #first = new Bytes()
  readonly #code = new Bytes()
  readonly #constants = new Map<string, Vector>()

  /** A function of so many addresses. */
  constructor(takes: number) {
    this.#takes = takes
  }

  /** The function. */
  body(): Body {
    return {
      signature: { takes: Array<Type>(this.#takes).fill(type.i32), gives: [] },
      locals: this.#locals,
      code: new Bytes().all(this.#first.written).all(this.#code.written).written
    }
  }

  #put(instruction: number): Bytes {
    return this.#code.byte(instruction)
  }
  #simd(op: number): Bytes {
    return this.#code.byte(instruction.simd).unsigned(op)
  }
  /** An instruction that accesses memory: alignment is a hint, four bytes. */
  #access(op: number, offset: number): Bytes {
    return this.#simd(op).byte(2).unsigned(offset)
  }
  #constant(value: number): void {
    this.#put(instruction.constant).signed(value)
  }
  #local(of: Type): number {
    return this.#takes + this.#locals.push(of) - 1
  }
  #get(local: number): void {
    this.#put(instruction.get).unsigned(local)
  }
  #set(local: number): void {
    this.#put(instruction.set).unsigned(local)
  }
  #vector(): Vector {
    const local = this.#local(type.v128)
    this.#set(local)
    return local as Vector
  }
  #word(): Word {
    const local = this.#local(type.i32)
    this.#set(local)
    return local as Word
  }

  /** The address that stands at this place of what the function takes. */
  parameter(index: number): Word {
    return index as Word
  }

  /** A whole number. */
  word(value: number): Word {
    this.#constant(value)
    return this.#word()
  }

  #plus(x: Word, by: number): void {
    this.#get(x)
    if (by === 0) return
    this.#constant(by)
    this.#put(words.add)
  }

  /** A copy that may be changed. */
  copy(x: Word, plus = 0): Word {
    this.#plus(x, plus)
    return this.#word()
  }

  /** Adds to a word where it is. */
  advance(x: Word, by: number): void {
    if (by === 0) return
    this.#plus(x, by)
    this.#set(x)
  }

  /** A whole number of two. */
  words(op: keyof typeof words, a: Word, b: Word | { readonly value: number }): Word {
    this.#get(a)
    if (typeof b === "object") this.#constant(b.value)
    else this.#get(b)
    this.#put(words[op])
    return this.#word()
  }

  /** Makes a word or a vector what another is. */
  assign<T extends Word | Vector>(x: T, value: T): void {
    this.#get(value)
    this.#set(x)
  }

  loadWord(address: Word, offset = 0): Word {
    this.#get(address)
    this.#put(instruction.loadWord).byte(2).unsigned(offset)
    return this.#word()
  }
  storeWord(address: Word, value: Word): void {
    this.#get(address)
    this.#get(value)
    this.#put(instruction.storeWord).byte(2).unsigned(0)
  }

  /** A vector known now, from the bits of its four elements; made once, before everything else. */
  bits(a: number, b: number, c: number, d: number): Vector {
    const key = `${a} ${b} ${c} ${d}`
    const known = this.#constants.get(key)
    if (known !== undefined) return known
    const local = this.#local(type.v128) as Vector
    const bytes = new Uint8Array(Int32Array.of(a, b, c, d).buffer)
    this.#first.byte(instruction.simd).byte(0x0c).all(bytes).byte(instruction.set).unsigned(local)
    this.#constants.set(key, local)
    return local
  }
  /** One float32 four times. */
  float(value: number): Vector {
    const bits = new Int32Array(Float32Array.of(value).buffer)[0]!
    return this.bits(bits, bits, bits, bits)
  }
  /** One whole number four times. */
  int(value: number): Vector {
    return this.bits(value, value, value, value)
  }

  op(op: VectorOp, ...operands: ReadonlyArray<Vector>): Vector {
    for (const operand of operands) this.#get(operand)
    this.#simd(vectors[op])
    return this.#vector()
  }
  /** A vector of a word, four times. */
  splat(x: Word): Vector {
    this.#get(x)
    this.#simd(vectors.splatWord)
    return this.#vector()
  }
  /** Bits moved to the left, or to the right behind zeros or behind copies of the sign. */
  shift(direction: "left" | "right" | "signed", x: Vector, by: number): Vector {
    this.#get(x)
    this.#constant(by)
    this.#simd({ left: 0xab, right: 0xad, signed: 0xac }[direction])
    return this.#vector()
  }
  /** Elements of two vectors: 0 to 3 of the first, 4 to 7 of the second. */
  shuffle(a: Vector, b: Vector, lanes: readonly [number, number, number, number]): Vector {
    this.#get(a)
    this.#get(b)
    this.#simd(0x0d).all(lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)))
    return this.#vector()
  }
  lane(x: Vector, lane: number): Word {
    this.#get(x)
    this.#simd(0x1b).byte(lane)
    return this.#word()
  }
  withLane(x: Vector, lane: number, value: Word): Vector {
    this.#get(x)
    this.#get(value)
    this.#simd(0x1c).byte(lane)
    return this.#vector()
  }

  /** Each of the first `count` elements as `f`, an imported function of float64, has it. */
  called(f: number, operands: ReadonlyArray<Vector>, count: number): Vector {
    let result = operands[0]!
    for (let lane = 0; lane < count; lane++) {
      this.#get(result)
      for (const operand of operands) {
        this.#get(operand)
        this.#simd(0x1f).byte(lane).byte(instruction.promote)
      }
      this.#put(instruction.call).unsigned(f).byte(instruction.demote)
      this.#simd(0x20).byte(lane)
      result = this.#vector()
    }
    return result
  }

  /** An address to access so many bytes from; the offset that is left, as those of instructions are not negative. */
  #from(address: Word, offset: number): number {
    this.#plus(address, Math.min(offset, 0))
    return Math.max(offset, 0)
  }

  /** The same of whole numbers, where the function gives whole ones. */
  calledWhole(f: number, operands: ReadonlyArray<Vector>, count: number): Vector {
    let result = operands[0]!
    for (let lane = 0; lane < count; lane++) {
      this.#get(result)
      for (const operand of operands) {
        this.#get(operand)
        this.#simd(0x1b).byte(lane).byte(instruction.convert)
      }
      this.#put(instruction.call).unsigned(f).byte(instruction.saturating).byte(0x02)
      this.#simd(0x1c).byte(lane)
      result = this.#vector()
    }
    return result
  }

  /** Four elements that follow one another. */
  load(address: Word, offset: number): Vector {
    this.#access(0x00, this.#from(address, offset))
    return this.#vector()
  }
  /** One element four times. */
  loadSplat(address: Word, offset: number): Vector {
    this.#access(0x09, this.#from(address, offset))
    return this.#vector()
  }
  /** The first `count` elements, so many bytes apart; the others are zero. Nothing beside them is accessed. */
  loadApart(address: Word, offset: number, apart: number, count: number): Vector {
    const last = count - 1
    const base = apart < 0 ? this.copy(address, offset + last * apart) : address
    const place = (lane: number): number => (apart < 0 ? (lane - last) * apart : offset + lane * apart)
    this.#get(base)
    this.#access(0x5c, place(0))
    let result = this.#vector()
    for (let lane = 1; lane < count; lane++) {
      this.#get(base)
      this.#get(result)
      this.#access(0x56, place(lane)).byte(lane)
      result = this.#vector()
    }
    return result
  }
  /** Stores the first `count` elements one after another. */
  store(address: Word, offset: number, x: Vector, count = 4): void {
    this.#get(address)
    this.#get(x)
    if (count === 4) {
      this.#access(0x0b, offset)
      return
    }
    this.#access(count > 1 ? 0x5b : 0x5a, offset).byte(0)
    if (count < 3) return
    this.#get(address)
    this.#get(x)
    this.#access(0x5a, offset + 8).byte(2)
  }
  /** Stores the first `count` elements so many bytes apart. */
  storeApart(address: Word, offset: number, x: Vector, apart: number, count: number): void {
    for (let lane = 0; lane < count; lane++) {
      this.#get(address)
      this.#get(x)
      this.#access(0x5a, offset + lane * apart).byte(lane)
    }
  }

  /** A body so many times, at least once. */
  loop(count: number, body: () => void): void {
    if (count === 1) return body()
    const left = this.word(count)
    this.#put(instruction.loop).byte(empty)
    body()
    this.#plus(left, -1)
    this.#put(instruction.tee).unsigned(left)
    this.#put(instruction.branchIf).byte(0).byte(instruction.end)
  }

  /** Ends the program with this fault unless `index`, as an unsigned number, is below `below`. */
  check(index: Word, below: number, fault: number): void {
    this.#get(index)
    this.#constant(below)
    this.#put(instruction.greaterOrEqualUnsigned)
    this.#fault(fault)
  }
  /** Ends the program with this fault if a word is zero. */
  refuseZero(x: Word, fault: number): void {
    this.#get(x)
    this.#put(instruction.isZero)
    this.#fault(fault)
  }
  #fault(fault: number): void {
    this.#put(instruction.when).byte(empty)
    this.#constant(fault)
    this.#put(instruction.setGlobal).byte(0).byte(instruction.unreachable).byte(instruction.end)
  }

  /** A word where a condition is not zero, else another. */
  choose(condition: Word, a: Word, b: Word): Word {
    this.#get(a)
    this.#get(b)
    this.#get(condition)
    this.#put(instruction.choose)
    return this.#word()
  }

  /** Calls a function with words, to each of which something is added. */
  call(f: number, args: ReadonlyArray<{ readonly word: Word; readonly plus: number }>): void {
    for (const { plus, word } of args) this.#plus(word, plus)
    this.#put(instruction.call).unsigned(f)
  }
}
