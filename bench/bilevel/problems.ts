/** Problems of benchopt's benchmark_bilevel at small sizes, from a seed: data, objectives, starts, and a measure in double precision. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { NdArray, Objective, Seed } from "../../src/index.ts"
import * as M from "../../src/testing/Matrix.ts"

type Columns = { readonly [name: string]: NdArray.NdArray }
export type Batch = { readonly [name: string]: tf.Tensor }

export interface Bilevel {
  readonly lower: Columns
  readonly upper: Columns
  readonly z0: Float32Array
  readonly x0: Float32Array
  readonly lowerLoss: (z: tf.Tensor1D, x: tf.Tensor1D, batch: Batch) => tf.Tensor
  readonly upperLoss: (z: tf.Tensor1D, x: tf.Tensor1D, batch: Batch) => tf.Tensor
  /** What is better the lower it is. */
  readonly measure: (z: ArrayLike<number>, x: ArrayLike<number>) => number
}

/** What is measured of a problem, its step, and by what the outer step is larger. */
export interface Case {
  readonly measured: string
  readonly size: string
  readonly step: number
  readonly ratio: number
  readonly ticks: number
  readonly fullTicks: number
  readonly make: (seed: number) => Bilevel
}

const normal = (seed: Seed.Seed, label: string, count: number) => Seed.normal(Seed.fold(seed, label), count)
const product = (rows: tf.Tensor, v: tf.Tensor): tf.Tensor1D =>
  tf.reshape(tf.matMul(rows as tf.Tensor2D, tf.reshape(v, [-1, 1])), [-1])

/** Terms ½ (s·z)² + ½ (t·x)² + (p·x)(q·z) + a·z + b·x: curvatures of rank one, their mean with a spectrum from 0.1 to 1. */
const quadratic = (seed: number): Bilevel => {
  const [n, d] = [1024, 20]
  const own = Seed.fold(Seed.make(seed), "quadratic")
  const part = (label: string) => {
    const at = Seed.fold(own, label)
    const scaled = (name: string, scale: (j: number) => number) =>
      NdArray.float32(
        [n, d],
        normal(at, name, n * d).map((each, i) => scale(i % d) * each)
      )
    const spectrum = (j: number) => Math.sqrt(0.1 ** (1 - j / (d - 1)))
    const shared = normal(at, "cross", n)
    return {
      s: scaled("s", spectrum),
      t: scaled("t", spectrum),
      // One number that both have in common: the mean of p qᵀ is not zero.
      p: NdArray.float32(
        [n, d],
        normal(at, "p", n * d).map((each, i) => 0.1 * (each + shared[Math.floor(i / d)]!))
      ),
      q: NdArray.float32(
        [n, d],
        normal(at, "q", n * d).map((each, i) => 0.1 * (each + shared[Math.floor(i / d)]!))
      ),
      a: scaled("a", () => 1),
      b: scaled("b", () => 1)
    }
  }
  const [lower, upper] = [part("lower"), part("upper")]
  const loss: Bilevel["lowerLoss"] = (z, x, { a, b, p, q, s, t }) =>
    tf.mean(
      tf.addN([
        tf.mul(0.5, tf.square(product(s!, z))),
        tf.mul(0.5, tf.square(product(t!, x))),
        tf.mul(product(p!, x), product(q!, z)),
        product(a!, z),
        product(b!, x)
      ])
    )
  const means = (side: typeof lower) => {
    const outer = (u: NdArray.NdArray, v: NdArray.NdArray) => {
      const sum = Array.from({ length: d }, () => new Float64Array(d))
      for (let r = 0; r < n; r++)
        for (let i = 0; i < d; i++)
          for (let j = 0; j < d; j++) sum[i]![j]! += (u.data[r * d + i]! * v.data[r * d + j]!) / n
      return sum.map((row) => [...row])
    }
    const mean = (u: NdArray.NdArray) =>
      Array.from({ length: d }, (_, j) => {
        let sum = 0
        for (let r = 0; r < n; r++) sum += u.data[r * d + j]! / n
        return sum
      })
    return {
      zz: outer(side.s, side.s),
      xx: outer(side.t, side.t),
      xz: outer(side.p, side.q),
      z: mean(side.a),
      x: mean(side.b)
    }
  }
  const [below, above] = [means(lower), means(upper)]
  const solve = (b: M.Vector) =>
    M.solve(
      below.zz,
      b.map((each) => [each])
    ).map(([each]) => each!)
  return {
    lower,
    upper,
    z0: new Float32Array(d),
    x0: new Float32Array(d).fill(-2),
    lowerLoss: loss,
    upperLoss: loss,
    measure: (_, x) => {
      const at = Array.from(x)
      const solution = solve(M.plus(M.apply(M.transpose(below.xz), at), below.z).map((each) => -each))
      const v = solve(M.plus(M.plus(M.apply(above.zz, solution), M.apply(M.transpose(above.xz), at)), above.z))
      const direct = M.plus(M.plus(M.apply(above.xx, at), M.apply(above.xz, solution)), above.x)
      return M.norm(M.minus(direct, M.apply(below.xz, v))) ** 2
    }
  }
}

