/** Tasks y = A sin(x − φ) with A in [0.1, 5], φ in [0, π], x in [−5, 5] (Finn et al. 2017), and nets that all tasks share. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Dataset, type Mlp, NdArray, Seed } from "tapweight"

/** Support and query rows of `tasks` sinusoids. */
export const draw = (seed: Seed.Seed, tasks: number, shots: number) => {
  const uniform = (label: string, count: number) => Seed.uniform(Seed.fold(seed, label), count)
  const [amplitude, phase] = [uniform("amplitude", tasks), uniform("phase", tasks)]
  const part = (label: string) => {
    const x = uniform(label, tasks * shots).map((u) => 10 * u - 5)
    const y = x.map((each, i) => {
      const task = Math.floor(i / shots)
      return (0.1 + 4.9 * amplitude[task]!) * Math.sin(each - Math.PI * phase[task]!)
    })
    return [NdArray.float32([tasks, shots, 1], x), NdArray.float32([tasks, shots, 1], y)] as const
  }
  const [[x, y], [queryX, queryY]] = [part("support"), part("query")]
  return { x, y, queryX, queryY }
}

/** A meta-batch: every level sees the same tasks at the same turn, fresh ones at the next. */
export const sinusoids = (tasks: number, shots: number) => {
  const field = Dataset.float32([tasks, shots, 1])
  return Dataset.shared(
    Dataset.make("sinusoids", {
      fields: { x: field, y: field, queryX: field, queryY: field },
      open: Effect.succeed((seed: Seed.Seed, index: number) =>
        Effect.succeed(draw(Seed.fold(seed, index), tasks, shots))
      )
    })
  )
}

/** A net for each task: the shared parameters with each task's own change, leading axis tasks. */
export const predict = (
  shared: Mlp.Params,
  own: ReadonlyArray<{ readonly w: tf.Tensor3D; readonly b: tf.Tensor3D }>,
  x: tf.Tensor3D
): tf.Tensor3D =>
  shared.reduce((value, layer, i) => {
    const w = tf.add(layer.w, own[i]!.w) as tf.Tensor3D
    const b = tf.add(layer.b, own[i]!.b)
    const next = tf.add(tf.matMul(value, w), b) as tf.Tensor3D
    return i === shared.length - 1 ? next : tf.softplus(next)
  }, x)

/** No change of any task, with a leading axis of tasks. */
export const none = (sizes: ReadonlyArray<number>, tasks: number) =>
  sizes.slice(1).map((width, i) => ({
    w: NdArray.float32([tasks, sizes[i]!, width], new Float32Array(tasks * sizes[i]! * width)),
    b: NdArray.float32([tasks, 1, width], new Float32Array(tasks * width))
  }))

/** The best that one prediction for all tasks can do, −(5.1 / π) cos x: its mean squared error. */
export const taskBlind = 3.00567

type Layer = { readonly w: { readonly data: ArrayLike<number> }; readonly b: { readonly data: ArrayLike<number> } }

/** Query error of a shared net on new tasks after `steps` updates on each task's support, in double precision. */
export const adapted = (
  net: ReadonlyArray<Layer>,
  sizes: ReadonlyArray<number>,
  options: {
    readonly seed: number
    readonly tasks: number
    readonly shots: number
    readonly steps: number
    readonly rate: number
  }
): number => {
  const { rate, seed, shots, steps, tasks } = options
  const drawn = draw(Seed.fold(Seed.make(seed), "new tasks"), tasks, shots)
  const softplus = (z: number) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)))
  let sum = 0
  for (let task = 0; task < tasks; task++) {
    const own = net.map(({ b, w }) => ({ w: Float64Array.from(w.data), b: Float64Array.from(b.data) }))
    const forward = (x: number) => {
      const inputs = [[x]]
      const outputs = own.map(({ b, w }, layer) => {
        const input = inputs[layer]!
        const z = Array.from(b, (each, j) =>
          input.reduce((total, value, i) => total + value * w[i * b.length + j]!, each)
        )
        inputs.push(layer === own.length - 1 ? z : z.map(softplus))
        return z
      })
      return { inputs, outputs }
    }
    for (let step = 0; step < steps; step++) {
      const slopes = own.map(({ b, w }) => ({ w: new Float64Array(w.length), b: new Float64Array(b.length) }))
      for (let shot = 0; shot < shots; shot++) {
        const at = task * shots + shot
        const { inputs, outputs } = forward(drawn.x.data[at]!)
        let slope = [(2 * (outputs.at(-1)![0]! - drawn.y.data[at]!)) / shots]
        for (let layer = own.length - 1; layer >= 0; layer--) {
          const width = sizes[layer + 1]!
          slope.forEach((each, j) => {
            slopes[layer]!.b[j]! += each
            inputs[layer]!.forEach((value, i) => (slopes[layer]!.w[i * width + j]! += each * value))
          })
          if (layer === 0) break
          slope = outputs[layer - 1]!.map(
            (z, i) =>
              slope.reduce((total, each, j) => total + each * own[layer]!.w[i * width + j]!, 0) / (1 + Math.exp(-z))
          )
        }
      }
      own.forEach(({ b, w }, layer) => {
        slopes[layer]!.w.forEach((each, i) => (w[i]! -= rate * each))
        slopes[layer]!.b.forEach((each, i) => (b[i]! -= rate * each))
      })
    }
    for (let shot = 0; shot < shots; shot++) {
      const at = task * shots + shot
      sum += (forward(drawn.queryX.data[at]!).outputs.at(-1)![0]! - drawn.queryY.data[at]!) ** 2
    }
  }
  return sum / (tasks * shots)
}
