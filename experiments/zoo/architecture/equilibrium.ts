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
  Rate,
  Seed,
  Solver,
  Var
} from "tapweight"
import * as Entry from "../Entry.ts"

const [count, width] = [32, 6]

/** y = sin 2x on a grid: what a layer of fixed points has to learn. */
const x = Float32Array.from({ length: count }, (_, i) => -1.5 + (3 * i) / (count - 1))
const curve = Dataset.constant("curve", {
  x: NdArray.float32([count, 1], x),
  y: NdArray.float32(
    [count],
    x.map((each) => Math.sin(2 * each))
  )
})

const z = Var.make("z", Init.zeros([count, width]))
const net = Var.make("net", (seed) => ({
  input: Init.normal(1, [1, width])(Seed.fold(seed, "input")),
  own: Init.normal(0.1, [width, width])(Seed.fold(seed, "own")),
  bias: Init.normal(0.5, [width])(Seed.fold(seed, "bias")),
  output: Init.normal(0.3, [width, 1])(Seed.fold(seed, "output"))
}))
type Net = { readonly [K in "input" | "own" | "output"]: tf.Tensor2D } & { readonly bias: tf.Tensor1D }
const step = ({ bias, input, own }: Net, z: tf.Tensor2D, x: tf.Tensor2D) =>
  tf.tanh(tf.add(tf.add(tf.matMul(z, own), tf.matMul(x, input)), bias))

/** The largest |z − tanh(z W + x U + b)|, in double precision. */
const residual = (vars: {
  readonly z: NdArray.NdArray
  readonly net: { readonly [K in keyof Net]: NdArray.NdArray }
}) => {
  let most = 0
  for (let row = 0; row < count; row++) {
    for (let j = 0; j < width; j++) {
      let sum = vars.net.bias.data[j]! + x[row]! * vars.net.input.data[j]!
      for (let i = 0; i < width; i++) sum += vars.z.data[row * width + i]! * vars.net.own.data[i * width + j]!
      most = Math.max(most, Math.abs(vars.z.data[row * width + j]! - Math.tanh(sum)))
    }
  }
  return most
}

/** Mean squared error of the outputs, in double precision. */
const error = (vars: { readonly z: NdArray.NdArray; readonly net: { readonly output: NdArray.NdArray } }) => {
  let sum = 0
  for (let row = 0; row < count; row++) {
    let output = -Math.sin(2 * x[row]!)
    for (let i = 0; i < width; i++) output += vars.z.data[row * width + i]! * vars.net.output.data[i]!
    sum += output * output
  }
  return sum / count
}

export const equilibrium = Entry.make({
  name: "equilibrium",
  card: {
    title: "A deep equilibrium layer: the lower level is a fixed point",
    levels: ["z: ½ ‖z − tanh(z W + x U + b)‖², zero at the fixed point", "(W, U, b, o): mean (z·o − y)² + 0.02 ‖W‖²"],
    sizes: "32 rows of width 6, 192 lower variables",
    data: "sin 2x on a grid",
    reference: "Bai, Kolter and Koltun, Deep equilibrium models, NeurIPS 2019",
    published:
      "language models, not comparable. Where the residual is zero, the response of ½ ‖z − F(z)‖² is that of the fixed point: (I − F′)⁻¹ ∂F"
  },
  ticks: 20_000,
  problems: () => {
    const settle = Level.minimize(z, {
      name: "settle",
      given: [net],
      data: curve,
      optimizer: Optimizer.sgd(0.5),
      objective: ({ net, z }, { x }) => tf.mul(0.5, tf.sum(tf.squaredDifference(z, step(net, z, x))))
    }).pipe(
      Level.unroll(20),
      Level.hypergradient(
        Hypergradient.implicit({ solver: Solver.conjugateGradient({ iterations: 10 }), product: Product.exact })
      )
    )
    const learn = Level.minimize(net, {
      name: "learn",
      upstream: [settle],
      data: curve,
      optimizer: Optimizer.adam(Rate.cosine({ peak: 0.01, total: 1000 })),
      objective: ({ net, z }, { y }) =>
        // A small W keeps the fixed point stable.
        tf.add(
          Objective.meanSquaredError(tf.reshape(tf.matMul(z, net.output), [-1]), y),
          tf.mul(0.02, tf.sum(tf.square(net.own)))
        )
    })
    return { learned: Problem.close(learn) }
  },
  figures: {
    "largest residual of the fixed point": {
      of: ({ learned }) => residual(learned),
      atMost: 0.02,
      because: "the response is right at the fixed point only"
    },
    "mean squared error": {
      of: ({ learned }) => error(learned),
      atMost: 0.01,
      because: "a fiftieth of what zero leaves, 0.5"
    }
  }
})

export default equilibrium.program
