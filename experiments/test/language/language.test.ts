import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Effect from "effect/Effect"
import { Encoder, EncoderFolder, MaskedHead, NodeServices, Seed } from "tapweight"
import { Exit } from "tapweight/cli"
import { tapweight } from "../../../test/support/commandLine.ts"
import { config } from "../support/language.ts"

let scratch = ""
const vectors = fileURLToPath(new URL("vectors/wordpiece", import.meta.url))
const kinds = { good: ["fine", "happy", "new", "best"], bad: ["old", "war", "death", "lost"] } as const
const words = ["the", "of", "house", "man", "time", "city", "work", "people", "state", "water"]

/** A sentence with a word of its kind. */
const sentence = (kind: keyof typeof kinds, i: number): string => {
  const at = Seed.integers(Seed.fold(Seed.make(i), kind), 7, 10)
  return [...Array.from(at, (j) => words[j]!), kinds[kind][i % 4]!].join(" ")
}

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "tapweight-language-"))
  const encoder = Encoder.init(config)(Seed.make(1))
  const head = { masked: MaskedHead.init(config)(Seed.make(2)) }
  const written = EncoderFolder.write(join(scratch, "encoder"), { config, encoder, head, tokenizer: vectors })
  await Effect.runPromise(Effect.provide(written, NodeServices.layer))
  const rows = Array.from({ length: 60 }, (_, i) => {
    const kind = i % 2 === 0 ? "good" : "bad"
    return `${sentence(kind, i)}\t${kind}`
  })
  writeFileSync(join(scratch, "rows.tsv"), `text\tlabel\n${rows.join("\n")}\n`)
  const lines = Array.from({ length: 40 }, (_, i) => `${sentence("good", 100 + i)}${i % 4 === 3 ? "\n" : ""}`)
  writeFileSync(join(scratch, "corpus.txt"), `${lines.join("\n")}\n`)
  const schema = {
    name: "moods",
    about: "made",
    text: "text",
    label: "label",
    labels: ["good", "bad"],
    metric: "accuracy",
    files: { train: "rows.tsv" }
  }
  writeFileSync(join(scratch, "moods.json"), JSON.stringify(schema))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const tiny = {
  ticks: 4,
  seeds: 1,
  vocabulary: 600,
  labels: { train: 12, validation: 6, test: null },
  length: { pretrain: 16, task: 16 },
  batch: { pretrain: 4, finetune: 4, reweight: 6, solve: 12 },
  heads: { ticks: 2, rate: 3e-3 },
  warmup: 1,
  every: 2,
  window: 2,
  draws: 1,
  finetuneTicks: 2,
  scoreEvery: 1,
  finetunings: ["free", "frozen"],
  frozen: { ticks: 3, rate: 0.03, penalty: 0.1 },
  corpora: ["task", "corpus.txt"],
  pairs: "neighbours",
  objectives: ["mlm", "order"],
  methods: ["finetune", "tapt", "random", "tapweight", "solved-final"],
  keep: ["tapweight"]
}

