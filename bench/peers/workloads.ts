/** The workloads on which this engine and PyTorch with Betty are compared: `betty_side.py` states the same in PyTorch. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/Seed.ts"
import * as Tree from "../../src/dsl/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as TapWeight from "../../src/levels/recipes/TapWeight.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Init from "../../src/models/Init.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as ResNet from "../../src/models/ResNet.ts"
import * as Transformer from "../../src/models/Transformer.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import { initialVars } from "../../src/runtime/State.ts"
import { stopGradient } from "../../src/tensor/Smooth.ts"

/** One workload, with what both sides start from. */
export interface Workload {
  readonly title: string
  /** What the Python side calls it. */
  readonly peer: string
  readonly problem: Problem.Problem<any>
  /** Levels I and II alone, of a workload of three levels. */
  readonly held?: Problem.Problem<any>
  /** Ticks that make up one measured step. */
  readonly ticks: number
  /** Measured steps of one round, after the settling ones. */
  readonly steps: number
  readonly settling: number
  /** How often Betty's time should be ours. */
  readonly target: number
  /** Levels, lower first. */
  readonly levels: ReadonlyArray<string>
  /** Initial values and batches by name: `variable.path` and `data.level.index.field`. */
  readonly tensors: ReadonlyArray<readonly [name: string, array: NdArray.NdArray]>
}

type Columns = { readonly [name: string]: NdArray.NdArray }

/** How many batches are made beforehand; a run goes through them in turn. */
const held = 4
export const darts = Hypergradient.implicit({
  solver: Solver.identity,
  product: Product.finiteDifference({ radius: 0.01 })
})
const seedOf = (name: string) => Seed.fold(Seed.make(7), name)

const cycle = <const C extends Columns>(name: string, draw: (seed: Seed.Seed) => C) => {
  const batches = Array.from({ length: held }, (_, i) => draw(Seed.fold(seedOf(name), i)))
  const { fields } = Dataset.constant(name, batches[0]!)
  const open = Effect.succeed((_: Seed.Seed, index: number) => Effect.succeed(batches[index % held]!))
  type Batch = ReturnType<typeof Dataset.constant<C>> extends Dataset.Dataset<infer B> ? B : never
  const dataset = Dataset.make(name, { fields, open } as never) as never as Dataset.Dataset<Batch>
  const tensors = batches.flatMap((batch, i) =>
    Object.entries(batch).map(([field, array]) => [`data.${name}.${i}.${field}`, array] as const)
  )
  return { dataset, tensors }
}

/** The values that a run with seed 0 starts from. */
const initials = (problem: Problem.Problem<any>) =>
  Object.entries(initialVars(problem as never, Seed.make(0))).flatMap(([variable, value]) =>
    Tree.hostEntries(value).map(([path, array]) => [path === "" ? variable : `${variable}.${path}`, array] as const)
  )

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
    steps: 3000,
    settling: 300,
    target: 5,
    levels: ["fit", "tune"],
    tensors: [...initials(problem), ...entries("fit", train), ...entries("tune", validation)]
  }
}

const reweighting = (): Workload => {
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
  }).pipe(Level.hypergradient(darts))
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
    steps: 500,
    settling: 50,
    target: 2,
    levels: ["classifier", "reweight"],
    tensors: [...initials(problem), ...noisy.tensors, ...clean.tensors]
  }
}

