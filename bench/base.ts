// TapWeight at RoBERTa-base's sizes, weights random, on the CPU: what a tick takes and how much memory, and what one costs at the paper's.
//   npm run bench:base [-- --layers=12 --batch=8 --length=64 --engine=onnx --threads=1 --ticks=2]
// Level I has masked tokens, contrast and order, levels II and III a classifier, all on as many rows. Without ticks there is only the cost.
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as tf from "@tensorflow/tfjs-core"
import {
  Classifier,
  Dataset,
  Encoder,
  EncoderConfig,
  Hypergradient,
  MaskedHead,
  NdArray,
  Objective as Losses,
  Optimizer,
  Plan,
  PlanText,
  Problem,
  Product,
  Run,
  Seed,
  Solver,
  Split,
  TapWeight,
  Tree,
  Var
} from "tapweight"
import { Options } from "tapweight/cli"
import { contrast } from "../experiments/language/objectives/Contrast.ts"
import { masked } from "../experiments/language/objectives/Masked.ts"
import * as Objective from "../experiments/language/objectives/Objective.ts"
import { order } from "../experiments/language/objectives/Order.ts"
import type { Documents } from "../experiments/language/objectives/Texts.ts"
import type { Tokenizer } from "../experiments/language/tokenizers/Tokenizer.ts"
import { ofProducts } from "./operations.ts"

const { values } = parseArgs({
  options: {
    layers: { type: "string", default: "12" },
    batch: { type: "string", default: "8" },
    length: { type: "string", default: "64" },
    engine: { type: "string", default: "onnx" },
    threads: { type: "string", default: "1" },
    ticks: { type: "string", default: "2" }
  }
})

/** Batches of the levels, and tokens of a row. */
interface Sizes {
  readonly pretrain: number
  readonly labelled: number
  readonly length: number
}

const config = Result.getOrThrow(
  EncoderConfig.decode({
    model_type: "roberta",
    vocab_size: 50_265,
    hidden_size: 768,
    num_hidden_layers: Number(values.layers),
    num_attention_heads: 12,
    intermediate_size: 3072,
    max_position_embeddings: 514,
    type_vocab_size: 1,
    layer_norm_eps: 1e-5,
    pad_token_id: 1
  })
)

/** Tokens of no text: rows of them between `<s>` and `</s>`. */
const tokenizer = {
  size: config.vocabulary,
  padding: 1,
  mask: 50_264,
  special: new Set([0, 1, 2, 3, 50_264]),
  row: (first, second, longest) => {
    const ids = [0, ...first, ...(second === undefined ? [] : [2, 2, ...second])].slice(0, longest - 1)
    return { ids: [...ids, 2], types: Array(ids.length + 1).fill(0) }
  }
} as Partial<Tokenizer> as Tokenizer

const encoder = Encoder.init(config)(Seed.make(4))
const head = MaskedHead.init(config)(Seed.make(3))

