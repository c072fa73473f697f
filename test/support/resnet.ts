import * as Result from "effect/Result"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as BatchNorm from "../../src/models/BatchNorm.ts"
import * as Init from "../../src/models/Init.ts"
import * as ResNet from "../../src/models/ResNet.ts"
import * as TorchNames from "../../src/models/TorchNames.ts"

/** Uniform in [-1, 1): FNV-1a of the name, then MurmurHash3's finalizer of each index, as in oracles/resnet.py. */
export const hashed = (name: string, count: number): Float32Array => {
  let seed = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193)
  return Float32Array.from({ length: count }, (_, i) => {
    let h = (Math.imul(i, 0x9e3779b1) + seed) | 0
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h ^= h >>> 16
    return (h >>> 8) / 2 ** 23 - 1
  })
}

/** A PyTorch tensor of the oracle's: the same numbers in the same order. */
const value = (name: string, shape: ReadonlyArray<number>): NdArray.NdArray => {
  const u = hashed(name, NdArray.size(shape))
  const limit = shape.length === 4 ? Math.fround(Math.sqrt(6 / (shape[0]! * shape[2]! * shape[3]!))) : 0.25
  const centre = shape.length === 1 && /running_var$|weight$/.test(name) ? 1 : 0
  return NdArray.float32(
    shape,
    u.map((x) => centre + Math.fround(limit * x))
  )
}

/** The oracle's state dict. */
export const stateDict = (config: ResNet.Config): ReadonlyMap<string, NdArray.NdArray> => {
  const params = ResNet.arranged(config, (_, [window, inputs, outputs]) => ({
    filter: Init.zeros([window, window, inputs, outputs])(Seed.make(0)),
    norm: BatchNorm.init(outputs)
  }))
  const blank = TorchNames.encode({ params, statistics: ResNet.statistics(config)() })
  return new Map(blank.map(([name, { shape }]) => [name, value(name, shape)]))
}

/** The oracle's network. */
export const network = (config: ResNet.Config): TorchNames.Network =>
  Result.getOrThrow(TorchNames.decode(stateDict(config), config))

/** Pictures [n, size, size, 3] of the oracle's. */
export const pictures = (n: number, size: number) =>
  NdArray.float32([n, size, size, 3], hashed("pictures", n * size * size * 3))
