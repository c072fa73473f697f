import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../dsl/Dataset.ts"
import type { Hypergradient } from "../dsl/Hypergradient.ts"
import * as Level from "../dsl/Level.ts"
import * as NdArray from "../dsl/values/NdArray.ts"
import * as Problem from "../dsl/Problem.ts"
import * as Seed from "../dsl/values/Seed.ts"
import * as Var from "../dsl/Var.ts"
import * as Optimizer from "../levels/Optimizer.ts"
import * as M from "./Matrix.ts"

/**
 * A random problem whose composed best response is known: every lower level minimizes ½xᵀAx − xᵀ(b + Σ Bⱼ yⱼ) over
 * what it reads, so x* = A⁻¹(b + Σ Bⱼ yⱼ); the top minimizes ½Σ‖xⱼ − cⱼ‖² + ½‖t − c‖² over its own t.
 */
export interface Quadratic {
  readonly problem: Problem.Problem<Var.Var.Any>
  readonly top: string
  /** Solutions of the lower levels at the top's initial value, by variable. */
  readonly solutions: { readonly [variable: string]: M.Vector }
  /** Derivative of the top's loss composed with the best responses. */
  readonly gradient: M.Vector
  readonly edges: number
}

const matrix = (seed: Seed.Seed, rows: number, columns: number, scale: number): M.Matrix => {
  const draws = Seed.normal(seed, rows * columns)
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_v, j) => scale * draws[i * columns + j]!)
  )
}

const positive = (seed: Seed.Seed, n: number): M.Matrix => {
  const g = matrix(seed, n, n, 0.4)
  const square = M.multiply(g, M.transpose(g))
  return square.map((row, i) => row.map((v, j) => v + (i === j ? 1 : 0)))
}

const tensor = (a: M.Matrix): tf.Tensor2D => tf.tensor2d(a as Array<Array<number>>)
const column = (x: tf.Tensor): tf.Tensor2D => tf.reshape(x, [-1, 1]) as tf.Tensor2D

/**
 * `levels` lower levels, each reading a random subset of those before it and, with some chance, the top's variable. A function
 * of the seed; `shuffle` names what levels rest on in another order.
 */
export const random = (seed: Seed.Seed, levels: number, estimator: Hypergradient, shuffle = false): Quadratic => {
  const s = (label: string | number) => Seed.fold(seed, label)
  const coin = (label: string, p: number) => Seed.uniform(s(label), 1)[0]! < p
  const sizes = Array.from({ length: levels + 1 }, (_, i) => 1 + (Seed.bits(s(`size${i}`), 1)[0]! % 4))
  const n = sizes[levels]!
  const t0 = Array.from(Seed.normal(s("t"), n))
  const top = Var.make("top", () => NdArray.float32([n], t0))
  const made: Array<any> = []
  const variables: Array<any> = []
  const jacobians: Array<M.Matrix> = []
  const solutions: Array<M.Vector> = []
  const read = new Set<number>()
  let edges = 0
  for (let i = 0; i < levels; i++) {
    const d = sizes[i]!
    const reads = made.flatMap((_, j) => (coin(`edge${i}.${j}`, 0.5) ? [j] : []))
    const given = i === 0 || coin(`given${i}`, 0.4)
    const a = positive(s(`a${i}`), d)
    const b = Array.from(Seed.normal(s(`b${i}`), d))
    const couplings = reads.map((j) => matrix(s(`c${i}.${j}`), d, sizes[j]!, 0.7))
    const direct = matrix(s(`d${i}`), d, n, 0.7)
    edges += reads.length + (given ? 1 : 0)
    for (const j of reads) read.add(j)
    const variable = Var.make(`x${i}`, () => NdArray.float32([d], solutions[i]!))
    const names = reads.map((j) => `x${j}`)
    const objective = (vars: any): tf.Scalar => {
      const x = column(vars[`x${i}`])
      let pull = tf.tensor2d(b.map((v) => [v]))
      names.forEach((name, k) => (pull = tf.add(pull, tf.matMul(tensor(couplings[k]!), column(vars[name])))))
      if (given) pull = tf.add(pull, tf.matMul(tensor(direct), column(vars.top)))
      return tf.sub(tf.mul(0.5, tf.sum(tf.mul(x, tf.matMul(tensor(a), x)))), tf.sum(tf.mul(x, pull))) as tf.Scalar
    }
    const upstream = reads.map((j) => made[j])
    const level = Level.minimize(variable as any, {
      given: given ? [top] : [],
      upstream: shuffle ? upstream.toReversed() : upstream,
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: objective as any
    }).pipe(Level.hypergradient(estimator))
    made.push(level)
    variables.push(variable)
    let pull: M.Vector = b
    let jacobian = given ? direct : M.zeros(d, n)
    reads.forEach((j, k) => {
      pull = M.plus(pull, M.apply(couplings[k]!, solutions[j]!))
      jacobian = M.add(jacobian, M.multiply(couplings[k]!, jacobians[j]!))
    })
    if (given) pull = M.plus(pull, M.apply(direct, t0))
    solutions.push(
      M.solve(
        a,
        pull.map((v) => [v])
      ).map((row) => row[0]!)
    )
    jacobians.push(M.solve(a, jacobian))
  }
  const targets = sizes.map((d, i) => Array.from(Seed.normal(s(`target${i}`), d)))
  // The top rests on all levels. Its loss reads some of them, and those that no other reads: all take part in its gradient.
  const seen = made.flatMap((_, j) => (!read.has(j) || coin(`top${j}`, 0.5) ? [j] : []))
  const closed = Level.minimize(top as any, {
    upstream: shuffle ? made.toReversed() : made,
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: ((vars: any) => {
      let loss = tf.mul(0.5, tf.sum(tf.square(tf.sub(vars.top, tf.tensor1d(targets[levels]! as Array<number>)))))
      for (const j of seen) {
        loss = tf.add(
          loss,
          tf.mul(0.5, tf.sum(tf.square(tf.sub(vars[`x${j}`], tf.tensor1d(targets[j]! as Array<number>)))))
        )
      }
      return loss as tf.Scalar
    }) as any
  })
  const gradient = seen.reduce(
    (sum, j) => M.plus(sum, M.apply(M.transpose(jacobians[j]!), M.minus(solutions[j]!, targets[j]!))),
    M.minus(t0, targets[levels]!)
  )
  return {
    problem: Problem.close(closed as never) as never,
    top: "top",
    solutions: Object.fromEntries(solutions.map((x, i) => [`x${i}`, x])),
    gradient,
    edges
  }
}
