import * as tf from "@tensorflow/tfjs-core"
import { Dataset, Hypergradient, Init, Level, NdArray, Optimizer, Problem, Product, Seed, Solver, Var } from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"

const [states, discount, price] = [6, 0.8, 0.1]
const range = Array.from({ length: states }, (_, i) => i)

/** Where a policy goes from each state, and what its values should be. */
const draw = (seed: number) => {
  const own = Seed.fold(Seed.make(seed), "policy")
  const logits = Seed.normal(Seed.fold(own, "moves"), states * states)
  const moves = range.map((i) => Closed.softmax(logits.slice(i * states, (i + 1) * states)))
  return { moves, target: [...Seed.normal(Seed.fold(own, "target"), states)] }
}

/** The rewards of least ½ ‖v − t‖² + ½ price ‖r‖² with v = (I − γP)⁻¹ r, whose v solves (I + price KᵀK) v = t for K = I − γP. */
const optimum = (seed: number): ReadonlyArray<number> => {
  const { moves, target } = draw(seed)
  const k = range.map((i) => range.map((j) => (i === j ? 1 : 0) - discount * moves[i]![j]!))
  const system = range.map((i) =>
    range.map((j) => (i === j ? 1 : 0) + price * range.reduce((sum, l) => sum + k[l]![i]! * k[l]![j]!, 0))
  )
  const v = Closed.solve(system, target)
  return k.map((row) => row.reduce((sum, each, j) => sum + each * v[j]!, 0))
}

const values = Var.make("values", Init.zeros([states]))
const rewards = Var.make("rewards", Init.zeros([states]))

export const policy = Entry.make({
  name: "policy-values",
  card: {
    title: "Rewards by the values of a policy, which are a fixed point of Bellman's operator",
    levels: ["v: ½ ‖v − (r + γ P v)‖², zero at the fixed point", "r: ½ ‖v − t‖² + 0.05 ‖r‖²"],
    sizes: "6 states, 6 rewards, γ = 0.8",
    data: "made from the seed",
    reference:
      "Bellman's equation as a lower level; the response of a fixed point after Bai, Kolter and Koltun, NeurIPS 2019",
    published: "none; the operator has no potential, as P is not symmetric, and the best rewards are a closed form"
  },
  ticks: 12_000,
  problems: (seed) => {
    const { moves, target } = draw(seed)
    const data = Dataset.constant("policy", { moves: NdArray.float32([states, states], moves.flat()) })
    const evaluate = Level.minimize(values, {
      name: "evaluate",
      given: [rewards],
      data,
      optimizer: Optimizer.sgd(0.4),
      objective: ({ rewards, values }, { moves }) =>
        tf.mul(0.5, tf.sum(tf.squaredDifference(values, tf.add(rewards, tf.mul(discount, tf.dot(moves, values))))))
    }).pipe(
      Level.unroll(10),
      Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact }))
    )
    const reward = Level.minimize(rewards, {
      name: "reward",
      upstream: [evaluate],
      data: Dataset.constant("target", { target: NdArray.float32([states], target) }),
      optimizer: Optimizer.sgd(0.03),
      objective: ({ rewards, values }, { target }) =>
        tf.mul(0.5, tf.add(tf.sum(tf.squaredDifference(values, target)), tf.mul(price, tf.sum(tf.square(rewards)))))
    })
    return { learned: Problem.close(reward) }
  },
  figures: {
    "distance of the rewards to their optimum, relative": {
      of: ({ learned }, seed) => {
        const best = optimum(seed)
        return Closed.norm(best.map((each, i) => each - learned.rewards.data[i]!)) / Closed.norm(best)
      },
      atMost: 1e-5,
      because: "the optimum is known"
    }
  }
})

export default policy.program
