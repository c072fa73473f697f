/** State dicts as `torch.save` writes them: a zip archive of a pickle and of numbers. Nothing in it is executed. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as NdArray from "../../dsl/values/NdArray.ts"
import * as FileRange from "../FileRange.ts"
import { fromBfloat16, fromFloat16 } from "./HalfFloats.ts"
import * as RegularFile from "../RegularFile.ts"
import { because, RunFileError } from "../RunFileError.ts"
import * as TorchPickle from "./TorchPickle.ts"
import * as ZipEntries from "./ZipEntries.ts"

const longestPickle = 2 ** 26

/** All elements of a storage; a whole number beyond 32 bits is found with `undefined`. */
const elementsOf = (elements: TorchPickle.Elements, buffer: ArrayBuffer): Float32Array | Int32Array | undefined => {
  switch (elements) {
    case "FloatStorage":
      return new Float32Array(buffer)
    case "HalfStorage":
      return fromFloat16(new Uint16Array(buffer))
    case "BFloat16Storage":
      return fromBfloat16(new Uint16Array(buffer))
    case "IntStorage":
      return new Int32Array(buffer)
    case "LongStorage": {
      const long = new BigInt64Array(buffer)
      return long.every((n) => BigInt.asIntN(32, n) === n) ? Int32Array.from(long, Number) : undefined
    }
  }
}

/** Whether a tensor's elements lie one after another in its own order. */
const isContiguous = (shape: ReadonlyArray<number>, strides: ReadonlyArray<number>): boolean =>
  shape.every((n, axis) => n === 1 || strides[axis] === NdArray.size(shape.slice(axis + 1)))

/** The elements of a tensor out of those of its storage. */
const viewed = <A extends Float32Array | Int32Array>(all: A, { offset, shape, strides }: TorchPickle.Described): A => {
  const count = NdArray.size(shape)
  if (isContiguous(shape, strides)) {
    return (offset === 0 && count === all.length ? all : all.slice(offset, offset + count)) as A
  }
  const out = all.slice(0, count) as A
  for (let i = 0; i < count; i++) {
    let [rest, at] = [i, offset]
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (rest % shape[axis]!) * strides[axis]!
      rest = Math.floor(rest / shape[axis]!)
    }
    out[i] = all[at]!
  }
  return out
}

/** Whether a tensor lies within its storage, and has no more elements than that. */
const isWithin = ({ count, offset, shape, strides }: TorchPickle.Described): boolean => {
  if (shape.length !== strides.length) return false
  const size = NdArray.size(shape)
  if (size === 0) return offset <= count
  return size <= count && offset + shape.reduce((last, n, axis) => last + (n - 1) * strides[axis]!, 0) < count
}

/**
 * Reads the tensors of a file that `torch.save(model.state_dict(), file)` has written (PyTorch 1.6 and later): float32, float16 and
 * bfloat16 as float32, whole numbers as int32.
 *
 * Fails with a `RunFileError` where it is anything else: what it asks for is named, and never done.
 */
export const read = Effect.fnUntraced(function* (file: string) {
  const refuse = (reason: string) => new RunFileError({ file, reason })
  const size = yield* RegularFile.size(file)
  const handle = yield* Effect.mapError((yield* FileSystem.FileSystem).open(file), because(file))
  const start = yield* FileRange.read(handle, file, 0, Math.min(2, size))
  if (start[0] === 0x80) {
    return yield* refuse(
      "it is of PyTorch before 1.6, a bare pickle: where you trust it, write it again with a later PyTorch, " +
        "torch.save(torch.load(file), file), or as safetensors"
    )
  }
  if (start[0] !== 0x50 || start[1] !== 0x4b)
    return yield* refuse("it is no file of torch.save, which is a zip archive")
  const entries = yield* ZipEntries.read(handle, file, size)
  const main = entries.find(({ name }) => name.endsWith("/data.pkl") || name === "data.pkl")
  if (main === undefined)
    return yield* refuse("it is a zip archive without 'data.pkl': give one that torch.save has written")
  if (main.size > longestPickle)
    return yield* refuse(`its pickle has ${main.size} bytes, expected at most ${longestPickle}`)
  const root = main.name.slice(0, -"data.pkl".length)
  const bytesOf = (entry: ZipEntries.Entry) => FileRange.read(handle, file, entry.begin, entry.begin + entry.size)
  const places = new Map(entries.map((entry) => [entry.name, entry]))
  const order = places.get(`${root}byteorder`)
  if (order !== undefined && new TextDecoder().decode(yield* bytesOf(order)).trim() !== "little") {
    return yield* refuse("its numbers have the most significant byte first: write it on a machine of the usual order")
  }
  const described = yield* Effect.mapError(Effect.fromResult(TorchPickle.read(yield* bytesOf(main))), because(file))
  const storages = new Map<string, Float32Array | Int32Array>()
  const tensors = new Map<string, NdArray.NdArray>()
  for (const [name, tensor] of described) {
    const { count, elements, shape, storage } = tensor
    const entry = places.get(`${root}data/${storage}`)
    const bytes = count * TorchPickle.widths[elements]
    if (entry === undefined || entry.size !== bytes || !isWithin(tensor)) {
      const what = entry === undefined ? "is absent" : `has ${entry.size} bytes`
      return yield* refuse(
        `tensor '${name}' [${shape}] is of ${bytes} bytes of storage '${storage}', which ${what}: fetch it again`
      )
    }
    let all = storages.get(`${elements} ${storage}`)
    if (all === undefined) {
      all = elementsOf(elements, (yield* bytesOf(entry)).buffer)
      if (all === undefined) return yield* refuse(`tensor '${name}' has whole numbers of more than 32 bits`)
      storages.set(`${elements} ${storage}`, all)
    }
    const data = viewed(all, tensor)
    tensors.set(name, data instanceof Int32Array ? NdArray.int32(shape, data) : NdArray.float32(shape, data))
  }
  return tensors as ReadonlyMap<string, NdArray.NdArray>
}, Effect.scoped)
