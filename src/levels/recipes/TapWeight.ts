import * as tf from "@tensorflow/tfjs-core"
import type { Dataset } from "../../dsl/Dataset.ts"
import type { Hypergradient } from "../../dsl/Hypergradient.ts"
import * as Level from "../../dsl/Level.ts"
import type { Optimizer } from "../../dsl/Optimizer.ts"
import type { Tree } from "../../dsl/Tree.ts"
import * as Var from "../../dsl/Var.ts"
import * as Init from "../../models/Init.ts"
import { proximal } from "../../objectives/Proximal.ts"
import { weighted } from "../../objectives/Weighted.ts"

/** What one level learns from, and how. */
interface Part<B extends Tree, E, R> {
  readonly data: Dataset<B, E, R>
  readonly optimizer: Optimizer
}

/** The pieces of TapWeight that differ between applications. */
export interface Spec<T extends Tree, O extends Tree, P extends Tree, F extends Tree, V extends Tree, E, R> {
  /** The pretrained model θ, its pretraining heads included. */
  readonly theta: Var.Var<"theta", T>
  /** The finetuned model ω, its task head included. */
  readonly omega: Var.Var<"omega", O>
  /** Names of the pretraining objectives, in the order of their weights. */
  readonly objectives: ReadonlyArray<string>
  readonly pretrain: Part<P, E, R> & {
    /** The pretraining losses L₁ … Lₙ by name, in the order of `objectives`. */
    readonly losses: (theta: T, batch: P) => { readonly [objective: string]: tf.Scalar }
  }
  readonly finetune: Part<F, E, R> & {
    readonly loss: (omega: O, batch: F) => tf.Scalar
    /** Strength γ of the proximal term. */
    readonly gamma: number
    /** What the proximal term holds together: the shared encoder, heads left out. */
    readonly shared: (omega: O, theta: T) => readonly [omega: Tree, theta: Tree]
  }
  readonly reweight: Part<V, E, R> & {
    readonly loss: (omega: O, batch: V) => tf.Scalar
    /** Ticks that θ and ω train for before λ first moves. */
    readonly warmup: number
  }
  /** How the responses of θ* and ω* are differentiated. */
  readonly hypergradient: Hypergradient
}

/**
 * TapWeight (Zhang et al. 2025, equations 1 to 5): level I pretrains θ on Σ λᵢ Lᵢ, level II finetunes ω held close to θ*
 * by γ‖ω − θ*‖² (a sum over shared parameters, as in the released molecule code), level III moves λ = softmax(β) on
 * validation data. Baselines are the same levels with β held constant.
 */
export const levels = <
  T extends Tree,
  O extends Tree,
  P extends Tree,
  F extends Tree,
  V extends Tree,
  E = never,
  R = never
>(
  spec: Spec<T, O, P, F, V, E, R>
) => {
  const { finetune: second, hypergradient, objectives, omega, pretrain: first, reweight: third, theta } = spec
  const beta = Var.make("beta", Init.zeros([objectives.length]))
  const pretrain = Level.minimize(theta, {
    name: "pretrain",
    given: [beta],
    data: first.data,
    optimizer: first.optimizer,
    objective: (vars, batch) => weighted(tf.softmax(vars.beta), first.losses(vars.theta as T, batch))
  }).pipe(Level.hypergradient(hypergradient))
  const finetune = Level.minimize(omega, {
    name: "finetune",
    upstream: [pretrain],
    data: second.data,
    optimizer: second.optimizer,
    objective: (vars, batch) => {
      const task = second.loss(vars.omega as O, batch)
      const distance = proximal(...second.shared(vars.omega as O, vars.theta as T), { reduction: "sum" })
      return { loss: tf.add(task, tf.mul(second.gamma, distance)), metrics: { task, distance } }
    }
  }).pipe(Level.hypergradient(hypergradient))
  const reweight = Level.minimize(beta, {
    name: "reweight",
    upstream: [finetune],
    data: third.data,
    optimizer: third.optimizer,
    objective: (vars, batch) => ({
      loss: third.loss(vars.omega as O, batch),
      metrics: { beta: vars.beta as tf.Tensor1D, lambda: tf.softmax(vars.beta as tf.Tensor1D) }
    })
  }).pipe(Level.warmup(third.warmup))
  return { beta, pretrain, finetune, reweight }
}
