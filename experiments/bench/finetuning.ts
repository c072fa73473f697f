// A published checkpoint finetuned here and by PyTorch with transformers: same rows, same head, same batches, dropout off.
//   node --conditions=tapweight-source experiments/bench/finetuning.ts FOLDER DATA PYTHON [TASKS] [STEPS] [SEEDS] [ENGINE] [RATE] [TESTED]
// FOLDER is all-MiniLM-L6-v2's, DATA has glue/ and text/. Sides take turns, each on one thread. Of each task: how far apart the losses of
// the first 20 steps are, the scores after STEPS, a step's time, by the wall and by the processor, and how far apart the logits of the test
// texts are where transformers has loaded the folder that was written here after the training.
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type * as tf from "@tensorflow/tfjs-core"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import {
  Classifier,
  Dataset,
  Encoder,
  EncoderFolder,
  Level,
  NdArray,
  NodeServices,
  Objective,
  Optimizer,
  Problem,
  Run,
  Safetensors,
  Seed,
  Statistics,
  Var
} from "tapweight"
import { Options } from "tapweight/cli"
import * as LengthBuckets from "../language/tokenizers/LengthBuckets.ts"
import * as Tokenizer from "../language/tokenizers/Tokenizer.ts"

const [folder = "", data = "", python = "python3", chosen = "piboso,ag-news,sts-b", steps = "30", seeds = "1,2,3"] =
  process.argv.slice(2)
const engine = (process.argv[8] ?? "onnx") as Options.EngineName
// The first steps compile, allocate and warm caches.
const settling = 3
const [rate, tested] = [Number(process.argv[9] ?? 5e-4), Number(process.argv[10] ?? 200)]
const [decay, size, longest] = [0.01, 16, 32]
const ticks = Number(steps)
const compared = Math.min(20, ticks)

interface Row {
  readonly text: string
  readonly pair?: string
  readonly label: string
}
interface Task {
  readonly rows: () => { readonly train: ReadonlyArray<Row>; readonly test: ReadonlyArray<Row> }
  /** Names of classes; none for a task of scores. */
  readonly labels: ReadonlyArray<string>
}

const lines = (file: string): ReadonlyArray<string> =>
  new TextDecoder()
    .decode(gunzipSync(readFileSync(join(data, file))))
    .trimEnd()
    .split("\n")
const fields = (file: string): ReadonlyArray<ReadonlyArray<string>> => lines(file).map((line) => line.split("\t"))

const roles = (part: string): ReadonlyArray<Row> =>
  fields(`text/nicta_piboso_${part}.txt.gz`).flatMap(([label, text]) =>
    text === undefined ? [] : [{ text, label: label! }]
  )
const scored = (part: string): ReadonlyArray<Row> =>
  fields(`glue/STS-B/${part}.tsv.gz`)
    .slice(1)
    .map((row) => ({ text: row[7]!, pair: row[8]!, label: row[9]! }))
const news = (): ReadonlyArray<Row> =>
  fields("text/ag_news_train10k.tsv.gz").map(([text, label]) => ({ text: text!, label: label! }))

const tasks: { readonly [name: string]: Task } = {
  piboso: {
    rows: () => ({ train: roles("train"), test: roles("dev") }),
    labels: ["background", "population", "intervention", "outcome", "study design", "other"]
  },
  "ag-news": {
    rows: () => {
      const all = news()
      const mixed = Array.from(Seed.permutation(Seed.make(1), all.length), (at) => all[at]!)
      return { train: mixed.slice(tested), test: mixed.slice(0, tested) }
    },
    labels: ["World", "Sports", "Business", "Sci/Tech"]
  },
  "sts-b": { rows: () => ({ train: scored("train"), test: scored("dev") }), labels: [] }
}

type Batch = {
  readonly ids: tf.Tensor2D
  readonly types: tf.Tensor2D
  readonly mask: tf.Tensor2D
  readonly labels: tf.Tensor1D
}

/** Labels of rows: numbers of classes, or scores over five. */
const labelled = (rows: ReadonlyArray<Row>, labels: ReadonlyArray<string>): NdArray.NdArray<tf.Tensor1D> => {
  if (labels.length === 0)
    return NdArray.float32(
      [rows.length],
      rows.map(({ label }) => Number(label) / 5)
    )
  const numbers = rows.map(({ label }) => labels.indexOf(label))
  const unknown = numbers.indexOf(-1)
  if (unknown !== -1)
    throw new RangeError(`a row has the label '${rows[unknown]!.label}'; known are ${labels.join(", ")}`)
  return NdArray.int32([rows.length], numbers)
}

