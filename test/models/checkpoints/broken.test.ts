import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as NodeServices from "../../../src/files/NodeServices.ts"
import * as Safetensors from "../../../src/files/tensors/Safetensors.ts"
import * as EncoderFolder from "../../../src/models/checkpoints/EncoderFolder.ts"
import * as Classifier from "../../../src/models/encoders/Classifier.ts"
import * as Encoder from "../../../src/models/encoders/Encoder.ts"
import { live, pathOf, whole } from "../../support/encoders.ts"

type Json = { [key: string]: unknown }
type Tensors = Map<string, NdArray.NdArray>

const edited = (folder: string, edit: (json: Json) => void): void => {
  const file = join(folder, "config.json")
  const json = JSON.parse(readFileSync(file, "utf8"))
  edit(json)
  writeFileSync(file, JSON.stringify(json))
}
const set = (values: Json) => (folder: string) => edited(folder, (json) => void Object.assign(json, values))
const unset = (key: string) => (folder: string) => edited(folder, (json) => void delete json[key])
const weights = (edit: (tensors: Tensors) => void) => (folder: string) => {
  const file = join(folder, "model.safetensors")
  const tensors = new Map(Result.getOrThrow(Safetensors.decode(readFileSync(file))).tensors)
  edit(tensors)
  writeFileSync(file, Safetensors.encode([...tensors]))
}
const file = (name: string, content: string | Uint8Array) => (folder: string) =>
  writeFileSync(join(folder, name), content)
const without = (name: string) => (folder: string) => rmSync(join(folder, name))

const words = "bert.embeddings.word_embeddings.weight"