const problemOf = ({ labelled, length, pretrain }: Sizes) => {
  const setting: Objective.Setting = { config, tokenizer, batch: pretrain, length, pooling: "first" }
  const sentence = (i: number) =>
    Array.from(Seed.integers(Seed.fold(Seed.make(2), i), length - 2, 50_000), (id) => id + 4)
  const count = 2 * pretrain
  const texts: Documents = {
    name: "random",
    count,
    ids: sentence,
    place: (at) => ({ at, of: count }),
    pairs: Int32Array.from({ length: count - 1 }, (_, i) => i)
  }
  const together = Objective.together([
    masked(setting, texts, { head }),
    contrast(setting, texts),
    order(setting, { ...texts, ids: (i) => sentence(i).slice(0, length / 2 - 2) })
  ])
  const theta = Var.make("theta", (seed): Objective.HostTheta => ({ encoder, heads: together.heads(seed) }))
  const omega = Var.make("omega", (seed) => ({ encoder, classifier: Classifier.init(config, 2)(seed) }))
  type Omega = { readonly encoder: Encoder.Params; readonly classifier: Classifier.Params }
  type Batch = { readonly ids: tf.Tensor2D; readonly labels: tf.Tensor1D }
  const rows = (name: string) =>
    Dataset.constant(name, {
      ids: NdArray.int32([labelled, length], Array.from({ length: labelled }, (_, i) => [0, ...sentence(i), 2]).flat()),
      labels: NdArray.int32([labelled], Seed.integers(Seed.make(5), labelled, 2))
    })
  const parts = Split.apart({ train: rows("train"), validation: rows("validation") })
  const classify = ({ classifier, encoder }: Omega, { ids, labels }: Batch) =>
    Losses.crossEntropy(Classifier.apply(config, classifier, Encoder.encode(config, encoder, { ids })), labels)
  const { reweight } = TapWeight.levels({
    theta: theta as unknown as Var.Var<"theta", Objective.Theta>,
    omega: omega as unknown as Var.Var<"omega", Omega>,
    pretrain: { data: together.data, optimizer: Optimizer.adam(2e-5), objectives: together.objectives },
    finetune: {
      data: parts.train,
      optimizer: Optimizer.adam(2e-5),
      loss: classify,
      gamma: 0.005,
      shared: (omega, theta) => [omega.encoder, theta.encoder]
    },
    reweight: { data: parts.validation, optimizer: Optimizer.adam(1), loss: classify, warmup: 0 },
    hypergradient: Hypergradient.implicit({
      solver: Solver.identity,
      product: Product.finiteDifference({ radius: 0.01 })
    })
  })
  return { problem: Problem.close(reweight), theta: Tree.hostEntries(Var.initial(theta, Seed.make(0))) }
}

const engine = values.engine as Options.EngineName
const layer = Options.engineLayer(
  engine,
  Options.isCompiled(engine) ? { threads: Option.some(Number(values.threads)) } : {}
)

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`

/** What a tick is made of, without running it. */
const costed = (title: string, sizes: Sizes) =>
  Effect.gen(function* () {
    const { problem } = problemOf(sizes)
    const products = ofProducts(problem as never)!
    yield* Console.log(`${title}: ${(products / 1e12).toFixed(2)} · 10¹² operations in products a tick`)
  })

const program = Effect.gen(function* () {
  const [batch, length] = [Number(values.batch), Number(values.length)]
  const own = { pretrain: batch, labelled: batch, length }
  const { problem, theta } = problemOf(own)
  const parameters = theta.reduce((sum, [, { data }]) => sum + data.length, 0)
  yield* Console.log(PlanText.text(Result.getOrThrow(Plan.make(problem))))
  // Adam holds two moments beside each parameter, of θ and of ω.
  const state = 2 * 3 * 4 * parameters
  yield* Console.log(
    `θ has ${(parameters / 1e6).toFixed(1)} million parameters; θ, ω and Adam's moments are ${gib(state)}`
  )
  let [at, usage] = [performance.now(), process.cpuUsage()]
  if (Number(values.ticks) > 0)
    yield* Run.ticks(problem, { ticks: Number(values.ticks), seed: 0 }).pipe(
      Stream.runForEach((tick) => {
        const used = process.cpuUsage(usage)
        const [wall, cpu] = [(performance.now() - at) / 1000, (used.user + used.system) / 1e6]
        ;[at, usage] = [performance.now(), process.cpuUsage()]
        const losses = Object.entries(tick.levels).map(([name, { loss }]) => `${name} ${loss.toFixed(4)}`)
        const peak = gib(1024 * process.resourceUsage().maxRSS)
        return Console.log(
          `tick ${tick.index}: ${wall.toFixed(1)} s by the wall, ${cpu.toFixed(1)} s of processor time, peak ${peak}; ${losses.join(", ")}`
        )
      })
    )
  yield* costed(`B ${batch}, T ${length}`, own)
  yield* costed("the paper's batches of 512, 32 and 32, T 128", { pretrain: 512, labelled: 32, length: 128 })
}).pipe(Effect.provide(layer))

NodeRuntime.runMain(program)
