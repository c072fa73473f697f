import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Tree from "../../../src/dsl/values/Tree.ts"
import * as NodeServices from "../../../src/files/NodeServices.ts"
import * as Safetensors from "../../../src/files/tensors/Safetensors.ts"
import * as EncoderFolder from "../../../src/models/checkpoints/EncoderFolder.ts"
import * as Classifier from "../../../src/models/encoders/Classifier.ts"
import * as Encoder from "../../../src/models/encoders/Encoder.ts"
import * as MaskedHead from "../../../src/models/encoders/MaskedHead.ts"
import { names, pathOf, whole } from "../../support/encoders.ts"

const oracle = fileURLToPath(new URL("../../support/oracles/encoders.py", import.meta.url))

const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "encoder-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const tensorsOf = (folder: string) =>
  Result.getOrThrow(Safetensors.decode(readFileSync(join(folder, "model.safetensors")))).tensors

const live = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices | Scope.Scope>) =>
  Effect.scoped(Effect.provide(effect, NodeServices.layer))

/** Writes both of a family's folders as they were read. */
const rewritten = Effect.fnUntraced(function* (root: string, name: string) {
  const { classifier, classifying, config, encoder, masked } = yield* whole(name)
  yield* EncoderFolder.write(join(root, name, "masked"), { config, encoder, head: { masked } })
  const written = { config: classifying.config, encoder: classifying.encoder, head: { classifier } }
  yield* EncoderFolder.write(join(root, name, "classifier"), written)
})

/** A head's name in transformers, for that which Microsoft gives it. */
const legacy = (name: string): string =>
  name
    .replace("lm_predictions.lm_head.bias", "cls.predictions.bias")
    .replace("lm_predictions.lm_head", "cls.predictions.transform")

