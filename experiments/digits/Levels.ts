import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Level,
  Mlp,
  NdArray,
  Objective,
  Optimizer,
  Problem,
  Product,
  Rate,
  Simplex,
  Solved,
  TapWeight,
  Var
} from "tapweight"
import * as Digits from "./Digits.ts"
import * as Net from "./Net.ts"
import * as Objectives from "./Objectives.ts"
import * as Pretext from "./Pretext.ts"
import type { Settings } from "./Settings.ts"
import type { Rows, Task } from "./Task.ts"

/** What a head is solved on, and what it is then scored on. */
export type Labelled = {
  readonly seen: tf.Tensor2D
  readonly labels: tf.Tensor1D
  readonly held: tf.Tensor2D
  readonly answers: tf.Tensor1D
}

/** Ridge regression gives shares of digits, which are times this before they are logits. */
const sharpness = 8

/** Level II, solved: logits of the pictures `held` by the head that is best on those `seen`. */
export const logits = ({ penalty }: Pick<Settings, "penalty">, encoder: Net.Encoder, batch: Labelled): tf.Tensor2D => {
  const [count, others] = [batch.seen.shape[0], batch.held.shape[0]]
  const all = Net.features(encoder, tf.concat([batch.seen, batch.held]) as tf.Tensor2D)
  const features = tf.slice(all, [0, 0], [count, all.shape[1]])
  const targets = tf.cast(tf.oneHot(batch.labels, Digits.classes), "float32") as tf.Tensor2D
  const head = Solved.ridge({ features, targets, penalty })
  return tf.mul(sharpness, Mlp.affine(head, tf.slice(all, [count, 0], [others, all.shape[1]])))
}

/** The training part as seen and the validation part as held. */
export const labelled = ({ train, validation }: Pick<Task, "train" | "validation">) => ({
  seen: train.pictures,
  labels: train.labels,
  held: validation.pictures,
  answers: validation.labels
})

/** The levels on a task, and the problems that the compared methods are. */
export const make = (settings: Settings, task: Task) => {
  const { model, penalty, perDigit, probeTicks, rate, ticks, window } = settings
  const theta = Var.make("theta", Net.init(model))
  const beta = Simplex.make("beta", Objectives.names)
  const spec = {
    name: "pretrain",
    data: Pretext.batches(task.unlabelled, settings),
    optimizer: Optimizer.adam(Rate.linear({ peak: rate.pretrain, warmup: 0, total: ticks })),
    // Each objective's own displacement of θ, looked back at as far as λ is held.
    hypergradient: Hypergradient.forward({ updates: window.updates, product: Product.exact, curvature: false })
  }
  /** Level I. */
  const pretrain = TapWeight.pretraining(theta, beta, { ...spec, ...Objectives.of(Objectives.names) }).pipe(
    Level.unroll(window.every)
  )
  /** Level III, and level II within: the head is the best there is for θ, and λ hears how it changes with θ. */
  const reweight = Level.minimize(beta, {
    name: "reweight",
    upstream: [pretrain],
    data: Dataset.constant("labelled", labelled(task)),
    optimizer: Optimizer.sgd(rate.reweight),
    objective: ({ beta, theta }, batch) => ({
      loss: Objective.crossEntropy(logits({ penalty }, theta.encoder, batch), batch.answers),
      metrics: Simplex.metrics(beta)
    })
  })
  const head = Var.make("head", Mlp.dense(model.code, Digits.classes))
  const rows = Digits.classes * (perDigit.train + perDigit.validation)
  return {
    beta,
    theta,
    /** λ is learned. */
    learning: Problem.close(reweight),
    /** λ is held. */
    pretraining: (shares: Objectives.Shares) =>
      Problem.close(pretrain.pipe(Level.fix(beta, Simplex.logits(beta, shares)))),
    /** One objective alone: nothing else is computed. */
    alone: (name: Objectives.Name) => {
      const only = Simplex.make("beta", [name])
      return Problem.close(
        TapWeight.pretraining(theta, only, { ...spec, ...Objectives.of([name]) }).pipe(Level.fix(only))
      )
    },
    /** A head on features [n, features] of all labelled pictures, which every method ends with. */
    probing: (features = NdArray.float32([rows, model.code], new Float32Array(rows * model.code))) =>
      Problem.close(
        Level.minimize(head, {
          name: "probe",
          data: Dataset.fromRows("features", { features, labels: both(task).labels }, { batch: rows }),
          optimizer: Optimizer.adam(Rate.linear({ peak: rate.probe, warmup: 0, total: probeTicks })),
          // Logistic regression with the usual strength: half a squared weight for all rows together.
          objective: ({ head }, { features, labels }) =>
            tf.add(
              Objective.crossEntropy(Mlp.affine(head, features), labels),
              tf.mul(0.5 / rows, tf.sum(tf.square(head.w)))
            )
        })
      )
  }
}

type Levels = ReturnType<typeof make>
/** Any problem of the experiment. */
export type Stated = Levels["learning"] | ReturnType<Levels["pretraining" | "alone" | "probing"]>

/** Pictures of the training part, then of the validation part: all that a last head learns from. */
export const both = ({ train, validation }: Pick<Task, "train" | "validation">): Rows => {
  const count = train.labels.data.length + validation.labels.data.length
  return {
    pictures: NdArray.float32(
      [count, Digits.pixels],
      Float32Array.of(...train.pictures.data, ...validation.pictures.data)
    ),
    labels: NdArray.int32([count], Int32Array.of(...train.labels.data, ...validation.labels.data))
  }
}
