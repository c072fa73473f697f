/** WebAssembly's binary format, as much of it as programs here need (webassembly.github.io/spec/core/binary). */

/** Types of values and of results. */
export const type = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const
export type Type = (typeof type)[keyof typeof type]

/** Bytes under construction. */
export class Bytes {
  #bytes = new Uint8Array(64)
  #length = 0

  /** Those written by now: a view. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length)
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    larger.set(this.written)
    this.#bytes = larger
  }

  byte(value: number): this {
    this.#room(1)
    this.#bytes[this.#length++] = value
    return this
  }

  all(bytes: ArrayLike<number>): this {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** A whole number that is not negative, in LEB128. */
  unsigned(value: number): this {
    if (value < 0) throw new RangeError(`${value} is written as a number that is not negative`)
    let rest = value
    while (rest > 127) {
      this.byte((rest & 127) | 128)
      rest = Math.floor(rest / 128)
    }
    return this.byte(rest)
  }

  /** A whole number of 32 bits, in signed LEB128. */
  signed(value: number): this {
    let rest = value | 0
    for (;;) {
      const byte = rest & 127
      rest >>= 7
      if ((rest === 0 && (byte & 64) === 0) || (rest === -1 && (byte & 64) !== 0)) return this.byte(byte)
      this.byte(byte | 128)
    }
  }

  /** Other bytes, behind their number. */
  sized(bytes: ArrayLike<number>): this {
    return this.unsigned(bytes.length).all(bytes)
  }
}

/** A function's type. */
export interface Signature {
  readonly takes: ReadonlyArray<Type>
  readonly gives: ReadonlyArray<Type>
}

/** A function: locals beyond its parameters, and its instructions without the last `end`. */
export interface Body {
  readonly signature: Signature
  readonly locals: ReadonlyArray<Type>
  readonly code: Uint8Array
}

const bodyOf = ({ code, locals }: Body): Uint8Array => {
  const runs: Array<[number, Type]> = []
  for (const each of locals) {
    const last = runs.at(-1)
    if (last?.[1] === each) last[0]++
    else runs.push([1, each])
  }
  const bytes = new Bytes().unsigned(runs.length)
  for (const [count, each] of runs) bytes.unsigned(count).byte(each)
  return bytes.all(code).byte(0x0b).written
}

/** What a module is made of. It imports its memory, and functions that count before its own. */
export interface Module {
  readonly imports: ReadonlyArray<{ readonly name: string; readonly signature: Signature }>
  readonly functions: ReadonlyArray<Body>
  /** The function, of its own, that is exported as `run`. */
  readonly run: number
}

/** A module's bytes. It exports `run` and a whole number that can be changed, `fault`. */
export const encode = ({ functions, imports, run }: Module): Uint8Array<ArrayBuffer> => {
  const module = new Bytes().all([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
  const section = <A>(id: number, items: ReadonlyArray<A>, write: (bytes: Bytes, item: A) => void): void => {
    const bytes = new Bytes().unsigned(items.length)
    for (const item of items) write(bytes, item)
    module.byte(id).sized(bytes.written)
  }
  const name = (bytes: Bytes, text: string): Bytes => bytes.sized(new TextEncoder().encode(text))

  const types = new Map<string, Signature>()
  const places = new Map<string, number>()
  const typeOf = (each: Signature): number => {
    const key = `${each.takes.join()} ${each.gives.join()}`
    if (!places.has(key)) places.set(key, places.size)
    types.set(key, each)
    return places.get(key)!
  }
  const imported = imports.map((each) => typeOf(each.signature))
  const own = functions.map((each) => typeOf(each.signature))

  section(1, [...types.values()], (bytes, { gives, takes }) => bytes.byte(0x60).sized(takes).sized(gives))
  section(2, [undefined, ...imports.keys()], (bytes, i) => {
    name(name(bytes, "host"), i === undefined ? "memory" : imports[i]!.name)
    if (i === undefined) bytes.byte(0x02).byte(0x00).byte(0x00)
    else bytes.byte(0x00).unsigned(imported[i]!)
  })
  section(3, own, (bytes, each) => bytes.unsigned(each))
  section(6, [type.i32], (bytes, each) => bytes.byte(each).all([0x01, 0x41, 0x00, 0x0b]))
  section(7, ["run", "fault"], (bytes, each) => {
    if (each === "run")
      name(bytes, each)
        .byte(0x00)
        .unsigned(imports.length + run)
    else name(bytes, each).byte(0x03).byte(0x00)
  })
  section(10, functions, (bytes, each) => bytes.sized(bodyOf(each)))
  return module.written.slice()
}