describe("tapweight run language", () => {
  it("goes from a folder, text and a task to a table, learned weights and a folder", async () => {
    writeFileSync(join(scratch, "tiny.json"), JSON.stringify(tiny))
    const run = (...args: ReadonlyArray<string>) =>
      tapweight(["run", "language", "--config", "tiny.json", "-s", 'tasks=["moods.json"]', ...args], { cwd: scratch })
    const first = await run("--into", "made", "--format", "json", "--quiet")
    assert.strictEqual(first.code, Exit.codes.done, first.err)
    const { result } = JSON.parse(first.out) as {
      readonly result: {
        readonly objectives: ReadonlyArray<string>
        readonly failures: ReadonlyArray<unknown>
        readonly rows: ReadonlyArray<{
          readonly method: string
          readonly scores: ReadonlyArray<{ readonly finetuning: string; readonly test: number }>
          readonly lambda: { readonly [objective: string]: number } | null
        }>
        readonly averages: ReadonlyArray<{ readonly method: string; readonly lambda: ReadonlyArray<number> }>
      }
    }
    assert.deepStrictEqual(result.failures, [])
    assert.deepStrictEqual(result.objectives, ["mlm-task", "mlm-corpus-txt", "order"])
    assert.deepStrictEqual(
      result.rows.map(({ method }) => method),
      tiny.methods
    )
    for (const { lambda, method, scores } of result.rows) {
      assert.deepStrictEqual(
        scores.map(({ finetuning }) => finetuning),
        tiny.finetunings
      )
      for (const { test } of scores) assert.isTrue(test >= 0 && test <= 1, method)
      if (lambda === null) continue
      assert.deepStrictEqual(Object.keys(lambda), result.objectives)
      assert.approximately(
        Object.values(lambda).reduce((sum, share) => sum + share, 0),
        1,
        1e-6
      )
    }
    const learned = result.rows.find(({ method }) => method === "tapweight")!.lambda!
    assert.isTrue(Object.values(learned).some((share) => Math.abs(share - 1 / 3) > 1e-3))
    assert.deepStrictEqual(
      result.averages.map(({ method }) => method),
      ["tapweight"]
    )
    // The adapted encoder has all tokens again, its head, and a tokenizer.
    const folder = join(scratch, "made/trials/moods/seed-1/tapweight/pretrain/encoder")
    const adapted = await Effect.runPromise(
      Effect.provide(
        Effect.gen(function* () {
          const read = yield* EncoderFolder.read(folder)
          return { read, head: yield* EncoderFolder.masked(read) }
        }),
        NodeServices.layer
      )
    )
    assert.strictEqual(adapted.read.config.vocabulary, config.vocabulary)
    assert.deepStrictEqual(readFileSync(join(folder, "tokenizer.json")), readFileSync(join(vectors, "tokenizer.json")))
    assert.match(readFileSync(join(folder, "README.md"), "utf8"), /moods.*tapweight/s)
  }, 600_000)

  it("tries fixed weightings beside those that it learns, and counts what each has cost", async () => {
    const methods = ["simcse", "bilevel", "corner", "grid", "tapweight", "final"]
    const own = {
      ...tiny,
      corpora: ["task"],
      objectives: ["mlm", "contrast"],
      grid: 2,
      methods,
      finetunings: ["frozen"]
    }
    writeFileSync(join(scratch, "fixed.json"), JSON.stringify({ ...own, tasks: ["moods.json"], keep: [] }))
    const run = (program: string) =>
      tapweight(["run", program, "--config", "fixed.json", "--format", "json", "--quiet"], { cwd: scratch })
    const made = await run("language")
    assert.strictEqual(made.code, Exit.codes.done, made.err)
    const { result } = JSON.parse(made.out) as {
      readonly result: {
        readonly rows: ReadonlyArray<{
          readonly method: string
          readonly pretraining: string
          readonly scores: ReadonlyArray<{ readonly validation: number }>
          readonly seconds: { readonly pretraining: number }
          readonly updates: { readonly pretraining: number }
          readonly lambda: { readonly mlm: number; readonly contrast: number } | null
        }>
      }
    }
    const of = (method: string) => result.rows.find((row) => row.method === method)!
    const validation = (method: string) => of(method).scores[0]!.validation
    const [corner, grid, learned, final] = [of("corner"), of("grid"), of("tapweight"), of("final")]
    assert.include([0, 1], corner.lambda!.mlm)
    assert.include([0, 0.5, 1], grid.lambda!.mlm)
    // Corners are points of the grid, so that its best is no worse; where that is a corner, the score is that corner's.
    assert.isAtLeast(validation("grid"), validation("corner"))
    if (grid.lambda!.mlm === corner.lambda!.mlm) assert.strictEqual(validation("grid"), validation("corner"))
    assert.match(of("simcse").pretraining, /simcse/)
    assert.deepStrictEqual(final.lambda, learned.lambda)
    for (const { lambda } of [of("bilevel"), learned]) {
      assert.approximately(lambda!.mlm + lambda!.contrast, 1, 1e-6)
      assert.notStrictEqual(lambda!.mlm, 0.5)
    }
    const updates = { simcse: 1, bilevel: 1, corner: 2, grid: 3, tapweight: 1, final: 2 }
    for (const [method, times] of Object.entries(updates))
      assert.strictEqual(of(method).updates.pretraining, times * tiny.ticks, method)
    assert.isAbove(final.seconds.pretraining, learned.seconds.pretraining)
    // The landscape has none, equal weights, corners and points half-way to them, on validation rows alone.
    const landscape = await run("language-landscape")
    assert.strictEqual(landscape.code, Exit.codes.done, landscape.err)
    const { rows } = (JSON.parse(landscape.out) as { readonly result: typeof result }).result
    assert.deepStrictEqual(
      rows.map(({ method }) => method),
      ["none", "equal", "mlm-only", "contrast-only", "mlm-mostly", "contrast-mostly"]
    )
    const best = Math.max(
      ...rows.flatMap(({ method, scores }) => (method.endsWith("-only") ? [scores[0]!.validation] : []))
    )
    assert.strictEqual(best, validation("corner"))
    for (const { scores } of rows) assert.isFalse("test" in scores[0]!)
  }, 600_000)

  it("says what a table takes at the paper's scale, and the command that runs that table", async () => {
    const args = ["reproduce", "table3", "--encoder", "encoder", "--data", ".", "--scale", "paper", "--seeds", "5"]
    const { code, err, out } = await tapweight(args, { cwd: scratch })
    assert.strictEqual(code, Exit.codes.done, err)
    assert.match(out, /bert, 1 layers of 8/)
    const [, run] = /to run it: tapweight (.*)/.exec(out)!
    assert.match(run!, /^run language --preset paper .*-s 'methods=\["finetune","tapt","simcse","equal","tapweight"\]'/)
    assert.match(run!, /-s seeds=5 .*-s 'tasks=\["rct","ag-news","imdb"\]' -s 'corpora=\["CORPUS"\]'$/)
    const own = await tapweight([...args, "-s", 'corpora=["wiki.txt"]', "--sets", "imdb"], { cwd: scratch })
    assert.match(own.out, /-s 'corpora=\["wiki.txt"\]'$/m)
    assert.notMatch(own.out, /CORPUS/)
    assert.strictEqual(own.out.match(/tasks=/g)?.length, 1)
  })

  it("says what is wrong with what it is given", async () => {
    const run = async (...settings: ReadonlyArray<string>) => {
      const args = settings.flatMap((setting) => ["-s", setting])
      return tapweight(["run", "language", "--config", "tiny.json", "-s", 'tasks=["moods.json"]', ...args], {
        cwd: scratch
      })
    }
    const none = await run("encoder=nowhere")
    assert.strictEqual(none.code, Exit.codes.refused, none.err)
    assert.match(none.err, /nowhere\/config\.json/)
    const alone = await run('corpora=["task"]')
    assert.match(alone.err, /no document of it has two sentences.*'order'.*pairs=halves/s)
    const short = await run("ticks=2")
    assert.strictEqual(short.code, Exit.codes.usage, short.err)
    assert.match(short.err, /λ does not move in 2 ticks/)
  })
})