/** Log loss and ½ Σ exp(xⱼ) zⱼ²; as many features as ijcnn1 has, some of them idle. */
const logistic = (seed: number): Bilevel => {
  const [n, d] = [8192, 22]
  const own = Seed.fold(Seed.make(seed), "logistic")
  const part = (label: string) => {
    const at = Seed.fold(own, label)
    const x = normal(at, "x", n * d)
    const y = normal(at, "noise", n).map((noise, r) => {
      let sum = noise
      for (let j = 0; j < 8; j++) sum += x[r * d + j]! / (1 + j)
      return sum > 0 ? 1 : -1
    })
    return { x: NdArray.float32([n, d], x), y: NdArray.float32([n], y) }
  }
  const [lower, upper] = [part("lower"), part("upper")]
  const log = (z: tf.Tensor1D, { x, y }: Batch) => tf.mean(tf.softplus(tf.neg(tf.mul(y!, product(x!, z)))))
  const derivatives = ({ x, y }: typeof lower, z: ArrayLike<number>, curved: boolean) => {
    const slope = new Float64Array(d)
    const curvature = Array.from({ length: d }, () => new Float64Array(d))
    for (let r = 0; r < n; r++) {
      let score = 0
      for (let j = 0; j < d; j++) score += x.data[r * d + j]! * z[j]!
      const share = 1 / (1 + Math.exp(y.data[r]! * score))
      for (let i = 0; i < d; i++) {
        slope[i]! -= (share * y.data[r]! * x.data[r * d + i]!) / n
        if (!curved) continue
        const scaled = (share * (1 - share) * x.data[r * d + i]!) / n
        for (let j = 0; j < d; j++) curvature[i]![j]! += scaled * x.data[r * d + j]!
      }
    }
    return { slope: [...slope], curvature: curvature.map((row) => [...row]) }
  }
  const solve = (a: M.Matrix, b: M.Vector) =>
    M.solve(
      a,
      b.map((each) => [each])
    ).map(([each]) => each!)
  return {
    lower,
    upper,
    z0: normal(own, "z0", d),
    x0: Seed.uniform(Seed.fold(own, "x0"), d).map((u) => Math.log(Math.max(u, 1e-3))),
    lowerLoss: (z, x, batch) => tf.add(log(z, batch), tf.mul(0.5, tf.sum(tf.mul(tf.exp(x), tf.square(z))))),
    upperLoss: (z, _, batch) => log(z, batch),
    measure: (_, x) => {
      const penalty = Array.from(x, Math.exp)
      let z: M.Vector = penalty.map(() => 0)
      let system: M.Matrix = []
      for (let step = 0; step < 6; step++) {
        const { curvature, slope } = derivatives(lower, z, true)
        system = curvature.map((row, i) => row.map((each, j) => each + (i === j ? penalty[i]! : 0)))
        const move = solve(
          system,
          slope.map((each, i) => each + penalty[i]! * z[i]!)
        )
        z = M.minus(z, move)
      }
      const v = solve(system, derivatives(upper, z, false).slope)
      return M.norm(v.map((each, i) => each * penalty[i]! * z[i]!)) ** 2
    }
  }
}

