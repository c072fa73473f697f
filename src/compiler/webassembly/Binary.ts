/** WebAssembly's binary format, as much of it as programs here need (webassembly.github.io/spec/core/binary). */

/** Types of values and of results. */
export const type = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const
export type Type = (typeof type)[keyof typeof type]

/** A function's type. */
export interface Signature {
  readonly takes: ReadonlyArray<Type>
  readonly gives: ReadonlyArray<Type>
}

/** A function: locals beyond its parameters, and its instructions without the last `end`. */
export interface Body {
  readonly signature: Signature
  readonly locals: ReadonlyArray<Type>
  readonly code: ReadonlyArray<number>
}

/** A whole number that is not negative, in LEB128. */
export const unsigned = (value: number): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let rest = value
  do {
    const byte = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest === 0 ? byte : byte + 128)
  } while (rest > 0)
  return bytes
}

/** A whole number of 32 bits, in signed LEB128. */
export const signed = (value: number): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let rest = value | 0
  for (;;) {
    const byte = rest & 127
    rest >>= 7
    if ((rest === 0 && (byte & 64) === 0) || (rest === -1 && (byte & 64) !== 0)) return [...bytes, byte]
    bytes.push(byte | 128)
  }
}

const concat = (parts: ReadonlyArray<ReadonlyArray<number>>): Array<number> => {
  const bytes: Array<number> = []
  for (const part of parts) for (const byte of part) bytes.push(byte)
  return bytes
}
const vector = (items: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> =>
  concat([unsigned(items.length), ...items])
const section = (id: number, items: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> => {
  const content = vector(items)
  return items.length === 0 ? [] : concat([[id], unsigned(content.length), content])
}
const name = (text: string): ReadonlyArray<number> => vector([...new TextEncoder().encode(text)].map((byte) => [byte]))
const signature = ({ gives, takes }: Signature): ReadonlyArray<number> =>
  concat([[0x60], vector(takes.map((each) => [each])), vector(gives.map((each) => [each]))])

const bodyOf = ({ code, locals }: Body): ReadonlyArray<number> => {
  const runs: Array<[number, Type]> = []
  for (const each of locals) {
    const last = runs.at(-1)
    if (last?.[1] === each) last[0]++
    else runs.push([1, each])
  }
  const declared = vector(runs.map(([count, each]) => [...unsigned(count), each]))
  return concat([unsigned(declared.length + code.length + 1), declared, code, [0x0b]])
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
  const keys = new Map<string, number>()
  const indexOf = (each: Signature): number => {
    const key = signature(each).join()
    if (!keys.has(key)) keys.set(key, keys.size)
    return keys.get(key)!
  }
  const imported = imports.map((each) => indexOf(each.signature))
  const own = functions.map((each) => indexOf(each.signature))
  const types = [...keys.keys()].map((key) => key.split(",").map(Number))
  return Uint8Array.from(
    concat([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, types),
      section(2, [
        [...name("host"), ...name("memory"), 0x02, 0x00, 0x00],
        ...imports.map((each, i) => [...name("host"), ...name(each.name), 0x00, ...unsigned(imported[i]!)])
      ]),
      section(3, own.map(unsigned)),
      section(6, [[type.i32, 0x01, 0x41, 0x00, 0x0b]]),
      section(7, [
        [...name("run"), 0x00, ...unsigned(imports.length + run)],
        [...name("fault"), 0x03, 0x00]
      ]),
      section(10, functions.map(bodyOf))
    ])
  )
}
