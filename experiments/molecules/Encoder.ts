import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { JsonFile, type ResNet, Safetensors, TorchNames } from "tapweight"

/** A trained encoder: its parameters, and the running statistics of its batch normalisation. */
export type Encoder = TorchNames.Network

/**
 * An encoder from a safetensors file under torchvision's names, ImageMol's way of numbering them included. Fails with a
 * `RunFileError` where the file is no such file, or holds a network of another shape: which tensors, and what to change.
 */
export const read = Effect.fnUntraced(function* (file: string, network: ResNet.Config) {
  const fs = yield* FileSystem.FileSystem
  const bytes = yield* Effect.mapError(fs.readFile(file), JsonFile.because(file))
  const { tensors } = yield* Effect.mapError(
    Effect.fromResult(Safetensors.decode(Uint8Array.from(bytes))),
    JsonFile.because(file)
  )
  const { unused, ...found } = yield* Effect.mapError(
    Effect.fromResult(TorchNames.decode(tensors, network)),
    JsonFile.because(file)
  )
  yield* Effect.logInfo(
    `encoder read from ${file}${unused.length === 0 ? "" : `, without ${unused.slice(0, 8).join(", ")}${unused.length > 8 ? ", …" : ""}`}`
  )
  return found as Encoder
})

/** Writes an encoder so that {@link read} and torchvision can read it. */
export const write = (file: string, encoder: Encoder) =>
  JsonFile.replace(file, Safetensors.encode(TorchNames.encode(encoder)))