/** Σ sigmoid(xᵢ) CEᵢ / n + 0.2 ‖z‖² on MNIST digits of 14 × 14, half of whose labels were drawn at random; x weighs each. */
const cleaning = (seed: number): Bilevel => {
  const [n, m, pixels, classes] = [4096, 1024, 196, 10]
  const own = Seed.fold(Seed.make(seed), "cleaning")
  const { ink, labels } = digits()
  const order = Seed.permutation(Seed.fold(own, "order"), labels.length)
  const part = (from: number, count: number) => ({
    x: NdArray.float32(
      [count, pixels],
      Float32Array.from({ length: count * pixels }, (_, i) => {
        return ink[order[from + Math.floor(i / pixels)]! * pixels + (i % pixels)]!
      })
    ),
    y: NdArray.int32(
      [count],
      Int32Array.from({ length: count }, (_, i) => labels[order[from + i]!]!)
    )
  })
  const [train, upper] = [part(0, n), part(n, m)]
  const flip = Seed.uniform(Seed.fold(own, "flip"), n)
  const other = Seed.integers(Seed.fold(own, "other"), n, classes)
  const lower = {
    x: train.x,
    y: NdArray.int32(
      [n],
      train.y.data.map((label, i) => (flip[i]! < 0.5 ? other[i]! : label))
    ),
    row: NdArray.int32([n], Int32Array.from(order.keys()).slice(0, n))
  }
  const net = (z: tf.Tensor1D) => tf.reshape(z, [pixels, classes]) as tf.Tensor2D
  const each = (z: tf.Tensor1D, { x, y }: Batch) =>
    Objective.perExample(tf.matMul(x as tf.Tensor2D, net(z)), y as tf.Tensor1D)
  return {
    lower,
    upper,
    z0: new Float32Array(pixels * classes),
    x0: new Float32Array(n).fill(-2),
    lowerLoss: (z, x, batch) =>
      tf.add(
        tf.mean(tf.mul(tf.sigmoid(tf.gather(x, batch["row"] as tf.Tensor1D)), each(z, batch))),
        tf.mul(0.2, tf.sum(tf.square(z)))
      ),
    upperLoss: (z, _, batch) => tf.mean(each(z, batch)),
    measure: (z) => {
      let wrong = 0
      for (let r = 0; r < m; r++) {
        const scores = new Float64Array(classes)
        for (let i = 0; i < pixels; i++)
          for (let k = 0; k < classes; k++) scores[k]! += upper.x.data[r * pixels + i]! * z[i * classes + k]!
        if (scores.indexOf(Math.max(...scores)) !== upper.y.data[r]) wrong++
      }
      return wrong / m
    }
  }
}

/** MNIST's first 10,000 training digits, each halved to 14 by 14. */
const digits = () => {
  const folder = join(dirname(createRequire(import.meta.url).resolve("mnist/package.json")), "src", "digits")
  const ink: Array<number> = []
  const labels: Array<number> = []
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(join(folder, `${digit}.json`), "utf8")) as {
      readonly data: ReadonlyArray<number>
    }
    for (let at = 0; at < data.length; at += 784) {
      labels.push(digit)
      for (let y = 0; y < 28; y += 2)
        for (let x = 0; x < 28; x += 2) {
          const i = at + 28 * y + x
          ink.push((data[i]! + data[i + 1]! + data[i + 28]! + data[i + 29]!) / 4)
        }
    }
  }
  return { ink, labels }
}

export const cases: { readonly [name: string]: Case } = {
  quadratic: {
    measured: "‖∇Φ‖²",
    size: "1,024 terms below and above, z and x of 20",
    step: 0.1,
    ratio: 1,
    ticks: 2048,
    fullTicks: 256,
    make: quadratic
  },
  logistic: {
    measured: "‖∇Φ‖²",
    size: "8,192 rows below and above, z and x of 22",
    step: 0.25,
    ratio: 1,
    ticks: 2048,
    fullTicks: 256,
    make: logistic
  },
  cleaning: {
    measured: "validation error",
    size: "4,096 digits below and 1,024 above, z of 1,960, x of 4,096",
    step: 0.1,
    ratio: 0.001,
    ticks: 512,
    fullTicks: 16,
    make: cleaning
  }
}