/** What is broken, of which folder, how, and what its error says. */
const cases: ReadonlyArray<readonly [what: string, of: string, broken: (folder: string) => void, says: RegExp]> = [
  ["no config.json", "bert", without("config.json"), /config\.json: there is no such file/],
  ["a config.json that is no JSON", "bert", file("config.json", "{ vocab"), /config\.json: line 1, column 3/],
  ["a config.json that is a list", "bert", file("config.json", "[]"), /it is not a JSON object/],
  [
    "no model_type",
    "bert",
    unset("model_type"),
    /it has no model_type; give an encoder of one of the families bert, roberta/
  ],
  [
    "an unknown model_type",
    "bert",
    set({ model_type: "gpt2" }),
    /model_type is "gpt2"; give an encoder of one of the families/
  ],
  ["a size that is absent", "bert", unset("hidden_size"), /config\.json: .*hidden_size/s],
  ["a size that is text", "bert", set({ num_hidden_layers: "two" }), /num_hidden_layers/],
  [
    "heads that do not divide",
    "bert",
    set({ num_attention_heads: 3 }),
    /hidden_size 8 is not a multiple of num_attention_heads 3/
  ],
  ["an unknown activation", "bert", set({ hidden_act: "mish" }), /hidden_act/],
  ["a decoder", "bert", set({ is_decoder: true }), /is_decoder/],
  ["relative positions in BERT", "bert", set({ position_embedding_type: "relative_key" }), /position_embedding_type/],
  [
    "padding beyond the vocabulary",
    "bert",
    set({ pad_token_id: 24 }),
    /pad_token_id 24 is no token of 24 \(vocab_size\)/
  ],
  ["an unknown term", "deberta", set({ pos_att_type: "c2p|p2p" }), /pos_att_type has 'p2p'; known are c2p and p2c/],
  ["an even window", "deberta-v2-conv", set({ conv_kernel_size: 4 }), /conv_kernel_size 4 is even/],
  ["labels that are not numbered", "bert", set({ id2label: { 1: "yes" } }), /id2label has '1' where 0 was expected/],
  [
    "no weights",
    "bert",
    without("model.safetensors"),
    /it has no weights; looked for model\.safetensors, .*pytorch_model\.bin/
  ],
  [
    "weights that are cut short",
    "bert",
    (folder) => {
      const path = join(folder, "model.safetensors")
      writeFileSync(path, readFileSync(path).subarray(0, 5000))
    },
    /model\.safetensors: safetensors, byte \d+: found .*expected the \d+ that the header declares/
  ],
  [
    "weights that are a page of the web",
    "bert",
    file("model.safetensors", "<!doctype html><html>not found"),
    /model\.safetensors: safetensors, byte 0/
  ],
  [
    "a pointer of Git LFS",
    "bert",
    file("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
    /model\.safetensors: safetensors, byte 0/
  ],
  [
    "fewer words than vocab_size",
    "bert",
    set({ vocab_size: 30 }),
    /word_embeddings\.weight is float32\[24, 8\], the configuration says float32\[30, 8\]/
  ],
  [
    "a layer too few",
    "bert",
    set({ num_hidden_layers: 3 }),
    /lacks bert\.encoder\.layer\.2\.attention\.self\.query\.weight/
  ],
  [
    "a layer too many",
    "bert",
    set({ num_hidden_layers: 1 }),
    /has also bert\.encoder\.layer\.1\..*give the weights that config\.json describes/
  ],
  [
    "a tensor that is absent",
    "bert",
    weights((tensors) => void tensors.delete("bert.encoder.layer.1.output.dense.bias")),
    /lacks bert\.encoder\.layer\.1\.output\.dense\.bias/
  ],
  [
    "weights that are whole numbers",
    "bert",
    weights((tensors) => void tensors.set(words, NdArray.int32([24, 8], new Int32Array(192)))),
    /word_embeddings\.weight is int32\[24, 8\]/
  ],
  [
    "another family's weights",
    "bert",
    set({ model_type: "roberta", pad_token_id: 1 }),
    /lacks roberta\.embeddings\.word_embeddings\.weight/
  ],
  [
    "a shard that is absent",
    "roberta-forms/shards",
    without("model-00002-of-00002.safetensors"),
    /model-00002-of-00002\.safetensors: there is no such file/
  ],
  [
    "a shard without what the index says",
    "roberta-forms/shards",
    (folder) =>
      cpSync(join(folder, "model-00001-of-00002.safetensors"), join(folder, "model-00002-of-00002.safetensors")),
    /has no tensor '.*', which model\.safetensors\.index\.json says is there/
  ],
  [
    "an index that leads outside",
    "roberta-forms/shards",
    file("model.safetensors.index.json", JSON.stringify({ weight_map: { x: "../../secret.safetensors" } })),
    /weight_map names '\.\.\/\.\.\/secret\.safetensors', which is no file beside it/
  ],
  [
    "a pytorch_model.bin that is cut short",
    "roberta-forms/torch",
    (folder) => {
      const path = join(folder, "pytorch_model.bin")
      writeFileSync(path, readFileSync(path).subarray(0, 9000))
    },
    /pytorch_model\.bin: it is no zip archive, or is cut short: fetch it again/
  ]
]

const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "broken-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

describe("a broken folder is an error that says what is wrong with which file", () => {
  for (const [what, of, broken, says] of cases) {
    it.live(what, () =>
      Effect.gen(function* () {
        const folder = yield* scratch
        cpSync(pathOf(of), folder, { recursive: true })
        broken(folder)
        const { _tag, message } = yield* Effect.flip(EncoderFolder.read(folder))
        assert.strictEqual(_tag, "RunFileError")
        assert.include(message, folder)
        assert.match(message, says)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }

  const heads: ReadonlyArray<readonly [string, string, (folder: string) => void, RegExp]> = [
    [
      "no masked head",
      "bert/classifier",
      () => {},
      /lacks cls\.predictions\.transform\.dense\.weight.*or ask for a new head by name \(MaskedHead\.init\)/
    ],
    [
      "a masked head that lost its dense layer",
      "roberta",
      weights((tensors) => void tensors.delete("lm_head.dense.weight")),
      /lacks lm_head\.dense\.weight/
    ],
    [
      "an untied head without its table",
      "bert-untied",
      weights((tensors) => void tensors.delete("cls.predictions.decoder.weight")),
      /lacks cls\.predictions\.decoder\.weight/
    ]
  ]
  for (const [what, of, broken, says] of heads) {
    it.live(what, () =>
      Effect.gen(function* () {
        const folder = yield* scratch
        cpSync(pathOf(of), folder, { recursive: true })
        broken(folder)
        const read = yield* EncoderFolder.read(folder)
        assert.match((yield* Effect.flip(EncoderFolder.masked(read))).message, says)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }

  it.live("no classifier, or one for other labels, or no pooler", () =>
    Effect.gen(function* () {
      const folder = yield* scratch
      const masked = yield* EncoderFolder.read(pathOf("deberta"))
      assert.match(
        (yield* Effect.flip(EncoderFolder.classifier(masked))).message,
        /lacks pooler\.dense\.weight.*Classifier\.init/
      )
      const bert = yield* EncoderFolder.read(pathOf("bert"))
      assert.match((yield* Effect.flip(EncoderFolder.pooler(bert))).message, /it has no pooler/)
      cpSync(pathOf("bert/classifier"), folder, { recursive: true })
      set({ id2label: { 0: "a", 1: "b" } })(folder)
      const two = yield* EncoderFolder.read(folder)
      const { message } = yield* Effect.flip(EncoderFolder.classifier(two))
      assert.match(message, /classifier\.weight is float32\[3, 8\], the configuration says float32\[2, 8\]/)
      assert.throws(() => Classifier.init(bert.config, 0), /0 labels; give a whole number from 1/)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("rows that are longer than positions, and types or a mask of another shape", () =>
    Effect.gen(function* () {
      for (const [name, most] of [
        ["bert", 12],
        ["roberta", 12],
        ["deberta-biased", 12]
      ] as const) {
        const { config, encoder } = yield* whole(name)
        tf.tidy(() => {
          const params = live(encoder)
          const ids = (t: number): tf.Tensor2D => tf.ones([1, t], "int32")
          assert.throws(
            () => Encoder.encode(config, params, { ids: ids(most + 1) }),
            `${most + 1} tokens, but the encoder has positions for ${most}: cut rows`
          )
          assert.throws(
            () => Encoder.encode(config, params, { ids: ids(3), mask: ids(4) }),
            "ids are [1,3] and mask [1,4]: give one for each token"
          )
        })
      }
    })
  )
})
