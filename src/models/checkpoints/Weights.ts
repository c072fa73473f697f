/** The weights of a folder of the hub, in whichever of its files they are. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import { because, RunFileError } from "../../files/RunFileError.ts"
import * as SafetensorsFile from "../../files/tensors/SafetensorsFile.ts"
import * as TorchFile from "../../files/tensors/TorchFile.ts"

/** Named arrays, and the file that they are in, or that says in which they are. */
export interface Weights {
  readonly file: string
  readonly tensors: ReadonlyMap<string, NdArray.NdArray>
}

const Index = Schema.Struct({ weight_map: Schema.Record(Schema.String, Schema.String) })

const readFile = (file: string) =>
  file.endsWith(".safetensors")
    ? Effect.map(SafetensorsFile.read(file), ({ tensors }) => tensors)
    : TorchFile.read(file)

/** A file's parts, each of them a plain name beside it. */
const sharded = Effect.fnUntraced(function* (index: string) {
  const path = yield* Path.Path
  const { weight_map } = yield* JsonFile.read(index, Index)
  const names = Object.entries(weight_map)
  const tensors = new Map<string, NdArray.NdArray>()
  for (const shard of [...new Set(names.map(([, shard]) => shard))].sort()) {
    if (path.basename(shard) !== shard || shard === "" || shard === "..") {
      return yield* new RunFileError({ file: index, reason: `weight_map names '${shard}', which is no file beside it` })
    }
    const file = path.join(path.dirname(index), shard)
    const part = yield* readFile(file)
    const own = names.filter(([, at]) => at === shard).map(([name]) => name)
    for (const [name, array] of part) tensors.set(name, array)
    const missing = own.find((name) => !part.has(name))
    if (missing !== undefined) {
      const reason = `it has no tensor '${missing}', which ${path.basename(index)} says is there: fetch the files of one checkpoint`
      return yield* new RunFileError({ file, reason })
    }
  }
  return tensors
})

const single = ["model.safetensors", "pytorch_model.bin"] as const
const forms = single.flatMap((name) => [name, `${name}.index.json`])

/** Reads a folder's weights: `model.safetensors`, or its shards by their index, or else `pytorch_model.bin`, or its shards. */
export const read = Effect.fnUntraced(function* (folder: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  for (const name of forms) {
    const file = path.join(folder, name)
    if (!(yield* Effect.mapError(fs.exists(file), because(file)))) continue
    return { file, tensors: name.endsWith(".json") ? yield* sharded(file) : yield* readFile(file) }
  }
  const reason = `it has no weights; looked for ${forms.join(", ")}: fetch one of them into it`
  return yield* new RunFileError({ file: folder, reason })
})