type Logits = ReadonlyArray<ReadonlyArray<number>>

/** What both sides measured: losses, logits of the test rows, and a step's time in milliseconds. */
interface Side {
  readonly losses: ReadonlyArray<number>
  readonly logits: Logits
  readonly wall: ReadonlyArray<number>
  readonly cpu: ReadonlyArray<number>
}

const scoreOf = ({ logits }: Side, test: ReadonlyArray<Row>, { labels }: Task): number => {
  if (labels.length === 0)
    return Statistics.spearman(
      logits.map(([x]) => x!),
      test.map(({ label }) => Number(label))
    )
  const right = logits.filter((row, i) => labels[row.indexOf(Math.max(...row))] === test[i]!.label)
  return right.length / test.length
}

const started = (name: string, seed: number) =>
  Effect.gen(function* () {
    const task = tasks[name]!
    const read = yield* EncoderFolder.read(folder)
    const tokenizer = yield* Tokenizer.read(folder, read.config)
    const root = Seed.fold(Seed.make(seed), name)
    const all = task.rows()
    const test = all.test.slice(0, tested)
    const batchOf = (rows: ReadonlyArray<Row>) => ({
      ...LengthBuckets.padded(
        rows.map(({ pair, text }) => tokenizer.encode(text, pair, longest)),
        longest,
        tokenizer
      ),
      labels: labelled(rows, task.labels)
    })
    const order = Seed.permutation(Seed.fold(root, "order"), all.train.length)
    const batches = Array.from({ length: ticks }, (_, i) =>
      batchOf(Array.from({ length: size }, (_, k) => all.train[order[(i * size + k) % order.length]!]!))
    )
    const dense = yield* EncoderFolder.pooler(read)
    const { out } = Classifier.init(read.config, Math.max(1, task.labels.length))(Seed.fold(root, "head"))
    return { task, config: read.config, encoder: read.encoder, head: { dense, out }, batches, test, batchOf }
  })
type Started = Effect.Success<ReturnType<typeof started>>

const ours = ({ batches, batchOf, config, encoder, head, task, test }: Started) =>
  Effect.gen(function* () {
    const omega = Var.make("omega", () => ({ encoder, head }))
    type Omega = { readonly encoder: Encoder.Params; readonly head: Classifier.Params }
    const logits = ({ encoder, head }: Omega, batch: Omit<Batch, "labels">) =>
      Classifier.apply(config, head, Encoder.encode(config, encoder, batch))
    const rows: Dataset.Dataset<Batch> = Dataset.make("rows", {
      fields: Dataset.constant("rows", batches[0]!).fields,
      open: Effect.succeed((_: Seed.Seed, index: number) => Effect.succeed(batches[index]!))
    } as never) as never
    const finetune = Level.minimize(omega, {
      name: "finetune",
      data: rows,
      optimizer: Optimizer.adamw(rate, { weightDecay: decay }),
      objective: ({ omega }, batch) => {
        const found = logits(omega, batch)
        return task.labels.length > 0
          ? Objective.crossEntropy(found, batch.labels)
          : Objective.meanSquaredError(found.as1D(), batch.labels)
      }
    })
    const [losses, wall, cpu, given] = [
      [] as Array<number>,
      [] as Array<number>,
      [] as Array<number>,
      [] as Array<ReadonlyArray<number>>
    ]
    const omegas: Array<{ readonly encoder: Encoder.HostParams; readonly head: Classifier.HostParams }> = []
    let [at, usage] = [performance.now(), process.cpuUsage()]
    yield* Run.ticks(Problem.close(finetune), { ticks, seed: 0 }).pipe(
      Stream.runForEach((tick) =>
        Effect.gen(function* () {
          const used = process.cpuUsage(usage)
          wall.push(performance.now() - at)
          cpu.push((used.user + used.system) / 1000)
          losses.push(tick.levels["finetune"]!.loss)
          if (tick.index === ticks) omegas.push((yield* tick.read(["omega"])).omega)
          for (let from = 0; tick.index === ticks && from < test.length; from += 50) {
            const { labels: _, ...batch } = batchOf(test.slice(from, from + 50))
            const { x } = yield* tick.evaluate(
              ({ omega }, batch: Omit<Batch, "labels">) => ({ x: logits(omega, batch) }),
              batch
            )
            const width = x.shape[1]!
            for (let i = 0; i < x.shape[0]!; i++) given.push(Array.from(x.data.slice(i * width, (i + 1) * width)))
          }
          ;[at, usage] = [performance.now(), process.cpuUsage()]
        })
      )
    )
    return { losses, logits: given, wall, cpu, omega: omegas[0]! }
  }).pipe(Effect.provide(Options.engineLayer(engine, Options.isCompiled(engine) ? { threads: Option.some(1) } : {})))

