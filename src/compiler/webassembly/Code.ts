/** Instructions of one function under construction. Vectors are four elements of 32 bits; each has a local of its own. */
import { type Body, signed, type Type, type, unsigned } from "./Binary.ts"

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
  isZero: 0x45,
  greaterOrEqualUnsigned: 0x4f,
  demote: 0xb6,
  promote: 0xbb,
  simd: 0xfd
} as const

const empty = 0x40
/** Alignment of an access is a hint: four bytes. */
const at = (offset: number): ReadonlyArray<number> => [2, ...unsigned(offset)]

export class Code {
  readonly #takes: number
  readonly #locals: Array<Type> = []
  readonly #first: Array<number> = []
  readonly #code: Array<number> = []
  readonly #constants = new Map<string, Vector>()

  /** A function of so many addresses. */
  constructor(takes: number) {
    this.#takes = takes
  }

  /** The function. */
  body(gives: ReadonlyArray<Type> = []): Body {
    return {
      signature: { takes: Array<Type>(this.#takes).fill(type.i32), gives },
      locals: this.#locals,
      code: [...this.#first, ...this.#code]
    }
  }

  #put(...bytes: ReadonlyArray<number>): void {
    for (const byte of bytes) this.#code.push(byte)
  }
  #simd(op: number, ...rest: ReadonlyArray<number>): void {
    this.#put(instruction.simd, ...unsigned(op), ...rest)
  }
  #local(of: Type): number {
    return this.#takes + this.#locals.push(of) - 1
  }
  #get(local: number): void {
    this.#put(instruction.get, ...unsigned(local))
  }
  #set(local: number): void {
    this.#put(instruction.set, ...unsigned(local))
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
    this.#put(instruction.constant, ...signed(value))
    return this.#word()
  }

  /** A copy that may be changed. */
  copy(x: Word, plus = 0): Word {
    this.#get(x)
    if (plus !== 0) this.#put(instruction.constant, ...signed(plus), words.add)
    return this.#word()
  }

  /** Adds to a word where it is. */
  advance(x: Word, by: number): void {
    if (by === 0) return
    this.#get(x)
    this.#put(instruction.constant, ...signed(by), words.add)
    this.#set(x)
  }

  /** A whole number of two. */
  words(op: keyof typeof words, a: Word, b: Word | { readonly value: number }): Word {
    this.#get(a)
    if (typeof b === "object") this.#put(instruction.constant, ...signed(b.value))
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
    this.#put(instruction.loadWord, ...at(offset))
    return this.#word()
  }
  storeWord(address: Word, value: Word, offset = 0): void {
    this.#get(address)
    this.#get(value)
    this.#put(instruction.storeWord, ...at(offset))
  }

  /** A vector known now, from the bits of its four elements; made once, before everything else. */
  bits(a: number, b: number, c: number, d: number): Vector {
    const key = [a, b, c, d].join()
    const known = this.#constants.get(key)
    if (known !== undefined) return known
    const local = this.#local(type.v128) as Vector
    const bytes = new Uint8Array(Int32Array.of(a, b, c, d).buffer)
    this.#first.push(instruction.simd, 0x0c, ...bytes, instruction.set, ...unsigned(local))
    this.#constants.set(key, local)
    return local
  }
  /** One float32 four times. */
  float(value: number): Vector {
    const [bits] = new Int32Array(Float32Array.of(value).buffer) as unknown as [number]
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
  /** Bits moved to the left, or to the right behind zeros. */
  shift(direction: "left" | "right", x: Vector, by: number): Vector {
    this.#get(x)
    this.#put(instruction.constant, ...signed(by))
    this.#simd(direction === "left" ? 0xab : 0xad)
    return this.#vector()
  }
  /** Bits moved to the right behind copies of the sign. */
  shiftSigned(x: Vector, by: number): Vector {
    this.#get(x)
    this.#put(instruction.constant, ...signed(by))
    this.#simd(0xac)
    return this.#vector()
  }
  /** Elements of two vectors: 0 to 3 of the first, 4 to 7 of the second. */
  shuffle(a: Vector, b: Vector, lanes: readonly [number, number, number, number]): Vector {
    this.#get(a)
    this.#get(b)
    this.#simd(0x0d, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)))
    return this.#vector()
  }
  lane(x: Vector, lane: number): Word {
    this.#get(x)
    this.#simd(0x1b, lane)
    return this.#word()
  }
  withLane(x: Vector, lane: number, value: Word): Vector {
    this.#get(x)
    this.#get(value)
    this.#simd(0x1c, lane)
    return this.#vector()
  }

  /** Each of the first `count` elements as `f`, an imported function of float64, has it. */
  called(f: number, operands: ReadonlyArray<Vector>, count: number): Vector {
    let result = operands[0]!
    for (let lane = 0; lane < count; lane++) {
      this.#get(result)
      for (const operand of operands) {
        this.#get(operand)
        this.#simd(0x1f, lane)
        this.#put(instruction.promote)
      }
      this.#put(instruction.call, ...unsigned(f), instruction.demote)
      this.#simd(0x20, lane)
      result = this.#vector()
    }
    return result
  }

  /** Four elements that follow one another. */
  load(address: Word, offset: number): Vector {
    this.#get(address)
    this.#simd(0x00, ...at(offset))
    return this.#vector()
  }
  /** One element four times. */
  loadSplat(address: Word, offset: number): Vector {
    this.#get(address)
    this.#simd(0x09, ...at(offset))
    return this.#vector()
  }
  /** The first `count` elements, so many bytes apart; the others are zero. */
  loadApart(address: Word, offset: number, apart: number, count: number): Vector {
    const base = apart < 0 ? this.copy(address, offset + 3 * apart) : address
    const place = (lane: number): number => (apart < 0 ? (lane - 3) * apart : offset + lane * apart)
    this.#get(base)
    this.#simd(0x5c, ...at(place(0)))
    let result = this.#vector()
    for (let lane = 1; lane < count; lane++) {
      this.#get(base)
      this.#get(result)
      this.#simd(0x56, ...at(place(lane)), lane)
      result = this.#vector()
    }
    return result
  }
  /** Stores the first `count` elements one after another. */
  store(address: Word, offset: number, x: Vector, count = 4): void {
    this.#get(address)
    this.#get(x)
    if (count === 4) return this.#simd(0x0b, ...at(offset))
    if (count > 1) this.#simd(0x5b, ...at(offset), 0)
    else this.#simd(0x5a, ...at(offset), 0)
    if (count < 3) return
    this.#get(address)
    this.#get(x)
    this.#simd(0x5a, ...at(offset + 8), 2)
  }
  /** Stores the first `count` elements so many bytes apart. */
  storeApart(address: Word, offset: number, x: Vector, apart: number, count: number): void {
    for (let lane = 0; lane < count; lane++) {
      this.#get(address)
      this.#get(x)
      this.#simd(0x5a, ...at(offset + lane * apart), lane)
    }
  }

  /** A body so many times, at least once. */
  loop(count: number, body: () => void): void {
    if (count === 1) return body()
    const left = this.word(count)
    this.#put(instruction.loop, empty)
    body()
    this.#get(left)
    this.#put(instruction.constant, ...signed(1), words.sub, instruction.tee, ...unsigned(left))
    this.#put(instruction.branchIf, 0, instruction.end)
  }

  /** Ends the program with this fault unless `index`, as an unsigned number, is below `below`. */
  check(index: Word, below: number, fault: number): void {
    this.#get(index)
    this.#put(instruction.constant, ...signed(below), instruction.greaterOrEqualUnsigned)
    this.#fault(fault)
  }
  /** Ends the program with this fault if a word is zero. */
  refuseZero(x: Word, fault: number): void {
    this.#get(x)
    this.#put(instruction.isZero)
    this.#fault(fault)
  }
  #fault(fault: number): void {
    this.#put(instruction.when, empty, instruction.constant, ...signed(fault), instruction.setGlobal, 0)
    this.#put(instruction.unreachable, instruction.end)
  }

  /** A word where a condition is not zero, else another. */
  choose(condition: Word, a: Word, b: Word): Word {
    this.#get(a)
    this.#get(b)
    this.#get(condition)
    this.#put(0x1b)
    return this.#word()
  }

  call(f: number, args: ReadonlyArray<Word>): void {
    for (const arg of args) this.#get(arg)
    this.#put(instruction.call, ...unsigned(f))
  }
}