const transformer = (estimator: Hypergradient.Hypergradient): Workload => {
  const config = { vocabulary: 4000, length: 64, width: 256, heads: 4, layers: 4, hidden: 1024 }
  const { length, vocabulary, width } = config
  const batch = 16
  const masked = 10
  const classes = 10
  const tokens = (seed: Seed.Seed, rows: number, columns: number) =>
    // Token 0 is padding, of which there is none.
    NdArray.int32(
      [rows, columns],
      Seed.integers(seed, rows * columns, vocabulary - 1).map((id) => id + 1)
    )
  const corpus = cycle("pretrain", (seed) => {
    const places = Seed.integers(Seed.fold(seed, "positions"), batch * masked, length)
    return {
      mlm: tokens(Seed.fold(seed, "mlm"), batch, length),
      one: tokens(Seed.fold(seed, "one"), batch, length),
      two: tokens(Seed.fold(seed, "two"), batch, length),
      positions: NdArray.int32(
        [batch, masked],
        places.map((place, i) => Math.floor(i / masked) * length + place)
      ),
      targets: tokens(Seed.fold(seed, "targets"), batch, masked),
      weights: NdArray.float32([batch, masked], new Float32Array(batch * masked).fill(1)),
      order: NdArray.int32([batch], Seed.integers(Seed.fold(seed, "order"), batch, 2))
    }
  })
  const labelled = (name: string) =>
    cycle(name, (seed) => ({
      ids: tokens(Seed.fold(seed, "ids"), batch, length),
      labels: NdArray.int32([batch], Seed.integers(Seed.fold(seed, "labels"), batch, classes))
    }))
  const [train, validation] = [labelled("finetune"), labelled("reweight")]
  const theta = Var.make("theta", (seed) => ({
    encoder: Transformer.init(config)(seed),
    order: Mlp.dense(width, 2)(seed)
  }))
  const omega = Var.make("omega", (seed, root) => ({
    encoder: Var.initial(theta, root).encoder,
    head: Mlp.dense(width, classes)(seed)
  }))
  type Omega = { readonly encoder: Transformer.Params; readonly head: Mlp.Dense }
  const classify = (omega: Omega, { ids, labels }: { readonly ids: tf.Tensor2D; readonly labels: tf.Tensor1D }) =>
    Objective.crossEntropy(
      Mlp.affine(omega.head, Transformer.average(Transformer.encode(omega.encoder, ids), ids)),
      labels
    )
  const part = (hidden: tf.Tensor3D, i: number) => tf.slice(hidden, [i * batch, 0, 0], [batch, length, width])
  const { beta, finetune, reweight } = TapWeight.levels({
    theta,
    omega,
    objectives: ["mlm", "contrastive", "order"],
    pretrain: {
      data: corpus.dataset,
      optimizer: Optimizer.adam(1e-4),
      losses: (theta, { mlm, one, order, positions, targets, two, weights }) => {
        const hidden = Transformer.encode(theta.encoder, tf.concat([mlm, one, two]) as tf.Tensor2D)
        const average = (i: number, ids: tf.Tensor2D) => Transformer.average(part(hidden, i), ids)
        return {
          mlm: Objective.maskedLanguage(part(hidden, 0), theta.encoder.tokens, { positions, targets, weights }),
          contrastive: Objective.contrastive(average(1, one), average(2, two), 0.1),
          order: Objective.crossEntropy(Mlp.affine(theta.order, Transformer.first(part(hidden, 1))), order)
        }
      }
    },
    finetune: {
      data: train.dataset,
      optimizer: Optimizer.adam(1e-4),
      loss: classify,
      gamma: 0.001,
      shared: (omega, theta) => [omega.encoder, theta.encoder]
    },
    reweight: { data: validation.dataset, optimizer: Optimizer.sgd(1), loss: classify, warmup: 0 },
    hypergradient: estimator
  })
  const problem = Problem.close(reweight) as never
  return {
    title: "TapWeight, Transformer of 4 layers, d 256, T 64, B 16",
    peer: "transformer",
    problem,
    held: Problem.close(finetune.pipe(Level.fix(beta))) as never,
    ticks: 1,
    steps: 10,
    settling: 3,
    target: 1.3,
    levels: ["pretrain", "finetune", "reweight"],
    tensors: [...initials(problem), ...corpus.tensors, ...train.tensors, ...validation.tensors]
  }
}

