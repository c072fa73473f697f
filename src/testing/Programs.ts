import * as tf from "@tensorflow/tfjs-core"
import * as Result from "effect/Result"
import * as Dataset from "../dsl/Dataset.ts"
import * as Hypergradient from "../dsl/Hypergradient.ts"
import * as Level from "../dsl/Level.ts"
import * as NdArray from "../dsl/values/NdArray.ts"
import * as Problem from "../dsl/Problem.ts"
import * as Seed from "../dsl/values/Seed.ts"
import * as Tree from "../dsl/values/Tree.ts"
import * as Var from "../dsl/Var.ts"
import * as Optimizer from "../levels/Optimizer.ts"
import * as Product from "../levels/Product.ts"
import * as Solver from "../levels/Solver.ts"
import * as Plan from "../runtime/plan/Plan.ts"
import { stream } from "./Draws.ts"

type Draw = ReturnType<typeof stream>

const features = 3
const table = (seed: Seed.Seed, rows: number) => {
  const y = Seed.normal(Seed.fold(seed, "y"), rows)
  return {
    x: NdArray.float32([rows, features], Seed.normal(Seed.fold(seed, "x"), rows * features)),
    y: NdArray.float32([rows], y),
    yes: NdArray.float32(
      [rows],
      y.map((v) => Number(v > 0))
    )
  }
}
type Rows = { readonly x: tf.Tensor2D; readonly y: tf.Tensor1D; readonly yes: tf.Tensor1D }

/** A small net: how it starts and what it says of rows. */
const net = (draw: Draw) => {
  const width = 2 + draw.below(3)
  const deep = draw.chance(0.4)
  const activation = draw.pick<(x: tf.Tensor) => tf.Tensor>([tf.softplus, tf.tanh, tf.sigmoid, tf.elu, tf.relu])
  const normal = (seed: Seed.Seed, name: string, shape: ReadonlyArray<number>) => {
    const draws = Seed.normal(Seed.fold(seed, name), NdArray.size(shape))
    return NdArray.float32(
      shape,
      draws.map((v) => 0.7 * v)
    )
  }
  return {
    init: (seed: Seed.Seed): Tree.HostTree => ({
      first: { w: normal(seed, "w", [features, width]), b: normal(seed, "b", [width]) },
      ...(deep ? { second: { w: normal(seed, "w2", [width, width]), b: normal(seed, "b2", [width]) } } : {}),
      out: normal(seed, "out", [width, 1])
    }),
    apply: (p: any, x: tf.Tensor2D): tf.Tensor1D => {
      const layer = (x: tf.Tensor, l: any) => activation(tf.add(tf.matMul(x as tf.Tensor2D, l.w), l.b))
      const hidden = deep ? layer(layer(x, p.first), p.second) : layer(x, p.first)
      return tf.reshape(tf.matMul(hidden as tf.Tensor2D, p.out), [-1])
    }
  }
}

const losses: ReadonlyArray<(z: tf.Tensor1D, rows: Rows) => tf.Tensor> = [
  (z, { y }) => tf.mean(tf.squaredDifference(z, y)),
  (z, { yes }) => tf.mean(tf.sub(tf.softplus(z), tf.mul(z, yes))),
  (z, { y }) => tf.mean(tf.sub(tf.sqrt(tf.add(1, tf.squaredDifference(z, y))), 1))
]

const norm = (p: Tree.Tree): tf.Tensor =>
  tf.addN(Tree.leaves(p).map((leaf) => tf.sum(tf.square(leaf))) as Array<tf.Tensor>)

// With its own 1e-8 Adam's first update is a sign: its derivative, which some estimators use, would be all rounding.
const epsilon = 0.01

const optimizerOf = (draw: Draw) =>
  draw.pick([
    Optimizer.sgd(0.05),
    Optimizer.momentum(0.02, { momentum: 0.9 }),
    Optimizer.momentum(0.02, { momentum: 0.9, nesterov: true }),
    Optimizer.adam(0.02, { epsilon }),
    Optimizer.adamw(0.02, { epsilon, weightDecay: 0.05 }),
    Optimizer.adam(0.02, { epsilon }).pipe(Optimizer.weightDecay(0.01), Optimizer.clipByGlobalNorm(0.5))
  ])

const solverOf = (draw: Draw): Hypergradient.Solver => {
  const solver = draw.pick([
    Solver.identity,
    Solver.neumann({ terms: 1 + draw.below(3), rate: 0.1 }),
    Solver.conjugateGradient({ iterations: 1 + draw.below(3) }),
    Solver.nystrom({ rank: 1 + draw.below(5), damping: 0.5, seed: draw.below(100) }),
    Solver.sama,
    Solver.preconditioned({ terms: 1 }),
    Solver.exact
  ])
  return draw.chance(0.25) ? Solver.warm(solver) : solver
}

