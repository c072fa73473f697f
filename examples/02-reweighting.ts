// Data reweighting: 40 % of the training labels are flipped; each example's weight is learned on a few clean ones.
//   tapweight run examples/02-reweighting.ts
import * as tf from "@tensorflow/tfjs-core"
import {
  Config,
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
  Program,
  Seed,
  Solver,
  Var
} from "tapweight"

const rows = 60
const flipped = 24

/** Two noisy classes on either side of a line; of the training rows the first `flips` have the wrong label. */
const points = (name: string, count: number, flips: number) => {
  const seed = Seed.fold(Seed.make(2), name)
  const x = Seed.normal(seed, 2 * count)
  const y = Float32Array.from({ length: count }, (_, i) => (x[2 * i]! + x[2 * i + 1]! > 0 === i >= flips ? 1 : 0))
  const index = Int32Array.from({ length: count }, (_, i) => i)
  return { x: NdArray.float32([count, 2], x), y: NdArray.float32([count], y), index: NdArray.int32([count], index) }
}

const model = Var.make("model", Mlp.init([2, 16, 1]))
const weights = Var.make("weights", Init.zeros([rows]))
const logits = (p: Mlp.Params, x: tf.Tensor2D) => tf.reshape(Mlp.apply(p, x, tf.softplus), [-1])

const train = Level.minimize(model, {
  name: "train",
  given: [weights],
  data: Dataset.fromRows("noisy", points("noisy", rows, flipped), { batch: 30 }),
  optimizer: Optimizer.adam(0.02),
  objective: ({ model, weights }, { index, x, y }) => {
    const z = logits(model, x)
    const losses = tf.sub(tf.softplus(z), tf.mul(z, y))
    return tf.mean(tf.mul(tf.sigmoid(tf.gather(weights, index)), losses))
  }
}).pipe(
  Level.hypergradient(
    Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.1 }) })
  )
)

const reweight = Level.minimize(weights, {
  name: "reweight",
  upstream: [train],
  data: Dataset.fromRows("clean", points("clean", 40, 0), { batch: 20 }),
  optimizer: Optimizer.adam(0.05),
  objective: ({ model }, { x, y }) => Objective.binaryCrossEntropy(logits(model, x), y)
})

export default Program.fromProblem({
  name: "reweighting",
  description: "A weight per training example, learned on clean ones: the 24 flipped labels come first",
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 400 } }),
  problem: () => Problem.close(reweight)
})
