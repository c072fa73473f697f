import * as tf from "@tensorflow/tfjs-core"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  Objective,
  Optimizer,
  Problem,
  Product,
  Rate,
  Solver,
  Var
} from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"
import { linear } from "../rows.ts"

export const features = 5

/** Rows of a linear model with noise, its coefficients 1, −½, ¼ … */
export const rows = (seed: number, part: string, count: number) =>
  linear({
    seed,
    problem: "ridge",
    part,
    count,
    coefficients: Array.from({ length: features }, (_, j) => (-0.5) ** j),
    noise: 1
  })

/** The validation loss at w*(λ), by elimination in double precision. */
export const validationLoss = (seed: number) => {
  const [train, validation] = [rows(seed, "train", 12), rows(seed, "validation", 200)]
  const column = (part: typeof train, j: number) => [...part.y.data].map((_, r) => part.x.data[features * r + j]!)
  const inner = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
    a.reduce((sum, each, r) => sum + each * b[r]!, 0)
  const columns = Array.from({ length: features }, (_, j) => column(train, j))
  return (penalty: number): number => {
    const gram = columns.map((a, i) =>
      columns.map((b, j) => inner(a, b) + (i === j ? Math.exp(penalty) * a.length : 0))
    )
    const w = Closed.solve(
      gram,
      columns.map((a) => inner(a, [...train.y.data]))
    )
    const errors = [...validation.y.data].map((y, r) =>
      w.reduce((sum, each, j) => sum - each * validation.x.data[features * r + j]!, y)
    )
    return inner(errors, errors) / errors.length
  }
}

const w = Var.make("w", Init.zeros([features]))
const penalty = Var.make("penalty", Init.constant(0, []))
export const predict = (w: tf.Tensor1D, x: tf.Tensor2D) => tf.reshape(tf.matMul(x, tf.reshape(w, [features, 1])), [-1])

export const ridge = Entry.make({
  name: "ridge",
  card: {
    title: "One penalty of a ridge regression, learned on validation data",
    levels: ["w: mean (x·w − y)² + exp(λ) ‖w‖² on training rows", "λ: mean (x·w − y)² on validation rows"],
    sizes: "5 coefficients, 12 training and 200 validation rows, 1 upper variable",
    data: "made from the seed",
    reference: "Bengio, Gradient-based optimization of hyperparameters, Neural Computation 2000",
    published: "no figure; the validation loss is a closed form of λ, searched in double precision"
  },
  ticks: 5000,
  problems: (seed) => {
    const fit = Level.minimize(w, {
      name: "fit",
      given: [penalty],
      data: Dataset.constant("train", rows(seed, "train", 12)),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ penalty, w }, { x, y }) =>
        tf.add(Objective.meanSquaredError(predict(w, x), y), tf.mul(tf.exp(penalty), tf.sum(tf.square(w))))
    }).pipe(
      Level.unroll(5),
      Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact }))
    )
    const tune = Level.minimize(penalty, {
      name: "tune",
      upstream: [fit],
      data: Dataset.constant("validation", rows(seed, "validation", 200)),
      optimizer: Optimizer.adam(Rate.cosine({ peak: 0.05, total: 1000 })),
      objective: ({ w }, { x, y }) => Objective.meanSquaredError(predict(w, x), y)
    })
    return { learned: Problem.close(tune) }
  },
  figures: {
    "excess validation loss": {
      of: ({ learned }, seed) => {
        const loss = validationLoss(seed)
        return loss(learned.penalty.data[0]!) / loss(Closed.minimum(loss, -12, 4)) - 1
      },
      atMost: 1e-6,
      because: "the optimum is known"
    }
  }
})

export default ridge.program
