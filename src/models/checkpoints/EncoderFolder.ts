/** Encoders as folders of the hub: `config.json`, weights, and a tokenizer's files beside them. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as Result from "effect/Result"
import * as JsonFile from "../../files/JsonFile.ts"
import { because } from "../../files/RunFileError.ts"
import * as Safetensors from "../../files/tensors/Safetensors.ts"
import * as Classifier from "../encoders/Classifier.ts"
import * as Encoder from "../encoders/Encoder.ts"
import * as EncoderConfig from "../encoders/EncoderConfig.ts"
import * as MaskedHead from "../encoders/MaskedHead.ts"
import * as StateDict from "../encoders/StateDict.ts"
import * as Weights from "./Weights.ts"

/** A folder that was read: the encoder, and what is asked for heads ({@link masked}, {@link classifier}, {@link pooler}). */
export interface EncoderFolder {
  readonly folder: string
  readonly config: EncoderConfig.EncoderConfig
  readonly encoder: Encoder.HostParams
  /** The file of the weights, and all that it holds. */
  readonly file: string
  readonly dict: StateDict.StateDict
}

const fit = <A, E extends { readonly message: string }>(file: string, result: Result.Result<A, E>) =>
  Effect.mapError(Effect.fromResult(result), because(file))

/**
 * Reads an encoder: `config.json` and the weights of `model.safetensors` (float32, float16 or bfloat16, in one file or in shards) or
 * `pytorch_model.bin`. The computation is in float32.
 *
 * Fails with a `RunFileError` that names the file: what is missing, cut short, of another shape than `config.json` says, or of a
 * family that is not known.
 */
export const read = Effect.fnUntraced(function* (folder: string) {
  const path = yield* Path.Path
  const at = path.join(folder, "config.json")
  const config = yield* fit(at, EncoderConfig.decode(yield* JsonFile.readJson(at)))
  const { file, tensors } = yield* Weights.read(folder)
  const dict = StateDict.make(config, tensors)
  const encoder = yield* fit(file, Encoder.decode(config, dict))
  return { folder, config, encoder, file, dict } satisfies EncoderFolder
})

/** The folder's head for masked tokens. Fails where it has none: `MaskedHead.init` makes a new one. */
export const masked = ({ config, dict, file }: EncoderFolder) => fit(file, MaskedHead.decode(config, dict))

/** The folder's classifier. Fails where it has none: `Classifier.init` makes a new one. */
export const classifier = ({ config, dict, file }: EncoderFolder) => fit(file, Classifier.decode(config, dict))

/** BERT's pooler, to start a classifier from. Fails where the folder has none. */
export const pooler = ({ config, dict, file }: EncoderFolder) => fit(file, Classifier.pooler(config, dict))

/** What is written: an encoder, one head at most, and where its tokenizer's files are copied from. */
export interface Written {
  readonly config: EncoderConfig.EncoderConfig
  readonly encoder: Encoder.HostParams
  readonly head?:
    | { readonly masked: MaskedHead.HostParams }
    | { readonly classifier: Classifier.HostParams; readonly labels?: ReadonlyArray<string> }
    | { readonly pooler: Classifier.HostParams["dense"] }
  readonly tokenizer?: string
}

const classes = { bert: "Bert", roberta: "Roberta", deberta: "Deberta", "deberta-v2": "DebertaV2" } as const

const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "spm.model",
  "special_tokens_map.json",
  "added_tokens.json"
]

/** What `config.json` says of the head. */
const describing = ({ config, head }: Written): { readonly [key: string]: unknown } => {
  const name = classes[config.family]
  if (head === undefined || "pooler" in head) return { architectures: [`${name}Model`] }
  if ("masked" in head) {
    const { masked } = head
    const deberta = config.family === "deberta" || config.family === "deberta-v2"
    return {
      architectures: [`${name}ForMaskedLM`],
      tie_word_embeddings: masked.decoder === undefined,
      ...(deberta ? { legacy: !MaskedHead.isMicrosofts(config, masked) } : {})
    }
  }
  const count = head.classifier.out.b.shape[0]!
  const {
    labels = config.labels.length === count ? config.labels : Array.from({ length: count }, (_, i) => `LABEL_${i}`)
  } = head
  if (labels.length !== count) {
    throw new RangeError(`EncoderFolder.write: ${labels.length} labels are named, the head has ${count}: name each`)
  }
  return {
    architectures: [`${name}ForSequenceClassification`],
    num_labels: count,
    id2label: Object.fromEntries(labels.map((label, i) => [`${i}`, label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i]))
  }
}

const namedHead = ({ config, head }: Written) => {
  if (head === undefined) return []
  if ("masked" in head) return MaskedHead.named(config, head.masked)
  return "classifier" in head ? Classifier.named(config, head.classifier) : Classifier.namedPooler(config, head.pooler)
}

/**
 * Writes an encoder as a folder that transformers loads: `config.json` as it was read, with what is new about heads and labels;
 * `model.safetensors` in float32; and the tokenizer's files of another folder. What is there by these names is replaced.
 */
export const write = Effect.fnUntraced(function* (folder: string, written: Written) {
  const { config, encoder, tokenizer } = written
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), because(folder))
  const bytes = Safetensors.encode(
    [...Encoder.named(config, encoder, StateDict.prefixOf(config)), ...namedHead(written)],
    { format: "pt" }
  )
  yield* JsonFile.replace(path.join(folder, "model.safetensors"), bytes)
  if (tokenizer !== undefined) {
    for (const name of tokenizerFiles) {
      const from = path.join(tokenizer, name)
      if (!(yield* Effect.mapError(fs.exists(from), because(from)))) continue
      yield* JsonFile.replace(path.join(folder, name), yield* Effect.mapError(fs.readFile(from), because(from)))
    }
  }
  // Last, so that a folder with a configuration is whole.
  const { dtype: _, ...json } = config.json
  const text = JSON.stringify({ ...json, torch_dtype: "float32", ...describing(written) }, null, 2)
  yield* JsonFile.replace(path.join(folder, "config.json"), new TextEncoder().encode(`${text}\n`))
})