describe("EncoderFolder", () => {
  for (const name of names) {
    it.live(`${name}: what is written has the tensors, the names and the sizes that transformers wrote`, () =>
      live(
        Effect.gen(function* () {
          const root = yield* scratch
          yield* rewritten(root, name)
          for (const [part, from] of [
            ["masked", pathOf(name)],
            ["classifier", pathOf(`${name}/classifier`)]
          ] as const) {
            const folder = join(root, name, part)
            const [got, want] = [tensorsOf(folder), tensorsOf(from)]
            const renamed = new Map(Array.from(got, ([key, array]) => [want.has(key) ? key : legacy(key), array]))
            assert.sameMembers([...renamed.keys()], [...want.keys()])
            for (const [key, array] of want) {
              // Of the two biases of an untied head the decoder's is computed with, and is written twice.
              const other = key === "cls.predictions.bias" ? want.get("cls.predictions.decoder.bias") : undefined
              assert.deepStrictEqual(renamed.get(key), other ?? array, key)
            }
            const [now, before] = [folder, from].map((path) =>
              JSON.parse(readFileSync(join(path, "config.json"), "utf8"))
            )
            for (const key of Object.keys(before)) {
              if (key !== "dtype" && key !== "legacy") assert.deepStrictEqual(now[key], before[key], key)
            }
            assert.strictEqual(now.torch_dtype, "float32")
          }
        })
      )
    )
  }

  const python = process.env["TAPWEIGHT_TRANSFORMERS"]
  it.live.skipIf(python === undefined)("transformers loads what is written, and computes the same", () =>
    live(
      Effect.gen(function* () {
        const root = yield* scratch
        for (const name of names) yield* rewritten(root, name)
        const { status, stderr, stdout } = spawnSync(python!, [oracle, "check", root], { encoding: "utf8" })
        assert.strictEqual(status, 0, stderr.slice(-2000))
        process.stdout.write(stdout)
      })
    )
  )

  it.live("labels are named, and the tokenizer's files come along", () =>
    live(
      Effect.gen(function* () {
        const root = yield* scratch
        const { classifier, classifying, encoder } = yield* whole("bert")
        mkdirSync(join(root, "from"))
        writeFileSync(join(root, "from", "vocab.txt"), "[PAD]\n")
        const head = { classifier, labels: ["no", "maybe", "yes"] }
        const { config } = classifying
        yield* EncoderFolder.write(join(root, "to"), { config, encoder, head, tokenizer: join(root, "from") })
        assert.sameMembers(readdirSync(join(root, "to")), ["config.json", "model.safetensors", "vocab.txt"])
        assert.deepStrictEqual((yield* EncoderFolder.read(join(root, "to"))).config.labels, head.labels)
        const two = { ...head, labels: ["no", "yes"] }
        const exit = yield* Effect.exit(EncoderFolder.write(join(root, "x"), { config, encoder, head: two }))
        assert.match(`${exit._tag === "Failure" ? exit.cause : ""}`, /2 labels are named, the head has 3: name each/)
      })
    )
  )

  it.live("a new encoder of every family starts as it says, differs by seed, and is written and read", () =>
    live(
      Effect.gen(function* () {
        const root = yield* scratch
        for (const name of names) {
          const { config } = yield* whole(name)
          const encoder = Encoder.init(config)(Seed.make(1))
          const other = Tree.hostEntries(Encoder.init(config)(Seed.make(2)))
          for (const [i, [path, array]] of Tree.hostEntries(encoder).entries()) {
            const constant = array.data.every((x) => x === array.data[0])
            if (!constant) assert.notDeepEqual(other[i]![1].data, array.data, path)
            assert.strictEqual(constant, /(^|\.)(b|bias|scale|offset)$/.test(path), path)
          }
          const { words } = encoder.embeddings
          assert.isTrue(NdArray.rows(words, [config.padding]).data.every((x) => x === 0))
          const masked = MaskedHead.init(config)(Seed.make(3))
          yield* EncoderFolder.write(join(root, name), { config, encoder, head: { masked } })
          const again = yield* EncoderFolder.read(join(root, name))
          assert.deepStrictEqual(again.encoder, encoder)
          assert.deepStrictEqual(yield* EncoderFolder.masked(again), masked)
        }
      })
    )
  )

  it.live("float16, bfloat16, shards, and PyTorch's own files give what model.safetensors gives", () =>
    live(
      Effect.gen(function* () {
        const want = yield* whole("roberta")
        for (const form of ["half", "brain", "shards", "torch", "torch-shards"]) {
          const got = yield* EncoderFolder.read(pathOf(`roberta-forms/${form}`))
          const bits = form === "half" ? 2 ** -10 : form === "brain" ? 2 ** -7 : 0
          const others = Tree.hostEntries(got.encoder)
          for (const [i, [path, { data }]] of Tree.hostEntries(want.encoder).entries()) {
            const other = others[i]![1].data
            data.forEach((x, j) => assert.isAtMost(Math.abs(other[j]! - x), bits * (Math.abs(x) + 1e-4), path))
          }
          yield* EncoderFolder.masked(got)
        }
      })
    )
  )

  it.live("gamma and beta of old checkpoints, names without a prefix, and BERT's pooler are read", () =>
    live(
      Effect.gen(function* () {
        const root = yield* scratch
        const want = yield* whole("bert")
        cpSync(pathOf("bert"), root, { recursive: true })
        const saved = (from: string, renamed: (name: string) => string): void => {
          const tensors = [...tensorsOf(pathOf(from))].map(([name, array]) => [renamed(name), array] as const)
          writeFileSync(join(root, "model.safetensors"), Safetensors.encode(tensors))
        }
        saved("bert", (name) =>
          name.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/Norm\.bias$/, "Norm.beta")
        )
        const old = yield* EncoderFolder.read(root)
        assert.deepStrictEqual(old.encoder, want.encoder)
        assert.deepStrictEqual(yield* EncoderFolder.masked(old), want.masked)
        saved("bert/classifier", (name) => name.replace(/^bert\./, ""))
        const bare = yield* EncoderFolder.read(root)
        assert.deepStrictEqual(bare.encoder, want.classifying.encoder)
        const pooler = yield* EncoderFolder.pooler(bare)
        assert.deepStrictEqual(pooler, want.classifier.dense)
        assert.deepStrictEqual(Classifier.init(want.config, 4)(Seed.make(1)).out.w.shape, [8, 4])
        yield* EncoderFolder.write(join(root, "out"), { ...bare, head: { pooler } })
        assert.deepStrictEqual(yield* EncoderFolder.pooler(yield* EncoderFolder.read(join(root, "out"))), pooler)
      })
    )
  )

  it.live(
    "what published files have beside an encoder is passed over, and an output embedding decides whether a head is tied",
    () =>
      live(
        Effect.gen(function* () {
          const root = yield* scratch
          const saved = (from: string, beside: { readonly [name: string]: NdArray.NdArray }): void => {
            cpSync(pathOf(from), root, { recursive: true })
            const tensors = [...tensorsOf(pathOf(from)), ...Object.entries(beside)]
            writeFileSync(join(root, "model.safetensors"), Safetensors.encode(tensors))
          }
          const zeros = (...shape: ReadonlyArray<number>): NdArray.NdArray =>
            NdArray.float32(shape, new Float32Array(NdArray.size(shape)))
          // As DeBERTa v3 large is published: the discriminator's head, a copy of the words, positions of the mask decoder.
          saved("deberta-v2", {
            "mask_predictions.dense.weight": zeros(8, 8),
            "deberta.embeddings.word_embeddings._weight": zeros(24, 8),
            "deberta.embeddings.position_embeddings.weight": zeros(512, 8)
          })
          const v3 = yield* whole("deberta-v2")
          const read = yield* EncoderFolder.read(root)
          assert.deepStrictEqual(read.encoder, v3.encoder)
          assert.deepStrictEqual(yield* EncoderFolder.masked(read), v3.masked)
          const bert = yield* whole("bert")
          const ids = NdArray.int32(
            [1, 12],
            Int32Array.from({ length: 12 }, (_, i) => i)
          )
          const decoder = (array: NdArray.NdArray) => ({
            "cls.predictions.decoder.weight": array,
            "bert.embeddings.position_ids": ids
          })
          saved("bert", decoder(bert.encoder.embeddings.words))
          assert.isUndefined((yield* EncoderFolder.masked(yield* EncoderFolder.read(root))).decoder)
          saved("bert", decoder(zeros(24, 8)))
          assert.deepStrictEqual(
            (yield* EncoderFolder.masked(yield* EncoderFolder.read(root))).decoder,
            zeros(24, 8) as never
          )
        })
      )
  )
})
