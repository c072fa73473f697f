import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  NdArray,
  Objective,
  Optimizer,
  Problem,
  Product,
  Seed,
  Solver,
  Var
} from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"

const [size, rank, planted] = [10, 8, 3]

/** y = x ΔW and noise: ΔW takes each of the first three coordinates to another one, doubled. */
const rows = (seed: number, part: string, count: number) => {
  const own = Seed.fold(Seed.fold(Seed.make(seed), "adapter"), part)
  const x = Seed.normal(Seed.fold(own, "x"), count * size)
  const y = Seed.normal(Seed.fold(own, "noise"), count * size).map((noise, at) => {
    const [row, column] = [Math.floor(at / size), at % size]
    return noise + (column < planted ? 2 * x[row * size + ((column + 1) % planted)]! : 0)
  })
  return { x: NdArray.float32([count, size], x), y: NdArray.float32([count, size], y) }
}

const adapter = Var.make("adapter", (seed) => ({
  u: Init.normal(0.5, [size, rank])(Seed.fold(seed, "u")),
  v: Init.normal(0.5, [rank, size])(Seed.fold(seed, "v"))
}))
const alpha = Var.make("alpha", Init.zeros([rank]))
type Adapter = { readonly u: tf.Tensor2D; readonly v: tf.Tensor2D }
const apply = ({ u, v }: Adapter, alpha: tf.Tensor1D, x: tf.Tensor2D): tf.Tensor2D =>
  tf.matMul(tf.mul(tf.matMul(x, u), tf.softmax(alpha)), v)

export const autoLora = Entry.make({
  name: "auto-lora",
  card: {
    title: "AutoLoRA: the rank of an adapter, learned on validation data",
    levels: [
      "(u, v): mean ‖x Σ softmax(α)ⱼ uⱼvⱼᵀ − y‖² + 0.01 (‖u‖² + ‖v‖²) on training rows",
      "α: mean ‖x Σ softmax(α)ⱼ uⱼvⱼᵀ − y‖² on validation rows"
    ],
    sizes: "adapters of 10 × 10 with 8 components, 40 training and 200 validation rows",
    data: "made from the seed: an adapter of rank 3 with noise",
    reference: "Zhang et al., AutoLoRA, NAACL 2024",
    published: "language models' scores, not comparable; a component counts, as there, where its share is at least 1/8"
  },
  ticks: 6000,
  problems: (seed) => {
    const train = Level.minimize(adapter, {
      name: "train",
      given: [alpha],
      data: Dataset.constant("train", rows(seed, "train", 40)),
      optimizer: Optimizer.adam(0.01),
      objective: ({ adapter, alpha }, { x, y }) =>
        tf.add(
          Objective.meanSquaredError(apply(adapter, alpha, x), y),
          tf.mul(0.01, tf.add(tf.sum(tf.square(adapter.u)), tf.sum(tf.square(adapter.v))))
        )
    }).pipe(
      Level.hypergradient(
        Hypergradient.implicit({ solver: Solver.identity, product: Product.finiteDifference({ radius: 0.01 }) })
      )
    )
    const choose = Level.minimize(alpha, {
      name: "choose",
      upstream: [train],
      data: Dataset.constant("validation", rows(seed, "validation", 200)),
      optimizer: Optimizer.adam(0.01),
      objective: ({ adapter, alpha }, { x, y }) => Objective.meanSquaredError(apply(adapter, alpha, x), y)
    })
    return { learned: Problem.close(choose) }
  },
  figures: {
    "components that count": {
      of: ({ learned }) => Closed.softmax(learned.alpha.data).filter((share) => share >= 1 / rank).length,
      atLeast: planted,
      atMost: planted,
      because: "three are planted"
    }
  }
})

export default autoLora.program