const estimatorOf = (draw: Draw, radius: number): Hypergradient.Hypergradient => {
  const product = Product.finiteDifference({ radius })
  if (draw.chance(0.1)) return Hypergradient.detached
  if (draw.chance(0.25)) return Hypergradient.unrolled({ steps: 1 + draw.below(3), product })
  return Hypergradient.implicit({ solver: solverOf(draw), product })
}

const scheduled = (draw: Draw, apart: Draw, top: boolean) => {
  const changes = [
    ...(draw.chance(0.3) ? [Level.unroll(1 + draw.below(3))] : []),
    ...(draw.chance(0.25) ? [Level.repeat(2)] : []),
    ...(draw.chance(0.25) ? [Level.warmup(1 + draw.below(3))] : []),
    ...(draw.chance(0.2) ? [Level.freeze(5 + draw.below(4))] : []),
    ...(!top && draw.chance(0.25) ? [Level.restart] : []),
    ...(apart.chance(0.2) ? [Level.accumulate(2 + apart.below(2))] : [])
  ]
  return <L extends Level.Definition>(level: L): L => changes.reduce((sofar, change) => change(sofar), level)
}

/** Rows of full batches, and of mini-batches of 14. */
interface Sizes {
  readonly constant: number
  readonly batch: number
}

const attempt = (seed: Seed.Seed, radius: number, sizes: Sizes): Problem.Problem<any, never, never> => {
  const draw = stream(seed)
  // Draws of their own, so that the rest of a program is what it is without them.
  const apart = stream(Seed.fold(seed, "accumulate"))
  const data = (name: string) =>
    draw.chance(0.2)
      ? Dataset.constant(name, table(Seed.fold(seed, name), sizes.constant))
      : Dataset.fromRows(name, table(Seed.fold(seed, name), 14), { batch: sizes.batch })
  const t = Var.make("t", (own) => NdArray.float32([2], Seed.normal(Seed.fold(own, "t"), 2)))
  const nets: Array<ReturnType<typeof net>> = []
  const made: Array<any> = []
  const count = 1 + draw.below(3)
  for (let i = 0; i < count; i++) {
    const own = net(draw)
    const loss = draw.pick(losses)
    const reads = made.flatMap((_, j) => (draw.chance(0.6) ? [j] : []))
    const given = i === 0 || draw.chance(0.4)
    const objective = (vars: any, rows: Rows) => {
      const p = vars[`p${i}`]
      const z = own.apply(p, rows.x)
      const terms = [loss(z, rows), tf.mul(0.5, norm(p))]
      for (const j of reads) terms.push(tf.mean(tf.squaredDifference(z, nets[j]!.apply(vars[`p${j}`], rows.x))))
      if (given) {
        const [pull, decay] = tf.unstack(tf.softmax(vars.t)) as [tf.Tensor, tf.Tensor]
        terms.push(tf.mul(pull, tf.mean(tf.square(tf.add(z, rows.y)))), tf.mul(decay, norm(p)))
      }
      return { loss: tf.addN(terms), metrics: { z } }
    }
    const level = Level.minimize(Var.make(`p${i}`, own.init) as any, {
      name: `l${i}`,
      given: given ? [t] : [],
      upstream: reads.map((j) => made[j]),
      data: data(`d${i}`),
      optimizer: optimizerOf(draw),
      objective: objective as any
    })
    made.push(level.pipe(Level.hypergradient(estimatorOf(draw, radius)), scheduled(draw, apart, false)))
    nets.push(own)
  }
  const seen = nets.flatMap((_, j) => (j === count - 1 || draw.chance(0.5) ? [j] : []))
  const loss = draw.pick(losses)
  const top = Level.minimize(t as any, {
    name: "top",
    upstream: made,
    data: data("dt"),
    optimizer: optimizerOf(draw),
    objective: ((vars: any, rows: Rows) =>
      tf.addN([
        tf.mul(0.05, norm(vars.t)),
        ...seen.map((j) => loss(nets[j]!.apply(vars[`p${j}`], rows.x), rows))
      ])) as any
  }).pipe(scheduled(draw, apart, true))
  const problem = Problem.close(top as never) as Problem.Problem<any, never, never>
  return draw.chance(0.2) ? problem.pipe(Problem.simultaneous) : problem
}

/**
 * A random program: one to three small nets over a random DAG below a vector of two tradeoffs, with random losses,
 * optimizers, estimators and schedules. Draws that a plan refuses are drawn again. A function of the seed.
 */
export const random = (
  seed: Seed.Seed,
  radius: number,
  sizes: Sizes = { constant: 6, batch: 5 }
): Problem.Problem<any, never, never> => {
  for (let i = 0; ; i++) {
    const problem = attempt(Seed.fold(seed, i), radius, sizes)
    if (Result.isSuccess(Plan.make(problem))) return problem
  }
}
