import { whole } from "../errors/Numbers.ts"

/**
 * Counter-based randomness: a seed is a 64-bit key, and every number is a function of (key, counter).
 *
 * Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The same
 * function expands noise inside a step, so host and device draw the same bits.
 */
export interface Seed {
  readonly key: readonly [number, number]
}

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const

/**
 * One Threefry-2x32-20 block, written into `out[at]` and `out[at + 1]` as unsigned 32-bit integers.
 *
 * @internal
 */
export const threefry = (k0: number, k1: number, c0: number, c1: number, out: Uint32Array, at: number): void => {
  const k2 = (k0 ^ k1 ^ 0x1bd11bda) | 0
  let x0 = (c0 + k0) | 0
  let x1 = (c1 + k1) | 0
  for (let round = 0; round < 20; round++) {
    const r = rotations[round & 7]!
    x0 = (x0 + x1) | 0
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0
    if ((round & 3) === 3) {
      const s = (round >> 2) + 1
      x0 = (x0 + (s % 3 === 0 ? k0 : s % 3 === 1 ? k1 : k2)) | 0
      x1 = (x1 + (s % 3 === 0 ? k1 : s % 3 === 1 ? k2 : k0) + s) | 0
    }
  }
  out[at] = x0
  out[at + 1] = x1
}

const block = new Uint32Array(2)

/** The root seed of a run: any safe integer; throws a `RangeError` for what is none. */
export const make = (seed: number): Seed => {
  whole("Seed.make: seed", seed, -Infinity)
  return { key: [seed | 0, Math.floor(seed / 0x1_0000_0000) | 0] }
}

const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h
}

/**
 * A child seed: independent of its parent and of every sibling with another name or number.
 *
 * ```ts
 * const seed = Seed.fold(Seed.fold(Seed.make(1), "data"), 7)
 * Seed.integers(seed, 4, 10) // => [6, 7, 1, 2]
 * ```
 */
export const fold = (seed: Seed, label: string | number): Seed => {
  if (typeof label === "number") whole("Seed.fold: label", label, -Infinity)
  // Counter word 1 keeps folds apart from drawn bits, which use 0, and names apart from numbers.
  const [c0, c1] = typeof label === "number" ? [label | 0, -1] : [hash(label), 1 + label.length]
  threefry(seed.key[0], seed.key[1], c0, c1, block, 0)
  return { key: [block[0]! | 0, block[1]! | 0] }
}

/** `count` unsigned 32-bit integers. */
export const bits = (seed: Seed, count: number): Uint32Array => {
  whole("Seed: count", count, 0)
  const out = new Uint32Array(count + (count & 1))
  for (let i = 0; i < count; i += 2) threefry(seed.key[0], seed.key[1], i >>> 1, 0, out, i)
  return out.subarray(0, count)
}

/** `count` float32 numbers, uniform in [0, 1). */
export const uniform = (seed: Seed, count: number): Float32Array => {
  const drawn = bits(seed, count)
  const out = new Float32Array(count)
  for (let i = 0; i < count; i++) out[i] = (drawn[i]! >>> 8) / 0x100_0000
  return out
}

/** `count` float32 numbers, standard normal (Box-Muller). */
export const normal = (seed: Seed, count: number): Float32Array => {
  const u = bits(seed, 2 * count)
  const out = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const radius = Math.sqrt(-2 * Math.log((u[2 * i]! + 1) / 0x1_0000_0000))
    out[i] = radius * Math.cos((2 * Math.PI * u[2 * i + 1]!) / 0x1_0000_0000)
  }
  return out
}

/** `count` integers, uniform in [0, bound). */
export const integers = (seed: Seed, count: number, bound: number): Int32Array => {
  whole("Seed.integers: bound", bound, 1)
  return Int32Array.from(bits(seed, count), (b) => Math.floor((b / 0x1_0000_0000) * bound))
}

/**
 * A permutation of 0 … n-1 (Fisher-Yates).
 *
 * ```ts
 * Array.from(Seed.permutation(Seed.make(1), 5)).sort() // => [0, 1, 2, 3, 4]
 * ```
 */
export const permutation = (seed: Seed, n: number): Int32Array => {
  const out = Int32Array.from({ length: n }, (_, i) => i)
  const draws = bits(seed, n)
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor((draws[i]! / 0x1_0000_0000) * (i + 1))
    const swap = out[i]!
    out[i] = out[j]!
    out[j] = swap
  }
  return out
}
