/** The levels of TapWeight on a task, and the problems that the compared methods are, all from one encoder. */
import * as tf from "@tensorflow/tfjs-core"
import {
  type Dataset,
  Encoder,
  type EncoderConfig,
  Hypergradient,
  Level,
  Objective as Losses,
  Optimizer,
  Problem,
  Product,
  Rate,
  type Seed,
  Simplex,
  Smooth,
  Solver,
  Split,
  TapWeight,
  type Tree,
  Var
} from "tapweight"
import * as FirstOrder from "../../common/FirstOrder.ts"
import * as Prefixed from "../../common/Prefixed.ts"
import type { Lambda } from "../../common/Weightings.ts"
import * as Objective from "../objectives/Objective.ts"
import * as Pooling from "../objectives/Pooling.ts"
import * as Supervised from "../objectives/Supervised.ts"
import type { Finetuning, Settings } from "../Settings.ts"
import { outputs } from "../tasks/Task.ts"
import * as SolvedHead from "./SolvedHead.ts"
import { settingOf, type Task } from "./Task.ts"

/** The finetuned model. */
export type Omega = { readonly encoder: Encoder.Params; readonly head: Tree.Live<Pooling.HostHead> }

/** What every method starts from. */
export interface Base {
  readonly setting: Objective.Setting
  readonly encoder: Encoder.HostParams
  /** Heads of objectives that fit the encoder, by their names; an objective that has none here starts with its own. */
  readonly heads?: Objective.HostTheta["heads"]
}

type Objectives = ReadonlyArray<Objective.Objective<Dataset.DataError>>

const isEncoder = (path: string): "encoder" | "head" => (path.startsWith("encoder.") ? "encoder" : "head")

type Read = Pick<Supervised.Batch, "ids" | "types">

/** How far apart the encoders' outputs are: Σ p log p/q over the features of each token, p of θ and q of ω, a mean over tokens. */
const divergence = (
  config: EncoderConfig.EncoderConfig,
  omega: Encoder.Params,
  theta: Encoder.Params,
  { ids, types }: Read
): tf.Scalar => {
  const shares = (encoder: Encoder.Params) => {
    const states = Encoder.encode(config, encoder, { ids, types })
    return tf.sub(states, tf.expandDims(Smooth.logSumExp(states), -1)) as tf.Tensor3D
  }
  const [q, p] = [shares(omega), shares(theta)]
  const each = tf.sum(tf.mul(tf.exp(p), tf.sub(p, q)), -1)
  const mask = Encoder.maskOf(config, { ids })
  return tf.div(tf.sum(tf.mul(each, mask)), tf.sum(mask))
}

/** The proximal term: squared differences of parameters, their sum or mean, or the divergence of outputs on a batch. */
export const distanceOf =
  (proximal: Settings["proximal"], config: EncoderConfig.EncoderConfig) =>
  (omega: Encoder.Params, theta: Encoder.Params, batch: Read): tf.Scalar =>
    proximal === "kl" ? divergence(config, omega, theta, batch) : Losses.proximal(omega, theta, { reduction: proximal })

const rateOf = ({ schedule }: Pick<Settings, "schedule">, rate: number, total: number): Rate.Rate =>
  schedule.kind === "step"
    ? Rate.step({ rate, every: schedule.every, factor: schedule.factor })
    : Rate.linear({ peak: rate, warmup: Math.min(schedule.warmup, total - 1), total })

/** Adam with the settings' schedule and decay, of so many updates. */
export const adam = (settings: Pick<Settings, "decay" | "schedule">, rate: number, total: number) => {
  const own = Optimizer.adam(rateOf(settings, rate, total))
  return settings.decay === 0 ? own : own.pipe(Optimizer.weightDecay(settings.decay))
}

