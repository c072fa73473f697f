import * as Effect from "effect/Effect"
import { JsonFile, type NdArray, type ResNet, Safetensors, SafetensorsFile, TorchNames } from "tapweight"

/** A trained encoder: its parameters, and the running statistics of its batch normalisation. */
export type Encoder = TorchNames.Network

/**
 * An encoder from a safetensors file under torchvision's names, ImageMol's way of numbering them included. Fails with a
 * `RunFileError` where the file is no such file, or holds a network of another shape: which tensors, and what to change.
 */
export const read = Effect.fnUntraced(function* (file: string, network: ResNet.Config) {
  const shapes = TorchNames.shapes(network)
  const { header, tensors: read } = yield* SafetensorsFile.read(file, ({ shape }) => shapes.has(shape.join()))
  // What the network has no place for is described, and not read.
  const tensors = new Map<string, NdArray.NdArray>(
    header.tensors.map(({ dtype, name, shape }) => [
      name,
      read.get(name) ?? { dtype: dtype === "F32" ? "float32" : "int32", shape, data: new Float32Array() }
    ])
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
