import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Result from "effect/Result"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import * as FileRange from "../FileRange.ts"
import * as RegularFile from "../RegularFile.ts"
import { because } from "../RunFileError.ts"
import * as Safetensors from "./Safetensors.ts"

/**
 * Reads a safetensors file, and of its tensors those that are needed, each at its place: a file may be larger than memory is.
 * `header` names them all. Fails with a `RunFileError` where it is no such file.
 */
export const read = Effect.fnUntraced(function* (
  file: string,
  needed: (tensor: Safetensors.Placed) => boolean = () => true
) {
  const size = yield* RegularFile.size(file)
  const handle = yield* Effect.mapError((yield* FileSystem.FileSystem).open(file), because(file))
  const fit = <A>(result: Result.Result<A, Safetensors.SafetensorsError>) =>
    Effect.mapError(Effect.fromResult(result), because(file))
  const length = yield* FileRange.read(handle, file, 0, Math.min(8, size))
  const declared = length.length < 8 ? 0n : new DataView(length.buffer).getBigUint64(0, true)
  const head = declared > BigInt(Safetensors.maxHeader) ? 9 : 8 + Number(declared)
  const found = yield* fit(Safetensors.header(yield* FileRange.read(handle, file, 0, Math.min(head, size)), size))
  const tensors = new Map<string, NdArray.NdArray>()
  for (const tensor of found.tensors.filter(needed)) {
    tensors.set(
      tensor.name,
      yield* fit(Safetensors.toArray(yield* FileRange.read(handle, file, tensor.begin, tensor.end), tensor))
    )
  }
  return { tensors, header: found }
}, Effect.scoped)
