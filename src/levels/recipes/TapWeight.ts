import * as tf from "@tensorflow/tfjs-core"
import type { Dataset } from "../../dsl/Dataset.ts"
import type { Hypergradient, Structure } from "../../dsl/Hypergradient.ts"
import * as Level from "../../dsl/Level.ts"
import type { Optimizer } from "../../dsl/Optimizer.ts"
import type * as Split from "../../dsl/Split.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import { proximal } from "../../objectives/Proximal.ts"
import * as Simplex from "../../objectives/Simplex.ts"
import { weighted } from "../../objectives/Weighted.ts"

/** What one level learns from, and how. */
interface Part<B extends Tree, E, R> {
  readonly data: Dataset<B, E, R>
  readonly optimizer: Optimizer
}

/** The value of a level's buffers; `undefined` of a level that has none. */
type Buffered<B extends Var.Any> = [B] extends [never] ? undefined : B extends Var<string, infer T> ? T : never
/** What holds the buffers after an update, where a level has any. */
type Carrying<B extends Var.Any> = [B] extends [never] ? unknown : { readonly buffers: Structure<Buffered<B>> }

/** Pretraining objectives L₁ … Lₙ: one record is their names, their order and their losses. */
export interface Objectives<T extends Tree, P extends Tree, Name extends string, S = undefined, Carried = undefined> {
  /**
   * What objectives share, computed once for a batch: the encoder's pass, say. With buffers it gives, beside what they share,
   * what the `buffers` are after the batch. It stands before the objectives that read what it gives.
   */
  readonly pass?: (theta: T, batch: P, buffers: Carried) => S
  /** The losses by name, each of the model, a batch and what {@link pass} gives. */
  readonly objectives: { readonly [N in Name]: (theta: T, batch: P, shared: S) => tf.Scalar }
}

/** Level I, to be solved under weights β. */
export interface Pretraining<
  T extends Tree,
  P extends Tree,
  Name extends string,
  S extends Carrying<B>,
  B extends Var.Any = never,
  E = never,
  R = never
>
  extends Part<P, E, R>, Objectives<T, P, Name, S, Buffered<B>> {
  /** What the encoder carries and does not minimize: the running statistics of batch norm. */
  readonly buffers?: B
}

/** The pieces of TapWeight that differ between applications. */
export interface Spec<
  T extends Tree,
  O extends Tree,
  P extends Tree,
  F extends Tree,
  V extends Tree,
  Name extends string,
  S extends Carrying<TB>,
  TB extends Var.Any,
  OB extends Var.Any,
  E,
  R
> {
  /** The pretrained model θ, its pretraining heads included. */
  readonly theta: Var<"theta", T>
  /** The finetuned model ω, its task head included. */
  readonly omega: Var<"omega", O>
  readonly pretrain: Pretraining<T, P, Name, S, TB, E, R>
  /** Shares that λ starts from, or is held at without reweighting; equal where absent. */
  readonly initial?: Simplex.Shares<NoInfer<Name>>
  readonly finetune: Part<F, E, R> & {
    /** Labelled data to train on. */
    readonly data: Split.Train<Dataset<F, E, R>>
    readonly buffers?: OB
    /** The task's loss; with buffers, what they are after the batch beside it. */
    readonly loss: (
      omega: O,
      batch: F,
      buffers: Buffered<OB>
    ) => [OB] extends [never] ? tf.Scalar : { readonly loss: tf.Scalar } & Carrying<OB>
    /** Strength γ of the proximal term. */
    readonly gamma: number
    /** What the proximal term holds together: the shared encoder, heads left out. */
    readonly shared: (omega: O, theta: T) => readonly [omega: Tree, theta: Tree]
    /** How far ω is from θ, of which a batch may say something; the sum of squared differences of what they share where absent. */
    readonly distance?: (omega: O, theta: T, batch: F) => tf.Scalar
  }
  readonly reweight: Part<V, E, R> & {
    /** Validation data: what level II trains on does not compile here. */
    readonly data: Split.Validation<Dataset<V, E, R>>
    /** The loss on validation data; it reads ω's buffers and leaves them as they are. */
    readonly loss: (omega: O, batch: V, buffers: Buffered<OB>) => tf.Scalar
    /** Ticks that θ and ω train for before λ first moves. */
    readonly warmup: number
    /** Ticks from one update of λ to the next, as many updates of θ and ω; 1 where absent. */
    readonly every?: number
  }
  /**
   * How the responses of θ* and ω* are differentiated: alike, or each in its own way, as where λ looks back through `every`
   * updates of θ by `Hypergradient.forward`.
   */
  readonly hypergradient: Hypergradient | { readonly theta: Hypergradient; readonly omega: Hypergradient }
}

/** The three levels. Baselines are the same levels with β held constant. */
export interface Levels<
  T extends Tree,
  O extends Tree,
  Name extends string,
  TB extends Var.Any,
  OB extends Var.Any,
  E,
  R
> {
  readonly beta: Simplex.Simplex<"beta", Name>
  readonly pretrain: Level.Level<
    Var<"theta", T>,
    Simplex.Simplex<"beta", Name>,
    Var<"theta", T> | Level.Carried<TB>,
    E,
    R,
    TB
  >
  readonly finetune: Level.Level<
    Var<"omega", O>,
    Simplex.Simplex<"beta", Name>,
    Var<"omega", O> | Level.Carried<OB> | Var<"theta", T> | Level.Carried<TB>,
    E,
    R,
    OB
  >
  readonly reweight: Level.Level<
    Simplex.Simplex<"beta", Name>,
    never,
    Simplex.Simplex<"beta", Name> | Var<"omega", O> | Level.Carried<OB> | Var<"theta", T> | Level.Carried<TB>,
    E,
    R
  >
}

