import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  Dataset,
  Hypergradient,
  Level,
  Mlp,
  NdArray,
  Objective,
  OnnxEngine as Compiled,
  Optimizer,
  Problem,
  Product,
  Run,
  Seed,
  Solver,
  Split,
  TapWeight,
  Var
} from "tapweight"

type Label = "product" | "sum" | "coin"

/** Rows with two unrelated labels that can be learned and one that cannot. */
const table = (name: string, rows: number) => {
  const seed = Seed.fold(Seed.make(8), name)
  const x = Seed.normal(Seed.fold(seed, "x"), rows * 6)
  const label = (f: (at: number) => number) =>
    NdArray.float32(
      [rows],
      Float32Array.from({ length: rows }, (_, i) => Number(f(6 * i) > 0))
    )
  return {
    x: NdArray.float32([rows, 6], x),
    product: label((i) => x[i]! * x[i + 1]!),
    sum: label((i) => x[i + 2]! + x[i + 3]! * x[i + 4]!),
    coin: NdArray.float32([rows], Float32Array.from(Seed.integers(Seed.fold(seed, "coin"), rows, 2)))
  }
}
type Rows = { readonly x: tf.Tensor2D } & { readonly [L in Label]: tf.Tensor1D }

/** TapWeight with a shared body and one shared output, so that objectives that disagree pull against each other. */
const levels = (objectives: ReadonlyArray<Label>, downstream: Label) => {
  const theta = Var.make("theta", Mlp.init([6, 24, 1]))
  const omega = Var.make("omega", (_, root) => Var.initial(theta, root))
  const loss = (p: Mlp.Params, rows: Rows, label: Label) =>
    Objective.binaryCrossEntropy(tf.reshape(Mlp.apply(p, rows.x, tf.softplus), [-1]), rows[label])
  const labelled = Split.apart({
    train: Dataset.fromRows("train", table("train", 40), { batch: 20 }),
    validation: Dataset.fromRows("validation", table("validation", 60), { batch: 60 })
  })
  return TapWeight.levels({
    theta,
    omega,
    pretrain: {
      data: Dataset.fromRows("corpus", table("corpus", 300), { batch: 50 }),
      optimizer: Optimizer.adam(0.01),
      objectives: Object.fromEntries(
        objectives.map((label) => [label, (theta: Mlp.Params, rows: Rows) => loss(theta, rows, label)])
      )
    },
    finetune: {
      data: labelled.train,
      optimizer: Optimizer.adam(0.01),
      loss: (omega, rows) => loss(omega, rows as never, downstream),
      gamma: 0.1,
      shared: (omega, theta) => [omega, theta]
    },
    reweight: {
      data: labelled.validation,
      optimizer: Optimizer.adam(0.02),
      loss: (omega, rows) => loss(omega, rows as never, downstream),
      warmup: 20
    },
    hypergradient: Hypergradient.implicit({
      solver: Solver.identity,
      product: Product.finiteDifference({ radius: 0.01 })
    })
  })
}

const ticks = 300
const last = (values: ReadonlyArray<number>) => values.slice(-50).reduce((sum, v) => sum + v, 0) / 50

/** λ at the end, and the validation loss averaged over the last 50 ticks. */
const learned = (objectives: ReadonlyArray<Label>, downstream: Label, seed: number) =>
  Effect.gen(function* () {
    const losses: Array<number> = []
    let lambda: ReadonlyArray<number> = []
    yield* Run.ticks(Problem.close(levels(objectives, downstream).reweight), { ticks, seed }).pipe(
      Stream.runForEach((tick) =>
        Effect.sync(() => {
          const level = tick.levels["reweight"]
          if (level === undefined) return
          losses.push(level.loss)
          lambda = level.metrics["lambda"] as ReadonlyArray<number>
        })
      )
    )
    return { lambda, loss: last(losses) }
  })

/** The same levels under equal weights: level III looks, and does not move. */
const equal = (objectives: ReadonlyArray<Label>, downstream: Label, seed: number) =>
  Effect.gen(function* () {
    const { beta, finetune } = levels(objectives, downstream)
    const held = Problem.close(finetune.pipe(Level.fix(beta)))
    const validation = Dataset.constant("validation", table("validation", 60))
    const losses: Array<number> = []
    const measure = (vars: { readonly [name: string]: unknown }, rows: Rows) => ({
      loss: Objective.binaryCrossEntropy(
        tf.reshape(Mlp.apply(vars["omega"] as Mlp.Params, rows.x, tf.softplus), [-1]),
        rows[downstream]
      )
    })
    const sample = yield* Effect.scoped(validation.open)
    const batch = yield* sample(Seed.make(0), 0)
    yield* Run.ticks(held, { ticks, seed }).pipe(
      Stream.runForEach((tick) =>
        tick.index <= ticks - 50
          ? Effect.void
          : Effect.map(tick.evaluate<Rows, { readonly loss: tf.Scalar }>(measure as never, batch as never), (found) => {
              losses.push(found.loss.data[0]!)
            })
      )
    )
    return last(losses)
  })

const engine = Effect.provide(Compiled.layer({ threads: 1 }))

describe("learning weights works", () => {
  it.live("a planted useless objective: its weight falls in every seed, and validation loss below equal weights'", () =>
    Effect.forEach([0, 1, 2], (seed) =>
      Effect.gen(function* () {
        const found = yield* learned(["product", "coin"], "product", seed)
        assert.isBelow(found.lambda[1]!, 0.4, `seed ${seed}`)
        assert.isBelow(found.loss, yield* equal(["product", "coin"], "product", seed), `seed ${seed}`)
      })
    ).pipe(engine)
  )

  it.live("opposite downstream tasks pull the weights in different directions, in every seed", () =>
    Effect.forEach([0, 1, 2], (seed) =>
      Effect.gen(function* () {
        const product = yield* learned(["product", "sum"], "product", seed)
        const sum = yield* learned(["product", "sum"], "sum", seed)
        assert.isAbove(product.lambda[0]!, 0.6, `seed ${seed}: product`)
        assert.isAbove(sum.lambda[1]!, 0.6, `seed ${seed}: sum`)
      })
    ).pipe(engine)
  )
})
