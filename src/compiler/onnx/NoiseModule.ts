/**
 * The generator of `src/tensor/Noise.ts` as a WebAssembly module: four blocks at a time, the same bits as on the host.
 *
 * In a graph the generator is over a hundred passes over memory; here it is one, and takes a tenth of the time.
 */

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const

const unsigned = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]
const signed = (value: number): ReadonlyArray<number> => {
  const last = value >> 6 === 0 || value >> 6 === -1
  return last ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)]
}

// Opcodes of https://webassembly.github.io/spec/core/binary/instructions.html that are used here.
const get = (local: number) => [0x20, local]
const set = (local: number) => [0x21, local]
const i32 = (value: number) => [0x41, ...signed(value)]
const simd = (opcode: number) => [0xfd, ...unsigned(opcode)]
const words = (values: ReadonlyArray<number>) => [...simd(0x0c), ...new Uint8Array(Int32Array.from(values).buffer)]
const shuffle = (lanes: ReadonlyArray<number>) => [
  ...simd(0x0d),
  ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte))
]
const store = (offset: number) => [...simd(0x0b), 0, ...unsigned(offset)]
const [splat, toFloat] = [simd(0x11), simd(0xfb)]
const [or, xor, shl, shr, add, times] = [simd(0x50), simd(0x51), simd(0xab), simd(0xad), simd(0xae), simd(0xe6)]

const section = (id: number, content: ReadonlyArray<number>) => [id, ...unsigned(content.length), ...content]

// Parameters: the two words of the key, the salt, how many times four blocks, where to write. Locals: vectors.
const [k0, k1, salt, count, to, key0, key1, key2, counter, x0, x1] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const

// oxfmt-ignore
const round = (i: number): ReadonlyArray<number> => {
  const r = rotations[i & 7]!
  // oxfmt-ignore
  const mixed = [
    ...get(x0), ...get(x1), ...add, ...set(x0),
    ...get(x1), ...i32(r), ...shl, ...get(x1), ...i32(32 - r), ...shr, ...or, ...get(x0), ...xor, ...set(x1)
  ]
  if ((i & 3) !== 3) return mixed
  const s = (i >> 2) + 1
  const keys = [key0, key1, key2] as const
  return [
    ...mixed,
    ...get(x0), ...get(keys[s % 3]!), ...add, ...set(x0),
    ...get(x1), ...get(keys[(s + 1) % 3]!), ...add, ...i32(s), ...splat, ...add, ...set(x1)
  ]
}

const scale = words(Array(4).fill(new Int32Array(Float32Array.of(2 ** -24).buffer)[0]!))
const uniform = (x: number) => [...get(x), ...i32(8), ...shr, ...toFloat, ...scale, ...times, ...set(x)]

// oxfmt-ignore
const body = [
  ...get(k0), ...splat, ...set(key0), ...get(k1), ...splat, ...set(key1),
  ...get(key0), ...get(key1), ...xor, ...i32(0x1bd11bda), ...splat, ...xor, ...set(key2),
  ...words([0, 1, 2, 3]), ...set(counter),
  0x03, 0x40, // loop
  ...get(counter), ...get(key0), ...add, ...set(x0),
  ...get(salt), ...splat, ...get(key1), ...add, ...set(x1),
  ...Array.from({ length: 20 }, (_, i) => round(i)).flat(),
  ...uniform(x0), ...uniform(x1),
  ...get(to), ...get(x0), ...get(x1), ...shuffle([0, 4, 1, 5]), ...store(0),
  ...get(to), ...get(x0), ...get(x1), ...shuffle([2, 6, 3, 7]), ...store(16),
  ...get(counter), ...words([4, 4, 4, 4]), ...add, ...set(counter),
  ...get(to), ...i32(32), 0x6a, ...set(to),
  ...get(count), ...i32(1), 0x6b, 0x22, count, // one less, and again while there are more
  0x0d, 0x00, 0x0b,
  0x0b
]

const code = [1, 6, 0x7b, ...body] // six locals of type v128
const name = (text: string) => [text.length, ...Array.from(text, (c) => c.charCodeAt(0))]
// oxfmt-ignore
const bytes = Uint8Array.from([
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  ...section(1, [1, 0x60, 5, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
  ...section(2, [1, ...name("e"), ...name("m"), 2, 0, 1]),
  ...section(3, [1, 0]),
  ...section(7, [1, ...name("f"), 0, 0]),
  ...section(10, [1, ...unsigned(code.length), ...code])
])

// Node has WebAssembly; the types of Node 22 leave it to those of browsers, which are not loaded here.
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly [name: string]: unknown } }
}

/** Arrays of noise of these sizes, and how to fill each from a key and a salt. */
export const make = (sizes: ReadonlyArray<number>) => {
  const groups = sizes.map((n) => Math.max(1, Math.ceil(n / 8)))
  const offsets = groups.map((_, i) => groups.slice(0, i).reduce((sum, n) => sum + 32 * n, 0))
  const total = groups.reduce((sum, n) => sum + 32 * n, 0)
  const memory = new WebAssembly.Memory({ initial: Math.ceil(total / 65536) })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { e: { m: memory } })
  const run = exports["f"] as (k0: number, k1: number, salt: number, count: number, to: number) => void
  return {
    arrays: sizes.map((n, i) => new Float32Array(memory.buffer, offsets[i]!, n)),
    fill: (i: number, key: ArrayLike<number>, salt: number): void =>
      run(key[0]!, key[1]!, salt | 0, groups[i]!, offsets[i]!)
  }
}
