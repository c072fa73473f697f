/**
 * Small problems whose levels respond to one another in any way, and what they are by definition: every level's solution minimizes its
 * loss with the levels below it solved again. The oracle is float64, differentiates by differences, and knows no sweep.
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Dataset from "../../src/dsl/Dataset.ts"
import type { Hypergradient } from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as M from "../../src/testing/Matrix.ts"

/** A level by name: which variables of levels above it is given, which levels it reads. Lower levels come first. */
export interface Player {
  readonly name: string
  readonly given?: ReadonlyArray<string>
  readonly upstream?: ReadonlyArray<string>
}

/** `½ sᵀQs + bᵀs + Σ cᵢ tanh(aᵢᵀs)` of all variables that a level sees, end to end. */
interface Loss {
  readonly sees: ReadonlyArray<string>
  readonly quadratic: M.Matrix
  readonly linear: M.Vector
  readonly bends: ReadonlyArray<{ readonly weight: number; readonly along: M.Vector }>
}

export type Values = { readonly [name: string]: M.Vector }

/** A level's loss at random: steep in its own variable, coupled to the others, and bent unless it is to be quadratic. */
const lossOf = (seed: Seed.Seed, { given = [], name, upstream = [] }: Player, bent: boolean, size: number): Loss => {
  const sees = [name, ...given, ...upstream]
  const n = size * sees.length
  const draws = (label: string, count: number, scale: number) =>
    Array.from(Seed.normal(Seed.fold(Seed.fold(seed, name), label), count), (v) => scale * v)
  const raw = draws("quadratic", n * n, 0.3)
  const quadratic = Array.from({ length: n }, (_, i) =>
    Array.from({ length: n }, (_v, j) => (raw[i * n + j]! + raw[j * n + i]!) / 2 + (i === j ? (i < size ? 3 : 0.5) : 0))
  )
  const bends = bent
    ? Array.from({ length: 3 }, (_, i) => ({
        weight: draws(`weight${i}`, 1, 0.6)[0]!,
        along: draws(`along${i}`, n, 0.5)
      }))
    : []
  return { sees, quadratic, linear: draws("linear", n, 0.8), bends }
}

const dot = (a: M.Vector, b: M.Vector): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0)

const valueOf = ({ bends, linear, quadratic, sees }: Loss, values: Values): number => {
  const s = sees.flatMap((name) => [...values[name]!])
  const bent = bends.reduce((sum, { along, weight }) => sum + weight * Math.tanh(dot(along, s)), 0)
  return 0.5 * dot(s, M.apply(quadratic, s)) + dot(linear, s) + bent
}

const tensorOf = (
  { bends, linear, quadratic, sees }: Loss,
  vars: { readonly [name: string]: tf.Tensor }
): tf.Scalar => {
  const s = tf.concat(sees.map((name) => vars[name]!)) as tf.Tensor1D
  const image = tf.reshape(tf.matMul(tf.tensor2d(quadratic as Array<Array<number>>), tf.reshape(s, [-1, 1])), [-1])
  const terms = [tf.mul(0.5, tf.sum(tf.mul(s, image))), tf.sum(tf.mul(s, linear as Array<number>))]
  for (const { along, weight } of bends) terms.push(tf.mul(weight, tf.tanh(tf.sum(tf.mul(s, along as Array<number>)))))
  return tf.addN(terms) as tf.Scalar
}

const shifted = (x: M.Vector, i: number, by: number): M.Vector => x.map((v, j) => (i === j ? v + by : v))

/** Central differences of fourth order. */
const slopes = (f: (x: M.Vector) => number, x: M.Vector, h: number): M.Vector =>
  x.map((_, i) => {
    const at = (k: number) => f(shifted(x, i, k * h))
    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
  })

// Nearer to a minimum than this nothing is told by differences.
const enough = 1e-8

/** Inverses of curvatures by level, taken where each is first asked for. */
type Curvatures = Map<string, M.Matrix>

