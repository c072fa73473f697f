import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, Hypergradient, Init, Level, NdArray, Objective, Optimizer, Problem, Rate, Seed, Var } from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"
import { features, predict, rows, validationLoss } from "./ridge.ts"

/** The coefficients as a function of the penalty: w(λ) = base + slope λ. */
const response = Var.make("response", (seed) => ({
  base: Init.zeros([features])(seed),
  slope: Init.zeros([features])(seed)
}))
const penalty = Var.make("penalty", Init.constant(0, []))
type Response = { readonly base: tf.Tensor1D; readonly slope: tf.Tensor1D }
const at = ({ base, slope }: Response, penalty: tf.Tensor): tf.Tensor1D => tf.add(base, tf.mul(slope, penalty))

/** The training rows, and penalties around the present one at which the response has to be good too. */
const perturbed = (seed: number) =>
  Dataset.join(
    "perturbed",
    Dataset.constant("train", rows(seed, "train", 12)),
    Dataset.make("penalties", {
      fields: { shift: Dataset.float32([8]) },
      open: Effect.succeed((key: Seed.Seed, index: number) =>
        Effect.succeed({
          shift: NdArray.float32(
            [8],
            Seed.normal(Seed.fold(key, index), 8).map((z) => 0.3 * z)
          )
        })
      )
    })
  )

export const selfTuning = Entry.make({
  name: "self-tuning",
  card: {
    title: "Self-tuning: a linear response to the penalty is learned, and differentiated directly",
    levels: [
      "(a, b): the ridge loss at w = a + b λ′, λ′ drawn around λ",
      "λ: mean (x·w(λ) − y)² on validation rows, through w(λ) alone"
    ],
    sizes: "10 lower variables, 12 training and 200 validation rows, 8 penalties a tick, 1 upper variable",
    data: "made from the seed",
    reference: "MacKay et al., Self-tuning networks, ICLR 2019",
    published: "figures of language models and images; here the optimum is a closed form, that of the entry `ridge`"
  },
  ticks: 8000,
  problems: (seed) => {
    const fit = Level.minimize(response, {
      name: "fit",
      given: [penalty],
      data: perturbed(seed),
      optimizer: Optimizer.sgd(0.05),
      objective: ({ penalty, response }, { shift, x, y }) => {
        const losses = tf.unstack(tf.add(shift, penalty)).map((each) => {
          const w = at(response, each)
          return tf.add(Objective.meanSquaredError(predict(w, x), y), tf.mul(tf.exp(each), tf.sum(tf.square(w))))
        })
        return tf.mean(tf.stack(losses))
      }
    }).pipe(Level.unroll(5), Level.hypergradient(Hypergradient.detached))
    const tune = Level.minimize(penalty, {
      name: "tune",
      upstream: [fit],
      data: Dataset.constant("validation", rows(seed, "validation", 200)),
      optimizer: Optimizer.adam(Rate.cosine({ peak: 0.03, total: 1600 })),
      objective: ({ penalty, response }, { x, y }) => Objective.meanSquaredError(predict(at(response, penalty), x), y)
    })
    return { learned: Problem.close(tune) }
  },
  figures: {
    "excess validation loss": {
      of: ({ learned }, seed) => {
        const loss = validationLoss(seed)
        return loss(learned.penalty.data[0]!) / loss(Closed.minimum(loss, -12, 4)) - 1
      },
      atMost: 0.01,
      because: "the response is linear within a spread of 0.3 only, so the optimum is near, not met"
    }
  }
})

export default selfTuning.program
