/** Tiny encoders of all families as transformers has written them, and what it computes with them (oracles/encoders.py). */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as NodeServices from "../../src/files/NodeServices.ts"
import * as Safetensors from "../../src/files/tensors/Safetensors.ts"
import * as EncoderFolder from "../../src/models/checkpoints/EncoderFolder.ts"

/** The folders of the oracle. */
export const names = [
  "bert",
  "bert-untied",
  "roberta",
  "deberta",
  "deberta-biased",
  "deberta-v2",
  "deberta-v2-conv"
] as const

export const pathOf = (name: string): string => fileURLToPath(new URL(`oracles/encoders/${name}`, import.meta.url))

/** Inputs, and what transformers gives for them. */
export const expected = (name: string): ReadonlyMap<string, NdArray.NdArray> =>
  Result.getOrThrow(Safetensors.decode(readFileSync(pathOf(`${name}/expected.safetensors`)))).tensors

/** A folder with its two heads. */
export const whole = Effect.fnUntraced(function* (name: string) {
  const folder = yield* EncoderFolder.read(pathOf(name))
  const masked = yield* EncoderFolder.masked(folder)
  const classifying = yield* EncoderFolder.read(pathOf(`${name}/classifier`))
  const classifier = yield* EncoderFolder.classifier(classifying)
  return { ...folder, masked, classifying, classifier }
}, Effect.provide(NodeServices.layer))

export const toTensor = ({ data, dtype, shape }: NdArray.NdArray): tf.Tensor => tf.tensor(data, [...shape], dtype)

/** A host tree as tensors. */
export const live = <H extends Tree.HostTree>(tree: H): Tree.Live<H> => Tree.toLive(tree, toTensor)

export const toHost = (tensor: tf.Tensor): NdArray.NdArray => ({
  dtype: "float32",
  shape: tensor.shape,
  data: tensor.dataSync<"float32">().slice()
})

/** The difference's length over the expected one's. */
export const relative = (got: ArrayLike<number>, want: ArrayLike<number>): number => {
  if (got.length !== want.length) return Number.NaN
  let [difference, norm] = [0, 0]
  for (let i = 0; i < want.length; i++) {
    difference += (got[i]! - want[i]!) ** 2
    norm += want[i]! ** 2
  }
  return Math.sqrt(difference / (norm || 1))
}
