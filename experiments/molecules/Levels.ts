import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  Mlp,
  Objective,
  Optimizer,
  Problem,
  Product,
  Rate,
  ResNet,
  Seed,
  Solver,
  Simplex,
  Split,
  TapWeight,
  Var
} from "tapweight"
import * as PictureBatches from "./pictures/PictureBatches.ts"
import type { Encoder } from "./Encoder.ts"
import * as Objectives from "./Objectives.ts"
import type { Finetuning, Method, Settings } from "./Settings.ts"
import type { Task } from "./Task.ts"

/** What pretraining starts from: an encoder and, where it was pretrained on the same objectives, their heads. */
export interface Start extends Encoder {
  readonly heads?: Objectives.HostHeads
}

/** The finetuned model. */
export type Omega = { readonly encoder: ResNet.Params; readonly head: Mlp.Dense }

/** The levels of TapWeight on a task, and the problems that the compared methods are, all from one start. */
export const make = (settings: Settings, task: Task, start: Start | undefined) => {
  const { augmentation, batch, network } = settings
  const rates = settings[task.kind]
  const features = network.width * 2 ** (network.blocks.length - 1)
  const dense = (name: string, outputs: number) => (seed: Seed.Seed) =>
    Mlp.dense(features, outputs)(Seed.fold(seed, name))
  const encoder = start === undefined ? ResNet.init(network) : () => start.params
  const statistics = start === undefined ? ResNet.statistics(network) : () => start.statistics
  const heads = (seed: Seed.Seed): Objectives.HostHeads =>
    start?.heads ?? {
      clusters: task.pool.counts.map((count, i) => dense(`cluster${i}`, count)(seed)),
      jigsaw: dense("jigsaw", 1 + settings.permutations)(seed),
      coin: dense("coin", 2)(seed)
    }
  const theta = Var.make("theta", (seed) => ({ encoder: encoder(seed), heads: heads(seed) }))
  const thetaStatistics = Var.make("thetaStatistics", statistics)
  // From zero: random outputs of a hundred features would shake the encoder before the head has learned anything.
  const head = {
    w: Init.zeros([features, task.tasks])(Seed.make(0)),
    b: Init.zeros([task.tasks])(Seed.make(0))
  }
  const omega = Var.make("omega", (_, root) => ({ encoder: Var.initial(theta, root).encoder, head }))
  const statisticsOf = Var.make("statistics", statistics)
  const { decay, finetuneTicks, momentum } = settings
  const stepped = (rate: number) => Rate.step({ rate, ...settings.schedule })
  const sgd = (rate: Rate.Rate) => Optimizer.momentum(rate, { momentum }).pipe(Optimizer.weightDecay(decay))
  const finetuner = (rate: Rate.Rate) =>
    settings.optimizer === "adam" ? Optimizer.adam(rate).pipe(Optimizer.weightDecay(decay)) : sgd(rate)
  const unlabelled = PictureBatches.pretraining(task.pool.pictures, task.pool.clusters, {
    batch: batch.pretrain,
    augmentation,
    permutations: settings.permutations,
    intact: settings.intact
  })
  const batches = (name: string, most: number) => (rows: PictureBatches.Labelled) =>
    PictureBatches.labelled(name, rows, { batch: Math.min(most, rows.pictures.count), augmentation })
  const train = Split.ofTrain(task.train, batches("train", batch.finetune))
  const validation = Split.ofValidation(task.validation, batches("validation", batch.reweight))
  const hypergradient = Hypergradient.implicit({
    solver: Solver.identity,
    product: settings.product === "exact" ? Product.exact : Product.finiteDifference({ radius: settings.radius })
  })

  /** The downstream loss of predictions (binary cross-entropy over known labels, or mean squared error). */
  const downstream = (predicted: tf.Tensor2D, { known, labels }: PictureBatches.LabelledBatch): tf.Scalar =>
    task.kind === "classification"
      ? Objective.maskedBinaryCrossEntropy(predicted, labels, known)
      : Objective.maskedSquaredError(predicted, labels, known)
  const finetuneLoss = (omega: Omega, statistics: ResNet.Statistics, batch: PictureBatches.LabelledBatch) => {
    const [features, next] = ResNet.train(omega.encoder, statistics, batch.pictures)
    return [downstream(Mlp.affine(omega.head, features), batch), next] as const
  }
  /** What finetuning near an encoder minimizes (equation 3); free of it where γ is 0. */
  const near = (
    omega: Omega,
    encoder: ResNet.Params,
    gamma: number,
    statistics: ResNet.Statistics,
    batch: PictureBatches.LabelledBatch
  ) => {
    const [task, next] = finetuneLoss(omega, statistics, batch)
    const distance = Objective.proximal(omega.encoder, encoder)
    const loss: tf.Scalar = gamma === 0 ? task : tf.add(task, tf.mul(gamma, distance))
    return { loss, metrics: { task, distance }, buffers: next }
  }
  /** What level III minimizes. */
  const validationLoss = (omega: Omega, statistics: ResNet.Statistics, batch: PictureBatches.LabelledBatch) => {
    const predicted = Mlp.affine(omega.head, ResNet.train(omega.encoder, statistics, batch.pictures)[0])
    if (task.kind === "regression" || settings.validation === "loss") return downstream(predicted, batch)
    return Objective.pairwiseRanking(Objective.standardised(predicted, batch.known), batch.labels, batch.known)
  }

  const objectives = Objectives.objectives(settings)
  const level = (rate: number) => ({
    buffers: thetaStatistics,
    data: unlabelled,
    optimizer: sgd(stepped(rate)),
    pass: Objectives.pass,
    objectives
  })
  const { beta, pretrain, reweight } = TapWeight.levels({
    theta,
    omega,
    pretrain: level(rates.pretrain),
    ...(settings.initial === null ? {} : { initial: settings.initial }),
    finetune: {
      buffers: statisticsOf,
      data: train,
      optimizer: finetuner(stepped(rates.finetune)),
      loss: (omega: Omega, batch, statistics) => {
        const [loss, buffers] = finetuneLoss(omega, statistics, batch)
        return { loss, buffers }
      },
      gamma: settings.gamma,
      shared: (omega, theta) => [omega.encoder, theta.encoder]
    },
    reweight: {
      data: validation,
      optimizer: Optimizer.sgd(stepped(rates.reweight)),
      loss: (omega: Omega, batch, statistics) => validationLoss(omega, statistics, batch),
      warmup: settings.warmup
    },
    hypergradient
  })
  const general = TapWeight.pretraining(theta, beta, {
    ...level(settings.general.rate),
    name: "general",
    hypergradient
  })
  const zeros = Init.zeros([beta.elements.length])(Seed.make(0))

  // Equation 9: one model learns the pretraining objectives and the task at once.
  const shared = Var.make("theta", (_, root) => ({ ...Var.initial(theta, root), head }))
  const mixture = TapWeight.mixture(beta, level(rates.pretrain))
  const joint = Level.minimize(shared, {
    name: "joint",
    given: [beta],
    buffers: thetaStatistics,
    data: Dataset.join("joint", unlabelled, train),
    optimizer: sgd(stepped(rates.pretrain)),
    objective: ({ beta, theta, thetaStatistics }, batch) => {
      const mixed = mixture(beta, theta, batch, thetaStatistics)
      const [loss, next] = finetuneLoss(theta, mixed.shared.buffers, batch)
      return {
        loss: tf.add(mixed.loss, tf.mul(settings.mix, loss)),
        metrics: { ...mixed.metrics, task: loss },
        buffers: next
      }
    }
  }).pipe(Level.hypergradient(hypergradient))
  // Its response lacks the factor 2γ that the proximal term puts into the three levels' one.
  const bilevel = Level.minimize(beta, {
    name: "reweight",
    upstream: [joint],
    data: validation,
    optimizer: Optimizer.sgd(stepped(2 * settings.gamma * rates.reweight)),
    objective: ({ beta, theta, thetaStatistics }, batch) => ({
      loss: validationLoss(theta, thetaStatistics, batch),
      metrics: Simplex.metrics(beta)
    })
  }).pipe(Level.warmup(settings.warmup))

  return {
    /** The weights' variable, which knows the names of the objectives. */
    beta,
    /** The three levels: λ is learned. */
    tapweight: Problem.close(reweight),
    /** TapWeight without multi-level optimization: λ is learned above one joint level. */
    bilevel: Problem.close(bilevel),
    /** Level I alone with λ held constant: equal by default, or at the given shares. */
    pretraining: (lambda?: Objectives.Lambda) =>
      Problem.close(pretrain.pipe(Level.fix(beta, lambda === undefined ? zeros : Simplex.logits(beta, lambda)))),
    /** General pretraining under equal weights. What is drawn follows from a level's name: these are batches of its own. */
    general: () => Problem.close(general.pipe(Level.fix(beta, zeros))),
    /** Finetuning alone, from an encoder: near it, which is equation 3 at the end of level I, or free of it. */
    finetuning: (from: Encoder | undefined, how: Finetuning) => {
      const start = Var.make("theta", (seed) => from?.params ?? encoder(seed))
      const omega = Var.make("omega", (_, root) => ({ encoder: Var.initial(start, root), head }))
      const level = Level.minimize(omega, {
        name: "finetune",
        given: [start],
        buffers: Var.make("statistics", from === undefined ? statistics : () => from.statistics),
        data: train,
        // To zero at the end: at a constant rate the running statistics lag behind, and scores jump from tick to tick.
        optimizer: finetuner(Rate.linear({ peak: rates.finetune, warmup: 0, total: finetuneTicks })),
        objective: ({ omega, statistics, theta }, batch) =>
          near(omega, theta, how === "held" ? settings.gamma : 0, statistics, batch)
      })
      return Problem.close(level.pipe(Level.fix(start)))
    }
  }
}

