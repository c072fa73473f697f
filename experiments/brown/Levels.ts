import * as tf from "@tensorflow/tfjs-core"
import {
  Hypergradient,
  Level,
  Mlp,
  Objective,
  Optimizer,
  Problem,
  Product,
  Rate,
  type Seed,
  Solver,
  Split,
  TapWeight,
  Transformer,
  Var
} from "tapweight"
import * as TextBatches from "../text/TextBatches.ts"
import type { Task } from "./Task.ts"

/** Model and training of the Brown experiment. */
export interface Options {
  readonly length: number
  readonly model: { readonly width: number; readonly heads: number; readonly layers: number; readonly hidden: number }
  readonly dropout: number
  /**
   * What the contrastive objective tells apart from the rest of the batch: two dropout views of one passage (the paper,
   * SimCSE), or the two neighbouring segments of a passage. On a small corpus the first is solved within a few hundred
   * updates and teaches nothing more.
   */
  readonly contrast: "dropout" | "segments"
  readonly batch: { readonly pretrain: number; readonly finetune: number; readonly reweight: number }
  readonly rate: { readonly pretrain: number; readonly finetune: number; readonly reweight: number }
  /** Strength of the proximal term. */
  readonly gamma: number
  /** Ticks before λ first moves. */
  readonly warmup: number
  /** Distance of the finite-difference evaluations, see `Product.finiteDifference`. */
  readonly radius: number
  /** Updates of the finetuning that follows pretraining. */
  readonly finetuneTicks: number
  /** Adds a fourth objective that cannot help: sentence order against coin flips. */
  readonly useless: boolean
}

type Dense = Mlp.Dense
type Theta = { readonly encoder: Transformer.Params; readonly order: Dense; readonly coin: Dense }
/** The finetuned model. */
export type Omega = { readonly encoder: Transformer.Params; readonly head: Dense }
type Labelled = { readonly ids: tf.Tensor2D; readonly labels: tf.Tensor1D }

const temperature = 0.1

/** Genre logits of token ids: [b, t] → [b, classes]. */
export const logits = (omega: Omega, ids: tf.Tensor2D): tf.Tensor2D =>
  Mlp.affine(omega.head, Transformer.average(Transformer.encode(omega.encoder, ids), ids))

/** Mean cross-entropy of a labelled batch, in nats. */
export const classify = (omega: Omega, { ids, labels }: Labelled): tf.Scalar =>
  Objective.crossEntropy(logits(omega, ids), labels)

const rowsOf = (hidden: tf.Tensor3D, part: number, parts: number): tf.Tensor3D => {
  const batch = hidden.shape[0] / parts
  return tf.slice(hidden, [part * batch, 0, 0], [batch, hidden.shape[1], hidden.shape[2]])
}

/** The two segments of `[CLS] s [SEP] s' [SEP]` as rows of their own, `[CLS] s [SEP]`: int32 [b, t] → twice [b, ⌊(t+1)/2⌋]. */
const segments = (ids: tf.Tensor2D): readonly [tf.Tensor2D, tf.Tensor2D] => {
  const [rows, length] = ids.shape
  const half = TextBatches.segmentLength(length)
  const start = tf.slice(ids, [0, 0], [rows, 1])
  return [
    tf.slice(ids, [0, 0], [rows, half + 2]),
    tf.concat([start, tf.slice(ids, [0, half + 2], [rows, half + 1])], 1) as tf.Tensor2D
  ]
}

/** One pass for the objectives that read whole rows; dropout differs from row to row, so repeated rows are views. */
const pass =
  ({ contrast, dropout: rate }: Options) =>
  ({ encoder }: Theta, batch: TextBatches.PretrainingBatch) => {
    const views = contrast === "dropout" ? 2 : 1
    const ids = tf.concat([batch.mlmIds, ...Array.from({ length: views }, () => batch.ids)]) as tf.Tensor2D
    const hidden = Transformer.encode(encoder, ids, { key: batch.firstKey, rate })
    const rows = (part: number) => rowsOf(hidden, part, 1 + views)
    return { masked: rows(0), view: (i: number) => rows(1 + i), pair: Transformer.first(rows(1)) }
  }
type Pass = ReturnType<ReturnType<typeof pass>>