/** Newton's method on differences, with a curvature that is kept: solutions move little. */
const argmin = (
  name: string,
  curvatures: Curvatures,
  f: (x: M.Vector) => number,
  start: M.Vector,
  h: number
): M.Vector => {
  let x = start
  for (let step = 0; step < 40; step++) {
    const g = slopes(f, x, h)
    if (M.norm(g) < enough) break
    if (!curvatures.has(name)) {
      const hessian = x.map((_, i) =>
        M.minus(slopes(f, shifted(x, i, h), h), slopes(f, shifted(x, i, -h), h)).map((v) => v / (2 * h))
      )
      const identity = x.map((_, i) => x.map((_v, j) => Number(i === j)))
      curvatures.set(name, M.solve(hessian, identity))
    }
    const move = M.apply(curvatures.get(name)!, g)
    x = M.minus(x, move)
    if (M.norm(move) < enough) break
  }
  return x
}

export interface Game {
  readonly problem: (estimator: (name: string) => Hypergradient) => Problem.Problem<Var.Var.Any>
  /** The derivative of the top's loss with everything below it solved again. */
  readonly gradient: M.Vector
  readonly values: Values
}

/** A game of these players, the last one the top, started where all but the top are solved. */
export const make = (
  seed: Seed.Seed,
  players: ReadonlyArray<Player>,
  options: {
    readonly bent: boolean
    readonly optimizer?: Optimizer.Optimizer
    readonly decay?: number
    readonly size?: number
  }
): Game => {
  const { bent, decay = 0, optimizer = Optimizer.sgd(0.1), size = 2 } = options
  const byName = new Map(players.map((player) => [player.name, player]))
  const losses = new Map(players.map((player) => [player.name, lossOf(seed, player, bent, size)]))
  const below = (name: string): ReadonlySet<string> =>
    new Set((byName.get(name)!.upstream ?? []).flatMap((each) => [each, ...below(each)]))
  /** Levels below that hear of a level's variable. */
  const dependents = (name: string): ReadonlyArray<string> => {
    const heard = new Set([name])
    const inside = players.filter((player) => below(name).has(player.name))
    for (let round = 0; round < inside.length; round++)
      for (const { given = [], name: reader, upstream = [] } of inside)
        if ([...given, ...upstream].some((each) => heard.has(each))) heard.add(reader)
    return inside.map((player) => player.name).filter((each) => heard.has(each))
  }
  const top = players.at(-1)!.name
  const curvatures: Curvatures = new Map()
  const step = bent ? 0.02 : 0.2
  const reduced = (name: string, values: Values, x: M.Vector): number =>
    valueOf(losses.get(name)!, settled(dependents(name), { ...values, [name]: x }))
  // Levels are solved in turn until none moves: no order is assumed.
  function settled(names: ReadonlyArray<string>, start: Values): Values {
    let values = start
    for (let round = 0; round < 8; round++) {
      let moved = 0
      for (const name of names) {
        const decayed = (x: M.Vector) => reduced(name, values, x) + 0.5 * (name === top ? 0 : decay) * dot(x, x)
        const next = argmin(name, curvatures, decayed, values[name]!, step)
        moved = Math.max(moved, M.norm(M.minus(next, values[name]!)))
        values = { ...values, [name]: next }
      }
      if (moved < enough || names.length === 1) break
    }
    return values
  }
  const start: Values = Object.fromEntries(
    players.map(({ name }) => [
      name,
      Array.from(Seed.normal(Seed.fold(Seed.fold(seed, "start"), name), size), (v) => v * 0.5)
    ])
  )
  const all = players.slice(0, -1).map((player) => player.name)
  const values = settled(all, start)
  const gradient = slopes((x) => reduced(top, values, x), values[top]!, step)
  const variables = new Map(
    players.map(({ name }) => [name, Var.make(name, () => NdArray.float32([size], values[name]!))])
  )
  const problem: Game["problem"] = (estimator) => {
    const made = new Map<string, any>()
    for (const { given = [], name, upstream = [] } of players) {
      const level = Level.minimize(variables.get(name)! as any, {
        given: given.map((each) => variables.get(each)!) as any,
        upstream: upstream.map((each) => made.get(each)),
        data: Dataset.none,
        optimizer: (decay > 0 && name !== top ? optimizer.pipe(Optimizer.weightDecay(decay)) : optimizer) as any,
        objective: ((vars: any) => tensorOf(losses.get(name)!, vars)) as any
      })
      made.set(name, name === top ? level : level.pipe(Level.hypergradient(estimator(name))))
    }
    return Problem.close(made.get(top) as never) as never
  }
  return { problem, gradient, values }
}
