/** Level I on objectives at fixed weights, its heads alone, and what levels above it are made of. */
import * as tf from "@tensorflow/tfjs-core"
import {
  type Dataset,
  type EncoderConfig,
  Hypergradient,
  Level,
  Optimizer,
  Problem,
  type Rate,
  Simplex,
  TapWeight,
  type Tree,
  Var
} from "tapweight"
import * as FirstOrder from "../../common/FirstOrder.ts"
import * as Objective from "../objectives/Objective.ts"

/** How level I trains. */
export interface Options {
  /** Updates of the encoder. */
  readonly ticks: number
  readonly rate: number
  /** Updates of the heads alone, before. */
  readonly heads: { readonly ticks: number; readonly rate: number }
}

/** Up over ten updates, level for half of all, then down to a tenth. */
const schedule = (peak: number, total: number): Rate.Rate => ({
  name: `held(peak=${peak}, total=${total})`,
  at: (clock) => {
    const t = tf.cast(clock, "float32")
    const up = tf.minimum(tf.div(tf.add(t, 1), 10), 1)
    const down = tf.sub(1, tf.mul(0.9, tf.maximum(tf.div(tf.sub(t, total / 2), total / 2), 0)))
    return tf.mul(peak, tf.minimum(up, down)) as tf.Scalar
  }
})

// Names are known at run time alone here, so that types of levels say nothing.
export const closed = (level: unknown) =>
  Problem.close(level as never) as unknown as Problem.Problem<Var.Var<"theta", Tree.Tree>, Dataset.DataError, never>

/** Level I on these objectives, from an encoder and heads. */
export const make = (
  options: Options,
  config: EncoderConfig.EncoderConfig,
  all: ReadonlyArray<Objective.Objective<Dataset.DataError>>,
  start: Objective.HostTheta
) => {
  const names = all.map(({ name }) => name)
  const weights = Simplex.make("beta", names)
  /** What level I minimizes; linearised where its response to the weights is all that a level above asks of it. */
  const level = (used: ReadonlyArray<string>, linearised = false) => {
    const { data, objectives } = Objective.together(all.filter(({ name }) => used.includes(name)))
    return {
      data,
      optimizer: Optimizer.adam(schedule(options.rate, options.ticks)),
      objectives: linearised ? FirstOrder.objectives(objectives) : objectives
    }
  }
  const thetaOf = (used: ReadonlyArray<string>) => {
    const heads = all.filter(({ name }) => used.includes(name)).map(({ name, shares = name }) => shares)
    return Var.make("theta", () => ({
      encoder: start.encoder,
      heads: Object.fromEntries(heads.map((head) => [head, start.heads[head]!]))
    }))
  }
  /** Level I alone at fixed weights: objectives of no weight are not computed. */
  const fixed = (lambda: { readonly [name: string]: number }) => {
    const used = names.filter((name) => lambda[name]! > 0)
    const beta = Simplex.make("beta", used)
    const theta = thetaOf(used)
    const pretrain = TapWeight.pretraining(theta as never, beta, {
      ...level(used),
      name: "pretrain",
      hypergradient: Hypergradient.detached
    } as never) as Level.Level.Any
    const shares = Object.fromEntries(used.map((name) => [name, lambda[name]!]))
    return closed((pretrain as any).pipe(Level.fix(beta as never, Simplex.logits(beta, shares as never) as never)))
  }
  /** The heads alone, on the encoder as it is. */
  const warm = () => {
    const beta = Simplex.make("beta", names)
    const theta = thetaOf(names)
    const pretrain = TapWeight.pretraining(theta as never, beta, {
      ...level(names),
      optimizer: Optimizer.adam(options.heads.rate).pipe(Optimizer.masked((path) => path.startsWith("heads"))),
      name: "heads",
      hypergradient: Hypergradient.detached
    } as never)
    return closed((pretrain as any).pipe(Level.fix(beta as never)))
  }

  return { config, names, weights, level, thetaOf, fixed, warm }
}

/** What {@link make} gives. */
export type Levels = ReturnType<typeof make>