/** What PyTorch's side says, given a file. */
const told = (...given: ReadonlyArray<string>): string =>
  execFileSync(python, [join(import.meta.dirname, "finetuning.py"), ...given], {
    maxBuffer: 1 << 28,
    env: { ...process.env, OMP_NUM_THREADS: "1" },
    stdio: ["ignore", "pipe", "ignore"]
  }).toString()

/** A folder that is there while it is used. */
const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "finetuning-"))),
  (own) => Effect.sync(() => rmSync(own, { recursive: true }))
)

/** PyTorch's side, which reads the batches, the head and the test rows from a file. */
const theirs = ({ batches, batchOf, head, test }: Started) =>
  Effect.gen(function* () {
    const named = (prefix: string, batch: object) =>
      Object.entries(batch).map(([key, array]) => [`${prefix}.${key}`, array as NdArray.NdArray] as const)
    const tensors = [
      ...batches.flatMap((batch, i) => named(`batch.${i}`, batch)),
      ...named("test", batchOf(test)),
      ...named("out", head.out)
    ]
    const file = join(yield* scratch, "rows.safetensors")
    writeFileSync(file, Safetensors.encode(tensors))
    return JSON.parse(told("train", folder, file, `${rate}`, `${decay}`)) as Side
  }).pipe(Effect.scoped)

/** Logits of the test texts by transformers, of the folder that is written after training. */
const loaded = ({ config, test }: Started, omega: Effect.Success<ReturnType<typeof ours>>["omega"]) =>
  Effect.gen(function* () {
    const own = yield* scratch
    yield* EncoderFolder.write(own, {
      config,
      encoder: omega.encoder,
      head: { classifier: omega.head },
      tokenizer: folder
    })
    const file = join(own, "texts.json")
    writeFileSync(
      file,
      JSON.stringify({ longest, texts: test.map(({ pair, text }) => (pair === undefined ? [text] : [text, pair])) })
    )
    return JSON.parse(told("load", own, file)) as Logits
  }).pipe(Effect.scoped)

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

const program = Effect.gen(function* () {
  for (const name of chosen.split(",")) {
    const sides: Array<readonly [ours: Side, theirs: Side]> = []
    const differences: Array<number> = []
    const scores: Array<readonly [number, number]> = []
    for (const seed of seeds.split(",")) {
      const start = yield* started(name, Number(seed))
      const mine = yield* ours(start)
      const pair = [mine, yield* theirs(start)] as const
      const again = yield* loaded(start, mine.omega)
      differences.push(...again.flatMap((row, i) => row.map((x, k) => Math.abs(x - mine.logits[i]![k]!))))
      sides.push(pair)
      scores.push([scoreOf(pair[0], start.test, start.task), scoreOf(pair[1], start.test, start.task)])
    }
    const apart = sides.flatMap(([a, b]) =>
      a.losses.slice(0, compared).map((loss, i) => Math.abs(loss / b.losses[i]! - 1))
    )
    const times = (["wall", "cpu"] as const).map((clock) => {
      const [a, b] = [0, 1].map((side) => median(sides.flatMap((pair) => pair[side]![clock].slice(settling)))) as [
        number,
        number
      ]
      return `${clock} ${a.toFixed(0)} and ${b.toFixed(0)} ms (${(a / b).toFixed(2)})`
    })
    const columns = [0, 1].map((side) => scores.map((pair) => pair[side]!)) as [Array<number>, Array<number>]
    const [mine, other] = columns.map((column) => column.map((score) => score.toFixed(4)).join(" "))
    const [first] = sides[0]!.map(({ losses }) => [0, compared - 1].map((i) => losses[i]!.toFixed(5)).join(" to "))
    yield* Console.log(
      `${name}, ${sides.length} seeds: loss ${first} in ${compared} steps, at most ${Math.max(...apart).toExponential(1)} apart; ` +
        `scores after ${ticks} steps: ours ${mine}, PyTorch's ${other}; a step: ${times.join(", ")}; ` +
        `logits of the written folder by transformers at most ${Math.max(...differences).toExponential(1)} apart`
    )
  }
})

NodeRuntime.runMain(Effect.provide(program, NodeServices.layer))