const resnet = (estimator: Hypergradient.Hypergradient): Workload => {
  const [batch, size, features, classes] = [16, 64, 512, 2]
  const heads = { small: 100, medium: 1000, large: 10_000, jigsaw: 101 }
  const pictures = (seed: Seed.Seed) =>
    NdArray.float32([batch, size, size, 3], Seed.normal(Seed.fold(seed, "x"), batch * size * size * 3))
  const labels = (seed: Seed.Seed, name: string, count: number) =>
    NdArray.int32([batch], Seed.integers(Seed.fold(seed, name), batch, count))
  const corpus = cycle("pretrain", (seed) => ({
    x: pictures(seed),
    small: labels(seed, "small", heads.small),
    medium: labels(seed, "medium", heads.medium),
    large: labels(seed, "large", heads.large),
    jigsaw: labels(seed, "jigsaw", heads.jigsaw)
  }))
  const labelled = (name: string) => cycle(name, (seed) => ({ x: pictures(seed), labels: labels(seed, "y", classes) }))
  const [train, validation] = [labelled("finetune"), labelled("reweight")]
  const dense = (seed: Seed.Seed, name: string, outputs: number) => Mlp.dense(features, outputs)(Seed.fold(seed, name))
  const theta = Var.make("theta", (seed) => ({
    encoder: ResNet.init(ResNet.resnet18)(seed),
    small: dense(seed, "small", heads.small),
    medium: dense(seed, "medium", heads.medium),
    large: dense(seed, "large", heads.large),
    jigsaw: dense(seed, "jigsaw", heads.jigsaw)
  }))
  const omega = Var.make("omega", (seed, root) => ({
    encoder: Var.initial(theta, root).encoder,
    head: Mlp.dense(features, classes)(seed)
  }))
  // Both sides normalise by the batch and keep no running statistics.
  const untracked = () =>
    Tree.toLive(ResNet.statistics(ResNet.resnet18)(), ({ shape }) => tf.zeros([...shape])) as ResNet.Statistics
  const encode = (params: ResNet.Params, x: tf.Tensor4D) => ResNet.train(params, untracked(), x)[0]
  const classify = (
    omega: { readonly encoder: ResNet.Params; readonly head: Mlp.Dense },
    { labels, x }: { readonly x: tf.Tensor4D; readonly labels: tf.Tensor1D }
  ) => Objective.crossEntropy(Mlp.affine(omega.head, encode(omega.encoder, x)), labels)
  const { beta, finetune, reweight } = TapWeight.levels({
    theta,
    omega,
    objectives: Object.keys(heads),
    pretrain: {
      data: corpus.dataset,
      optimizer: Optimizer.momentum(0.02, { momentum: 0.9 }),
      losses: (theta, { jigsaw, large, medium, small, x }) => {
        const found = encode(theta.encoder, x)
        return {
          small: Objective.crossEntropy(Mlp.affine(theta.small, found), small),
          medium: Objective.crossEntropy(Mlp.affine(theta.medium, found), medium),
          large: Objective.crossEntropy(Mlp.affine(theta.large, found), large),
          jigsaw: Objective.crossEntropy(Mlp.affine(theta.jigsaw, found), jigsaw)
        }
      }
    },
    finetune: {
      data: train.dataset,
      optimizer: Optimizer.momentum(0.01, { momentum: 0.9 }),
      loss: classify,
      gamma: 0.001,
      shared: (omega, theta) => [omega.encoder, theta.encoder]
    },
    reweight: { data: validation.dataset, optimizer: Optimizer.sgd(1), loss: classify, warmup: 0 },
    hypergradient: estimator
  })
  const problem = Problem.close(reweight) as never
  return {
    title: "TapWeight, ResNet18 on pictures of 64 pixels, B 16 at each level",
    peer: "resnet",
    problem,
    held: Problem.close(finetune.pipe(Level.fix(beta))) as never,
    ticks: 1,
    steps: 6,
    settling: 3,
    target: 1.1,
    levels: ["pretrain", "finetune", "reweight"],
    tensors: [...initials(problem), ...corpus.tensors, ...train.tensors, ...validation.tensors]
  }
}

/** The levels of a three-level workload under an estimator: what `bench/shares.ts` takes apart. */
export const threeLevels = { transformer, resnet }

/** The workloads by name; each is made when it is asked for. */
export const workloads: { readonly [name: string]: () => Workload } = {
  logistic: () => logistic("repeat"),
  "logistic-ticks": () => logistic("unroll"),
  reweighting,
  transformer: () => transformer(darts),
  resnet: () => resnet(darts)
}