/** Average states of what the contrastive objective holds together: views of one passage, or its two segments. */
const neighbours = (
  { contrast, dropout: rate }: Options,
  { encoder }: Theta,
  { ids, secondKey }: TextBatches.PretrainingBatch,
  { view }: Pass
): readonly [tf.Tensor2D, tf.Tensor2D] => {
  if (contrast === "dropout") return [Transformer.average(view(0), ids), Transformer.average(view(1), ids)]
  const [one, other] = segments(ids)
  const states = Transformer.encode(encoder, tf.concat([one, other]) as tf.Tensor2D, { key: secondKey, rate })
  return [Transformer.average(rowsOf(states, 0, 2), one), Transformer.average(rowsOf(states, 1, 2), other)]
}

type Loss = (theta: Theta, batch: TextBatches.PretrainingBatch, pass: Pass) => tf.Scalar

/** The pretraining objectives by name. */
export const objectives = (options: Options): { readonly [objective: string]: Loss } => ({
  mlm: ({ encoder }, { mlmPositions: positions, mlmTargets: targets, mlmWeights: weights }, { masked }) =>
    Objective.maskedLanguage(masked, encoder.tokens, { positions, targets, weights }),
  contrastive: (theta, batch, pass) => Objective.contrastive(...neighbours(options, theta, batch, pass), temperature),
  order: (theta, { sopLabels }, { pair }) => Objective.crossEntropy(Mlp.affine(theta.order, pair), sopLabels),
  ...(options.useless && {
    coin: (theta: Theta, { coinLabels }: TextBatches.PretrainingBatch, { pair }: Pass) =>
      Objective.crossEntropy(Mlp.affine(theta.coin, pair), coinLabels)
  })
})

/** The levels of TapWeight on a task, and the problems that the compared methods are. */
export const make = (options: Options, task: Task) => {
  const { model } = options
  const encoder = Transformer.init({ ...model, length: options.length, vocabulary: task.vocabulary.words.length })
  const two = Mlp.dense(model.width, 2)
  const theta = Var.make("theta", (seed) => ({ encoder: encoder(seed), order: two(seed), coin: two(seed) }))
  const head = Mlp.dense(model.width, task.classes)
  const omega = Var.make("omega", (seed, root) => ({ encoder: Var.initial(theta, root).encoder, head: head(seed) }))
  const train = Split.ofTrain(task.train, (rows) => TextBatches.classification(rows, { batch: options.batch.finetune }))
  const { beta, finetune, pretrain, reweight } = TapWeight.levels({
    theta,
    omega,
    pretrain: {
      data: TextBatches.pretraining(task.unlabelled, task.vocabulary, {
        batch: options.batch.pretrain,
        length: options.length
      }),
      optimizer: Optimizer.adam(options.rate.pretrain),
      pass: pass(options),
      objectives: objectives(options)
    },
    finetune: {
      data: train,
      optimizer: Optimizer.adam(options.rate.finetune),
      loss: classify,
      gamma: options.gamma,
      shared: (omega, theta) => [omega.encoder, theta.encoder]
    },
    reweight: {
      data: Split.ofValidation(task.validation, (rows) =>
        TextBatches.classification(rows, { batch: options.batch.reweight })
      ),
      optimizer: Optimizer.sgd(options.rate.reweight),
      loss: classify,
      warmup: options.warmup
    },
    hypergradient: Hypergradient.implicit({
      solver: Solver.identity,
      product: Product.finiteDifference({ radius: options.radius })
    })
  })
  return {
    /** The weights' variable, which knows the names of the objectives. */
    beta,
    /** The three levels: λ is learned. */
    tapweight: Problem.close(reweight),
    /** Levels I and II with λ held constant at equal weights. */
    held: Problem.close(finetune.pipe(Level.fix(beta))),
    /** Level I alone with λ held constant at equal weights. */
    pretraining: () => Problem.close(pretrain.pipe(Level.fix(beta))),
    /** Finetuning alone, from a pretrained encoder or, without one, from the encoder's initial values. */
    finetuning: (pretrained?: Transformer.HostParams) => {
      const start = Var.make("omega", (seed: Seed.Seed, root) => ({
        encoder: pretrained ?? Var.initial(theta, root).encoder,
        head: head(seed)
      }))
      return Problem.close(
        Level.minimize(start, {
          name: "finetune",
          data: train,
          optimizer: Optimizer.adam(
            Rate.linear({ peak: options.rate.finetune, warmup: 0, total: options.finetuneTicks })
          ),
          objective: ({ omega }, batch) => classify(omega, batch)
        })
      )
    }
  }
}