/** The weights β of a record of objectives, which gives them their names and their order. */
export const weightsOf = <Name extends string>(
  objectives: { readonly [N in Name]: unknown },
  initial?: Simplex.Shares<NoInfer<Name>>
): Simplex.Simplex<"beta", Name> =>
  Simplex.make("beta", Object.keys(objectives) as Array<Name>, initial === undefined ? {} : { initial })

/** Σ λᵢ Lᵢ of a batch, with each Lᵢ reported under its name and what the shared pass gave: what level I minimizes. */
export const mixture =
  <T extends Tree, P extends Tree, Name extends string, S, Carried>(
    weights: Simplex.Simplex<string, Name>,
    { objectives, pass }: Objectives<T, P, Name, S, Carried>
  ) =>
  (beta: tf.Tensor1D, theta: T, batch: P, buffers: Carried) => {
    const shared = pass?.(theta, batch, buffers) as S
    const losses = weights.elements.map((name) => [name, objectives[name](theta, batch, shared)] as const)
    return {
      ...weighted(Simplex.weights(weights, beta), Object.fromEntries(losses) as { readonly [N in Name]: tf.Scalar }),
      shared
    }
  }

/** Level I alone, under weights that are given to it. */
export const pretraining = <
  T extends Tree,
  P extends Tree,
  Name extends string,
  S extends Carrying<B> = never,
  B extends Var.Any = never,
  E = never,
  R = never
>(
  theta: Var<"theta", T>,
  beta: Simplex.Simplex<"beta", Name>,
  spec: Pretraining<T, P, Name, S, B, E, R> & {
    /** The level's name, from which its batches and noise are drawn. */
    readonly name: string
    readonly hypergradient: Hypergradient
  }
): Levels<T, never, Name, B, never, E, R>["pretrain"] => {
  const loss = mixture(beta, spec)
  const { buffers } = spec
  const level = Level.minimize(theta as Var.Any, {
    name: spec.name,
    given: [beta],
    ...(buffers === undefined ? {} : { buffers: buffers as Var.Any }),
    data: spec.data,
    optimizer: spec.optimizer,
    objective: ((vars: { readonly [name: string]: Tree }, batch: P) => {
      const carried = buffers === undefined ? undefined : vars[buffers.name]
      const { shared, ...mixed } = loss(vars["beta"] as tf.Tensor1D, vars["theta"] as T, batch, carried as Buffered<B>)
      return buffers === undefined ? mixed : { ...mixed, buffers: (shared as { readonly buffers: Tree }).buffers }
    }) as never
  })
  return level.pipe(Level.hypergradient(spec.hypergradient)) as never
}

/**
 * TapWeight (Zhang et al. 2025, equations 1 to 5): level I pretrains θ on Σ λᵢ Lᵢ, level II finetunes ω held close to θ*
 * by γ‖ω − θ*‖² (a sum over shared parameters, as in the released molecule code), level III moves λ = softmax(β) on
 * validation data. Names, order and losses of the objectives are one record. Throws a `RangeError` where a name is a whole
 * number, which a record would move to its front.
 */
export const levels = <
  T extends Tree,
  O extends Tree,
  P extends Tree,
  F extends Tree,
  V extends Tree,
  Name extends string,
  S extends Carrying<TB> = never,
  TB extends Var.Any = never,
  OB extends Var.Any = never,
  E = never,
  R = never
>(
  spec: Spec<T, O, P, F, V, Name, S, TB, OB, E, R>
): Levels<T, O, Name, TB, OB, E, R> => {
  const { finetune: second, hypergradient, omega, pretrain: first, reweight: third, theta } = spec
  const beta = weightsOf(first.objectives, spec.initial)
  const estimators = "theta" in hypergradient ? hypergradient : { theta: hypergradient, omega: hypergradient }
  const pretrain = pretraining(theta, beta, { ...first, name: "pretrain", hypergradient: estimators.theta })
  const { buffers } = second
  // Named at run time here: what the types of a spec say of its buffers is more than `minimize` can be told of them.
  type Read = { readonly [name: string]: Tree }
  const carried = (vars: Read) => (buffers === undefined ? undefined : vars[buffers.name]) as Buffered<OB>
  const finetune = Level.minimize(omega as Var.Any, {
    name: "finetune",
    upstream: [pretrain as Level.Level.Any],
    ...(buffers === undefined ? {} : { buffers: buffers as Var.Any }),
    data: second.data,
    optimizer: second.optimizer,
    objective: ((vars: Read, batch: F) => {
      const found = second.loss(vars["omega"] as O, batch, carried(vars))
      const { loss: task, ...next } = (buffers === undefined ? { loss: found } : found) as {
        readonly loss: tf.Scalar
        readonly buffers?: Tree
      }
      const [omega, theta] = [vars["omega"] as O, vars["theta"] as T]
      const distance =
        second.distance === undefined
          ? proximal(...second.shared(omega, theta), { reduction: "sum" })
          : second.distance(omega, theta, batch)
      return { loss: tf.add(task, tf.mul(second.gamma, distance)), metrics: { task, distance }, ...next }
    }) as never
  }).pipe(Level.hypergradient(estimators.omega), Level.unroll(third.every ?? 1))
  const reweight = Level.minimize(beta as Var.Any, {
    name: "reweight",
    upstream: [finetune as Level.Level.Any],
    data: third.data,
    optimizer: third.optimizer,
    objective: ((vars: Read, batch: V) => ({
      loss: third.loss(vars["omega"] as O, batch, carried(vars)),
      metrics: Simplex.metrics(vars["beta"] as tf.Tensor1D)
    })) as never
  }).pipe(Level.warmup(third.warmup))
  return { beta, pretrain, finetune, reweight } as never
}