/** Levels and problems. */
export const make = (
  settings: Settings,
  { encoder, heads: known, setting }: Base,
  task: Task,
  objectives: Objectives
) => {
  const { batch, gamma, rates, schedule, ticks } = settings
  const { kind } = task
  const grouped = (rate: number, total: number) =>
    Optimizer.groups(
      { encoder: adam(settings, rate, total), head: adam(settings, settings.rates.head * rate, total) },
      isEncoder
    )
  const product = settings.product === "exact" ? Product.exact : Product.finiteDifference({ radius: settings.radius })
  const identity = Hypergradient.implicit({ solver: Solver.identity, product })
  const through = (updates: number, how: Settings["estimator"]) => {
    switch (how) {
      case "identity":
        return identity
      case "unrolled":
        return Hypergradient.unrolled({ steps: updates, product })
      case "forward":
        return Hypergradient.forward({ updates, product })
      case "window":
        return Hypergradient.forward({ updates, product, curvature: false })
    }
  }
  const rows = (labelled: Supervised.Labelled, most: number) => Math.min(most, labelled.rows.length)
  const batches = (name: string, most: number) => (labelled: Supervised.Labelled) =>
    Supervised.batches(name, settingOf(setting, settings, rows(labelled, most)), labelled, kind)
  const train = Split.ofTrain(task.train, batches("train", batch.finetune))
  const validation = Split.ofValidation(task.validation, batches("validation", batch.reweight))
  const head = Pooling.head(setting, outputs(kind))

  const loss = ({ encoder, head }: Omega, batch: Supervised.Batch): tf.Scalar =>
    Supervised.lossOf(kind, Pooling.answers(setting, encoder, head, batch), batch.labels)
  /** The same without dropout: what is measured is not shaken. */
  const measured = (omega: Omega, { ids, labels, types }: Supervised.Batch): tf.Scalar =>
    Supervised.lossOf(kind, Pooling.answers(setting, omega.encoder, omega.head, { ids, types }), labels)
  const distance = distanceOf(settings.proximal, setting.config)

  /** Finetuning alone from an encoder: near it, which is equation 3 at the end of level I, or free of it. */
  const finetuning = (from: Encoder.HostParams, how: Exclude<Finetuning, "frozen">) => {
    const start = Var.make("theta", () => from)
    const omega = Var.make("omega", (seed) => ({ encoder: from, head: head(seed) }))
    const level = Level.minimize(omega, {
      name: "finetune",
      given: [start],
      data: train,
      optimizer: grouped(rates.finetune, settings.finetuneTicks),
      objective: ({ omega, theta }, batch) => {
        const task = loss(omega as Omega, batch)
        const near = distance(omega.encoder, theta, batch)
        return {
          loss: how === "held" ? tf.add(task, tf.mul(gamma, near)) : task,
          metrics: { task, distance: near }
        }
      }
    })
    return Problem.close(level.pipe(Level.fix(start)))
  }

  /** Everything that weights objectives; made for those that have a share. */
  const weighted = (objectives: Objectives, initial?: Lambda) => {
    const together = Objective.together(objectives)
    const headsOf = (seed: Seed.Seed): Objective.HostTheta["heads"] =>
      Object.fromEntries(Object.entries(together.heads(seed)).map(([name, head]) => [name, known?.[name] ?? head]))
    const theta = Var.make("theta", (seed): Objective.HostTheta => ({ encoder, heads: headsOf(seed) }))
    const omega = Var.make("omega", (seed) => ({ encoder, head: head(seed) }))
    const level = { data: together.data, optimizer: grouped(rates.pretrain, ticks), objectives: together.objectives }
    const reweighting = (rate: number) =>
      Optimizer.adam(schedule.kind === "step" ? rateOf(settings, rate, ticks) : rate)
    const levels = TapWeight.levels({
      theta: theta as unknown as Var.Var<"theta", Objective.Theta>,
      omega: omega as unknown as Var.Var<"omega", Omega>,
      pretrain: level,
      ...(initial === undefined ? {} : { initial }),
      finetune: {
        data: train,
        optimizer: grouped(rates.finetune, ticks),
        loss,
        gamma,
        shared: (omega, theta) => [omega.encoder, theta.encoder],
        distance: (omega, theta, batch) => distance(omega.encoder, theta.encoder, batch)
      },
      reweight: {
        data: validation,
        optimizer: reweighting(rates.reweight),
        loss: measured,
        warmup: settings.warmup,
        every: settings.every
      },
      hypergradient: { theta: through(settings.every, settings.estimator), omega: identity }
    })
    return { ...levels, theta, level, together, reweighting }
  }

  const all = weighted(objectives)
  const { beta } = all

  /** Level I alone under fixed shares: objectives without a share are not computed. */
  const pretraining = (lambda: Lambda) => {
    const some = weighted(objectives.filter(({ name }) => lambda[name]! > 0))
    const shares = Object.fromEntries(some.beta.elements.map((name) => [name, lambda[name]!]))
    return Problem.close(some.pretrain.pipe(Level.fix(some.beta, Simplex.logits(some.beta, shares))))
  }

  /** Equation 9: one model learns the pretraining objectives and the task at once. */
  const bilevel = () => {
    const { level, reweighting, theta, together } = all
    const shared = Var.make("theta", (seed, root) => ({ ...Var.initial(theta, root), task: head(seed) }))
    const mixture = TapWeight.mixture(beta, level)
    const both = Prefixed.all<Dataset.DataError, never>("joint", { texts: together.data, train })
    const joint = Level.minimize(
      shared as unknown as Var.Var<"theta", Objective.Theta & { readonly task: Omega["head"] }>,
      {
        name: "joint",
        given: [beta],
        data: both,
        optimizer: grouped(rates.pretrain, ticks),
        objective: ({ beta, theta }, batch) => {
          const mixed = mixture(beta, theta, Prefixed.part("texts", together.data, batch), undefined)
          const task = loss({ encoder: theta.encoder, head: theta.task }, Prefixed.part("train", train, batch))
          return { loss: tf.add(mixed.loss, tf.mul(settings.mix, task)), metrics: { ...mixed.metrics, task } }
        }
      }
    ).pipe(Level.hypergradient(through(settings.every, settings.estimator)), Level.unroll(settings.every))
    const reweight = Level.minimize(beta, {
      name: "reweight",
      upstream: [joint],
      data: validation,
      optimizer: reweighting(rates.reweight),
      objective: ({ beta, theta }, batch) => ({
        loss: measured({ encoder: theta.encoder, head: theta.task }, batch),
        metrics: Simplex.metrics(beta)
      })
    }).pipe(Level.warmup(settings.warmup))
    return Problem.close(reweight)
  }

  /** The objectives' heads alone, on the encoder as it is. */
  const heads = () => {
    const { level, theta } = all
    const optimizer = Optimizer.adam(settings.heads.rate).pipe(Optimizer.masked((path) => !path.startsWith("encoder.")))
    const alone = TapWeight.pretraining(theta as unknown as Var.Var<"theta", Objective.Theta>, beta, {
      ...level,
      optimizer,
      name: "heads",
      hypergradient: Hypergradient.detached
    })
    return Problem.close(alone.pipe(Level.fix(beta)))
  }

  /**
   * Level II solved: the head is the ridge regression on θ's own features, through which level III differentiates, and θ looks back through a
   * window of its updates. Without curvature each objective's gradient is taken once, and weighted afterwards.
   */
  const solved = () => {
    const { level, theta } = all
    const labels = Split.ofTrain(task.train, batches("solve", batch.solve))
    const held = Split.ofValidation(task.validation, batches("validation", batch.solve))
    const data = Prefixed.all<Dataset.DataError, never>("solved", { solve: labels, validation: held })
    const lower = TapWeight.pretraining(theta as unknown as Var.Var<"theta", Objective.Theta>, beta, {
      ...level,
      objectives: FirstOrder.objectives(level.objectives),
      name: "pretrain",
      hypergradient: through(settings.window, "window")
    }).pipe(Level.unroll(settings.window))
    const reweight = Level.minimize(beta, {
      name: "reweight",
      upstream: [lower],
      data,
      optimizer: Optimizer.sgd(rates.solved),
      objective: ({ beta, theta }, batch) => ({
        loss: SolvedHead.loss(
          setting,
          kind,
          settings.ridge,
          theta.encoder,
          Prefixed.part<Supervised.Batch>("solve", labels, batch),
          Prefixed.part<Supervised.Batch>("validation", held, batch)
        ),
        metrics: Simplex.metrics(beta)
      })
    }).pipe(Level.warmup(settings.warmup))
    return Problem.close(reweight)
  }

  return {
    /** The weights' variable, which knows the names of the objectives. */
    beta,
    finetuning,
    /** The objectives' heads alone. */
    heads,
    /** Level I alone with λ held at these shares. */
    pretraining,
    /** The three levels: λ is learned. */
    tapweight: () => Problem.close(all.reweight),
    bilevel,
    solved
  }
}

/** The levels on a task. */
export type Levels = ReturnType<typeof make>
