/** The workloads on which this engine and its peers are compared: betty_side.py and jax_side.py state the same. */
import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Init from "../../src/models/Init.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import { stopGradient } from "../../src/tensor/Smooth.ts"
import { threeLevels } from "./threeLevels.ts"
import { type Columns, cycle, darts, exact, initials, seedOf, type Workload } from "./Workload.ts"

const logistic = (inner: "repeat" | "unroll"): Workload => {
  const features = 20
  const rows = 500
  const truth = Seed.normal(seedOf("truth"), features)
  const draw = (seed: Seed.Seed) => {
    const x = Seed.normal(Seed.fold(seed, "x"), rows * features)
    const noise = Seed.normal(Seed.fold(seed, "noise"), rows)
    const y = noise.map((e, i) => Number(truth.reduce((sum, w, j) => sum + w * x[i * features + j]!, e) > 0))
    return { x: NdArray.float32([rows, features], x), y: NdArray.float32([rows], y) }
  }
  const [train, validation] = [draw(seedOf("fit")), draw(seedOf("tune"))]
  const w = Var.make("w", Init.zeros([features]))
  const penalty = Var.make("penalty", Init.ones([features]))
  const predict = (x: tf.Tensor2D, w: tf.Tensor1D) => tf.reshape(tf.matMul(x, tf.reshape(w, [features, 1])), [-1])
  const fit = Level.minimize(w, {
    name: "fit",
    given: [penalty],
    data: Dataset.constant("fit", train),
    optimizer: Optimizer.sgd(0.1),
    objective: ({ penalty, w }, { x, y }) =>
      tf.add(
        Objective.binaryCrossEntropy(predict(x, w), y),
        tf.mul(0.5, tf.sum(tf.mul(penalty, tf.square(w))))
      ) as tf.Scalar
  }).pipe(inner === "repeat" ? Level.repeat(10) : Level.unroll(10), Level.hypergradient(darts))
  const tune = Level.minimize(penalty, {
    name: "tune",
    upstream: [fit],
    data: Dataset.constant("tune", validation),
    optimizer: Optimizer.sgd(1).pipe(Optimizer.clamp({ minimum: 1e-8 })),
    objective: ({ w }, { x, y }) => Objective.binaryCrossEntropy(predict(x, w), y)
  })
  const problem = Problem.close(tune) as never
  const entries = (level: string, batch: Columns) =>
    Object.entries(batch).map(([field, array]) => [`data.${level}.0.${field}`, array] as const)
  return {
    title: `logistic HPO, 500 × 20, 10 inner steps (${inner === "repeat" ? "one tick" : "ten ticks"})`,
    peer: "logistic",
    problem,
    ticks: inner === "repeat" ? 1 : 10,
    steps: 2000,
    settling: 200,
    targets: inner === "repeat" ? { betty: 20, jax: 1.3 } : {},
    tolerance: 1e-4,
    levels: ["fit", "tune"],
    tensors: [...initials(problem), ...entries("fit", train), ...entries("tune", validation)]
  }
}

const reweighting = (estimator = darts): Workload => {
  const batch = 100
  const classes = 10
  const draw = (seed: Seed.Seed) => ({
    x: NdArray.float32([batch, 784], Seed.uniform(Seed.fold(seed, "x"), batch * 784)),
    y: NdArray.int32([batch], Seed.integers(Seed.fold(seed, "y"), batch, classes))
  })
  const noisy = cycle("classifier", draw)
  const clean = cycle("reweight", draw)
  const model = Var.make("model", Mlp.init([784, 256, 256, classes]))
  const weigher = Var.make("weigher", Mlp.init([1, 100, 1]))
  const classifier = Level.minimize(model, {
    name: "classifier",
    given: [weigher],
    data: noisy.dataset,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ model, weigher }, { x, y }) => {
      const losses = Objective.perExample(Mlp.apply(model, x), y)
      const weights = tf.sigmoid(Mlp.apply(weigher, tf.reshape(stopGradient(losses), [batch, 1])))
      return tf.mean(tf.mul(tf.reshape(weights, [batch]), losses)) as tf.Scalar
    }
  }).pipe(Level.hypergradient(estimator))
  const reweight = Level.minimize(weigher, {
    name: "reweight",
    upstream: [classifier],
    data: clean.dataset,
    optimizer: Optimizer.adam(0.001),
    objective: ({ model }, { x, y }) => Objective.crossEntropy(Mlp.apply(model, x), y)
  })
  const problem = Problem.close(reweight) as never
  return {
    title: "data reweighting, MLP 784-256-256-10, batches 100 + 100",
    peer: "reweighting",
    problem,
    ticks: 1,
    steps: 300,
    settling: 30,
    targets: { betty: 3, jax: 1.1 },
    // A difference and an exact derivative lie 2e-4 apart at the third step.
    tolerance: 1e-3,
    levels: ["classifier", "reweight"],
    tensors: [...initials(problem), ...noisy.tensors, ...clean.tensors]
  }
}

/** The workloads by name; each is made when it is asked for. */
export const workloads: { readonly [name: string]: () => Workload } = {
  logistic: () => logistic("repeat"),
  "logistic-ticks": () => logistic("unroll"),
  reweighting: () => reweighting(),
  "reweighting-exact": () => ({ ...reweighting(exact), exact: true }),
  transformer: () => threeLevels.transformer(darts),
  resnet: () => threeLevels.resnet(darts),
  roberta: () => threeLevels.transformer(darts, undefined, "base")
}