/** General pretraining, which no planted objective or initial weighting changes. */
export const general = (settings: Settings, task: Task, start: Start | undefined) =>
  make({ ...settings, useless: false, initial: null }, task, start).general()

/** The problems that these methods run on a task, by name: some start from what others end with, which changes no plan. */
export const problems = (
  settings: Settings,
  task: Task,
  methods: ReadonlyArray<"pretraining" | Method>,
  start: Start | undefined
) => {
  const levels = make(settings, task, start)
  const fixed = methods.filter((method) => method !== "finetune" && method !== "tapweight" && method !== "bilevel")
  const learned = (["tapweight", "bilevel"] as const).filter(
    (name) => methods.includes(name) || (name === "tapweight" && methods.includes("final"))
  )
  const own: { readonly [name: string]: typeof levels.tapweight | ReturnType<typeof levels.finetuning> } = {
    ...Object.fromEntries(learned.map((name) => [name, levels[name]])),
    ...(fixed.length > 0 ? { pretraining: levels.pretraining() } : {}),
    ...Object.fromEntries(settings.finetunings.map((how) => [`finetune-${how}`, levels.finetuning(start, how)]))
  }
  return Object.fromEntries(Object.entries(own).map(([name, problem]) => [`${task.name}/${name}`, problem]))
}
