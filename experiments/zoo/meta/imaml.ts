import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Hypergradient, Init, Level, NdArray, Optimizer, Problem, Product, Seed, Solver, Var } from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"

const [tasks, shots, features, strength] = [8, 3, 4, 0.5]

/** Linear tasks around one that they share, with fewer rows than coefficients. */
const draw = (seed: number) => {
  const own = Seed.fold(Seed.make(seed), "linear tasks")
  const normal = (label: string, count: number) => Seed.normal(Seed.fold(own, label), count)
  const away = normal("away", tasks * features)
  const part = (label: string) => {
    const x = normal(`${label} x`, tasks * shots * features)
    const y = normal(`${label} noise`, tasks * shots).map((noise, row) => {
      let sum = 0.1 * noise
      for (let j = 0; j < features; j++) {
        sum += x[row * features + j]! * (1 + j + 0.3 * away[Math.floor(row / shots) * features + j]!)
      }
      return sum
    })
    return { x: NdArray.float32([tasks, shots, features], x), y: NdArray.float32([tasks, shots, 1], y) }
  }
  return { support: part("support"), query: part("query") }
}

/** Where the meta-objective, a quadratic in θ, has its minimum. */
const optimum = (seed: number): ReadonlyArray<number> => {
  const { query, support } = draw(seed)
  const range = Array.from({ length: features }, (_, i) => i)
  const moments = ({ x, y }: typeof support, task: number) => {
    const rows = Array.from({ length: shots }, (_, s) => task * shots + s)
    const at = (row: number, i: number) => x.data[row * features + i]!
    return {
      gram: range.map((i) => range.map((j) => rows.reduce((sum, r) => sum + at(r, i) * at(r, j), 0) / shots)),
      cross: range.map((i) => rows.reduce((sum, r) => sum + at(r, i) * y.data[r]!, 0) / shots)
    }
  }
  const image = (matrix: ReadonlyArray<ReadonlyArray<number>>, v: ReadonlyArray<number>) =>
    matrix.map((row) => row.reduce((sum, each, j) => sum + each * v[j]!, 0))
  // φ = M (c + s θ) with M = (G + s I)⁻¹; the slope by θ is Σ s M (Gq φ − cq), linear in θ.
  const slope = (theta: ReadonlyArray<number>) => {
    const sum = range.map(() => 0)
    for (let task = 0; task < tasks; task++) {
      const [s, q] = [moments(support, task), moments(query, task)]
      const system = s.gram.map((row, i) => row.map((each, j) => each + (i === j ? strength : 0)))
      const phi = Closed.solve(
        system,
        s.cross.map((each, i) => each + strength * theta[i]!)
      )
      const residual = image(q.gram, phi).map((each, i) => each - q.cross[i]!)
      Closed.solve(system, residual).forEach((each, i) => (sum[i]! += strength * each))
    }
    return sum
  }
  const zero = slope(range.map(() => 0))
  const columns = range.map((j) => slope(range.map((i) => (i === j ? 1 : 0))).map((each, i) => each - zero[i]!))
  return Closed.solve(
    range.map((i) => range.map((j) => columns[j]![i]!)),
    zero.map((each) => -each)
  )
}

const theta = Var.make("theta", Init.zeros([features]))
const phi = Var.make("phi", Init.zeros([tasks, features, 1]))
const errors = (phi: tf.Tensor3D, x: tf.Tensor3D, y: tf.Tensor3D) =>
  tf.div(tf.sum(tf.squaredDifference(tf.matMul(x, phi), y)), 2 * shots)

export const imaml = Entry.make({
  name: "imaml",
  card: {
    title: "iMAML: tasks solved close to a shared θ, differentiated at their solution",
    levels: [
      "φ: Σ over tasks of ½ mean (x·φₜ − y)² + ½ s ‖φₜ − θ‖² on supports",
      "θ: Σ over tasks of ½ mean (x·φₜ − y)² on queries"
    ],
    sizes: "8 linear tasks of 4 coefficients and 3 support rows at once, s = 0.5",
    data: "made from the seed",
    reference: "Rajeswaran et al., Meta-learning with implicit gradients, NeurIPS 2019",
    published: "few-shot images, which no package brings; here the optimum of θ is a closed form"
  },
  ticks: 4000,
  problems: (seed) => {
    const { query, support } = draw(seed)
    const adapt = Level.minimize(phi, {
      name: "adapt",
      given: [theta],
      data: Dataset.constant("support", support),
      optimizer: Optimizer.sgd(0.1),
      objective: ({ phi, theta }, { x, y }) =>
        tf.add(
          errors(phi, x, y),
          tf.mul(strength / 2, tf.sum(tf.squaredDifference(phi, tf.reshape(theta, [1, features, 1]))))
        )
    }).pipe(
      Level.unroll(10),
      Level.hypergradient(
        Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 12 }), product: Product.exact })
      )
    )
    const learn = Level.minimize(theta, {
      name: "learn",
      upstream: [adapt],
      data: Dataset.constant("query", query),
      optimizer: Optimizer.sgd(0.2),
      objective: ({ phi }, { x, y }) => errors(phi, x, y)
    })
    return { learned: Problem.close(learn) }
  },
  figures: {
    "distance of θ to its optimum, relative": {
      of: ({ learned }, seed) => {
        const best = optimum(seed)
        return Closed.norm(best.map((each, i) => each - learned.theta.data[i]!)) / Closed.norm(best)
      },
      atMost: 1e-3,
      because: "the optimum is known"
    }
  }
})

export default imaml.program
