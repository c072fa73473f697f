/** Ways of learning the weights: what level III reads, and how far it looks back. */
import type * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  Mlp,
  NdArray,
  Objective as Losses,
  Optimizer,
  Product,
  Seed,
  Simplex,
  Solver,
  Split,
  TapWeight,
  Var
} from "tapweight"
import type * as Objective from "../objectives/Objective.ts"
import * as Levels from "./Levels.ts"
import * as SolvedHead from "./SolvedHead.ts"

type Omega = { readonly encoder: Objective.Theta["encoder"]; readonly head: Mlp.Dense }

/**
 * How the weights are learned: as the paper has it, by one step of finite differences through a finetuned ω, or above θ itself with a head
 * that is solved, by an estimator that looks back through some updates.
 */
export const ways = ["one-step", "unrolled", "window", "branches"] as const
export type Way = (typeof ways)[number]

export interface Options extends Levels.Options {
  /** Updates of level I between two of the weights, and what their gradient is times. */
  readonly window: { readonly updates: number; readonly rate: number }
  readonly unrolled: number
  readonly branches: { readonly updates: number; readonly radius: number; readonly rate: number }
  readonly oneStep: {
    readonly gamma: number
    readonly head: number
    readonly rate: number
    readonly warmup: number
    readonly every: number
    readonly batch: number
    readonly radius: number
  }
  readonly ridge: { readonly penalty: number; readonly scale: number }
}

/** How far each way of learning looks back, how often, and its rate on β. */
const lookingBack = (how: Exclude<Way, "one-step">, { branches, unrolled, window }: Options) => {
  switch (how) {
    case "window": {
      const { rate, updates } = window
      return { rate, updates, estimator: Hypergradient.forward({ updates, curvature: false, product: Product.exact }) }
    }
    case "unrolled": {
      // As often as the window, and of as many updates the last: its rate makes up for what it does not see.
      const { rate, updates } = window
      return {
        rate: (rate * updates) / unrolled,
        updates,
        estimator: Hypergradient.unrolled({ steps: unrolled, product: Product.exact })
      }
    }
    case "branches": {
      const { radius, rate, updates } = branches
      return { rate, updates, estimator: Hypergradient.branches({ updates, radius }) }
    }
  }
}

/** Rows of one part under those of another. */
const stacked = (one: SolvedHead.Labelled, other: SolvedHead.Labelled) =>
  Dataset.constant("labelled", {
    ids: NdArray.int32(
      [one.labels.data.length + other.labels.data.length, one.ids.shape[1]!] as const,
      Int32Array.from([...one.ids.data, ...other.ids.data])
    ),
    labels: NdArray.int32(
      [one.labels.data.length + other.labels.data.length] as const,
      Int32Array.from([...one.labels.data, ...other.labels.data])
    )
  })

/** λ learned on a task from its training and validation rows. */
export const make = (
  options: Options,
  { config, level, names, thetaOf, weights }: Levels.Levels,
  how: Way,
  classes: number,
  train: Split.Train<SolvedHead.Labelled>,
  validation: Split.Validation<SolvedHead.Labelled>
) => {
  const theta = thetaOf(names)
  const spec = level(names, how === "window")
  if (how !== "one-step") {
    const { estimator, rate, updates } = lookingBack(how, options)
    const pretrain = TapWeight.pretraining(theta as never, weights, {
      ...spec,
      name: "pretrain",
      hypergradient: estimator
    } as never)
    const probe = { ...options.ridge, classes, train: train.labels.data.length }
    const reweight = Level.minimize(
      weights as never,
      {
        name: "reweight",
        upstream: [(pretrain as any).pipe(Level.unroll(updates))],
        data: stacked(train, validation),
        optimizer: Optimizer.sgd(rate),
        objective: (
          vars: { readonly theta: Objective.Theta; readonly beta: tf.Tensor1D },
          batch: SolvedHead.Batch
        ) => ({
          loss: SolvedHead.loss(config, vars.theta.encoder, batch, probe),
          metrics: Simplex.metrics(vars.beta)
        })
      } as never
    )
    return Levels.closed(reweight)
  }
  const { batch, every, gamma, head: headRate, radius, rate, warmup } = options.oneStep
  const head = { w: Init.zeros([config.width, classes])(Seed.make(0)), b: Init.zeros([classes])(Seed.make(0)) }
  const omega = Var.make("omega", (_, root) => ({ encoder: Var.initial(theta, root).encoder, head }))
  const classify = (omega: Omega, { ids, labels }: SolvedHead.Batch) =>
    Losses.crossEntropy(Mlp.affine(omega.head, SolvedHead.features(config, omega.encoder, ids)), labels)
  const rows = (name: string, most: number) => (rows: SolvedHead.Labelled) =>
    Dataset.fromRows(name, rows, { batch: Math.min(most, rows.labels.data.length) })
  const { reweight } = TapWeight.levels({
    theta: theta as never,
    omega: omega as never,
    pretrain: spec as never,
    finetune: {
      data: Split.ofTrain(train, rows("train", 16)) as never,
      optimizer: Optimizer.groups({ head: Optimizer.adam(headRate), encoder: Optimizer.adam(options.rate) }, (path) =>
        path.startsWith("encoder.") ? "encoder" : "head"
      ),
      loss: classify as never,
      gamma,
      shared: ((omega: Omega, theta: Objective.Theta) => [omega.encoder, theta.encoder]) as never
    },
    reweight: {
      data: Split.ofValidation(validation, rows("validation", batch)) as never,
      optimizer: Optimizer.adam(rate),
      loss: classify as never,
      warmup,
      every
    },
    hypergradient: Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius }) })
  } as never) as any
  return Levels.closed(reweight)
}
