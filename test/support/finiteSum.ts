/** A quadratic of two levels over finite sums, g = mean of g_i below and f = mean of f_j above, and single-loop methods of reduced variance in numbers. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import type * as Rate from "../../src/levels/Rate.ts"
import * as M from "../../src/testing/Matrix.ts"

/** How many there are of each. */
export const sizes = { lower: 5, upper: 4 }

const draw = (label: string, rows: number, columns: number, scale: number): M.Matrix => {
  const drawn = Seed.normal(Seed.fold(Seed.make(11), label), rows * columns)
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_v, j) => scale * drawn[i * columns + j]!)
  )
}
const sym = (a: M.Matrix): M.Matrix => a.map((row, i) => row.map((v, j) => (v + a[j]![i]!) / 2))

interface Below {
  readonly A: M.Matrix
  readonly C: M.Matrix
  readonly a: M.Vector
}
interface Above {
  readonly F: M.Matrix
  readonly K: M.Matrix
  readonly f: M.Vector
  readonly h: M.Vector
}
const D = [
  [0.5, 0],
  [0, 0.8]
]
const below: ReadonlyArray<Below> = Array.from({ length: sizes.lower }, (_, i) => ({
  A: M.add(
    [
      [2, 0.5],
      [0.5, 1]
    ],
    sym(draw(`A${i}`, 2, 2, 0.3))
  ),
  C: M.add(
    [
      [0.3, -0.2],
      [0.1, 0.4]
    ],
    draw(`C${i}`, 2, 2, 0.2)
  ),
  a: M.plus([0.5, -1], draw(`a${i}`, 1, 2, 1)[0]!)
}))
const above: ReadonlyArray<Above> = Array.from({ length: sizes.upper }, (_, j) => ({
  F: M.add(
    [
      [1, 0.2],
      [0.2, 1.5]
    ],
    sym(draw(`F${j}`, 2, 2, 0.3))
  ),
  K: M.add(
    [
      [0.2, 0],
      [-0.1, 0.3]
    ],
    draw(`K${j}`, 2, 2, 0.2)
  ),
  f: M.plus([0.1, -0.2], draw(`f${j}`, 1, 2, 1)[0]!),
  h: M.plus([-0.3, 0.4], draw(`h${j}`, 1, 2, 1)[0]!)
}))

const matrices = (all: ReadonlyArray<M.Matrix>) => NdArray.float32([all.length, 2, 2], all.flat(2))
const vectors = (all: ReadonlyArray<M.Vector>) => NdArray.float32([all.length, 2], all.flat())
export const lowerRows = Dataset.fromRows(
  "below",
  { A: matrices(below.map(({ A }) => A)), C: matrices(below.map(({ C }) => C)), a: vectors(below.map(({ a }) => a)) },
  { batch: 1 }
)
export const upperRows = Dataset.fromRows(
  "above",
  {
    F: matrices(above.map(({ F }) => F)),
    K: matrices(above.map(({ K }) => K)),
    f: vectors(above.map(({ f }) => f)),
    h: vectors(above.map(({ h }) => h))
  },
  { batch: 1 }
)

const form = (x: tf.Tensor, m: tf.Tensor, y: tf.Tensor): tf.Tensor =>
  tf.mean(
    tf.sum(
      tf.mul(
        tf.reshape(x, [1, 2]),
        tf.reshape(tf.matMul(m, tf.tile(tf.reshape(y, [1, 2, 1]), [m.shape[0]!, 1, 1])), [-1, 2])
      ),
      1
    )
  )
const along = (x: tf.Tensor, v: tf.Tensor): tf.Tensor => tf.mean(tf.sum(tf.mul(v, x), 1))

/** The problem; each sum one batch a time, or all at once (`whole`). */
export const problem = (
  rates: readonly [lower: number | Rate.Rate, upper: number | Rate.Rate],
  options: { readonly whole?: boolean } = {}
) => {
  const x = Var.make("x", () => NdArray.float32([2], [1, -1]))
  const z = Var.make("z", () => NdArray.float32([2], [0, 0]))
  const whole = options.whole === true
  const lower = Level.minimize(z, {
    name: "lower",
    given: [x],
    data: whole
      ? Dataset.constant("below", {
          A: matrices(below.map((b) => b.A)),
          C: matrices(below.map((b) => b.C)),
          a: vectors(below.map((b) => b.a))
        })
      : (Dataset.finite(lowerRows) as never as Dataset.Dataset<{ A: tf.Tensor3D; C: tf.Tensor3D; a: tf.Tensor2D }>),
    optimizer: Optimizer.sgd(rates[0]),
    objective: ({ x, z }, { A, C, a }) => tf.addN([tf.mul(0.5, form(z, A, z)), form(x, C, z), along(z, a)]) as tf.Scalar
  })
  const upper = Level.minimize(x, {
    name: "upper",
    upstream: [lower],
    data: whole
      ? Dataset.constant("above", {
          F: matrices(above.map((b) => b.F)),
          K: matrices(above.map((b) => b.K)),
          f: vectors(above.map((b) => b.f)),
          h: vectors(above.map((b) => b.h))
        })
      : (Dataset.finite(upperRows) as never as Dataset.Dataset<{
          F: tf.Tensor3D
          K: tf.Tensor3D
          f: tf.Tensor2D
          h: tf.Tensor2D
        }>),
    optimizer: Optimizer.sgd(rates[1]),
    objective: ({ x, z }, { F, K, f, h }) =>
      tf.addN([
        tf.mul(0.5, form(z, F, z)),
        tf.mul(0.5, tf.sum(tf.mul(tf.tensor1d([0.5, 0.8]), tf.square(x)))),
        form(x, K, z),
        along(z, f),
        along(x, h)
      ]) as tf.Scalar
  })
  return Problem.close(upper)
}

const scale = (c: number, v: M.Vector): M.Vector => v.map((each) => c * each)
const mean = (all: ReadonlyArray<M.Vector>): M.Vector =>
  scale(
    1 / all.length,
    all.reduce((sum, v) => M.plus(sum, v))
  )

/** Everything a method is at: the lower variable, the adjoint (H v = ∂f/∂z at rest), the upper variable. */
export interface At {
  readonly z: M.Vector
  readonly v: M.Vector
  readonly x: M.Vector
}

const gz = (i: number, { x, z }: At) => {
  const { A, C, a } = below[i]!
  return M.plus(M.plus(M.apply(A, z), M.apply(M.transpose(C), x)), a)
}
const fz = (j: number, { x, z }: At) => {
  const { F, K, f } = above[j]!
  return M.plus(M.plus(M.apply(F, z), M.apply(M.transpose(K), x)), f)
}
const fx = (j: number, { x, z }: At) => {
  const { K, h } = above[j]!
  return M.plus(M.plus(M.apply(D, x), M.apply(K, z)), h)
}
/** The five oracles of a single-loop method. */
export const oracles = {
  gz,
  Hv: (i: number, { v }: At) => M.apply(below[i]!.A, v),
  Cv: (i: number, { v }: At) => M.apply(below[i]!.C, v),
  fz,
  fx
}
type Oracle = keyof typeof oracles
const ofLower: ReadonlyArray<Oracle> = ["gz", "Hv", "Cv"]
type Said = Record<Oracle, M.Vector>
const names = Object.keys(oracles) as ReadonlyArray<Oracle>
const countOf = (name: Oracle): number => (ofLower.includes(name) ? sizes.lower : sizes.upper)

const combine = (f: (name: Oracle) => M.Vector): Said =>
  Object.fromEntries(names.map((name) => [name, f(name)])) as Said
const all = (at: At): Said =>
  combine((name) => mean(Array.from({ length: countOf(name) }, (_, k) => oracles[name](k, at))))
const one = (i: number, j: number, at: At): Said => combine((name) => oracles[name](ofLower.includes(name) ? i : j, at))

/** Which term each tick takes, lower and upper. */
export const order = (seed: number, ticks: number) => {
  const termsOf = (rows: Dataset.Dataset<{}, Dataset.DataError>, level: string) =>
    Effect.gen(function* () {
      const draw = yield* Dataset.finite(rows).open
      const own = Seed.fold(Seed.fold(Seed.make(seed), "data"), level)
      const batches = yield* Effect.forEach(Array.from({ length: ticks }).keys(), (t) => draw(own, t))
      return batches.map((batch) => batch[Dataset.term]!.data[0]!)
    })
  return Effect.scoped(Effect.all({ lower: termsOf(lowerRows, "lower"), upper: termsOf(upperRows, "upper") })).pipe(
    // Terms are numbered as their batches are drawn: the rows of a permutation of their own.
    Effect.map(({ lower, upper }) => ({ lower: rowsOf(seed, "lower", lower), upper: rowsOf(seed, "upper", upper) }))
  )
}

const rowsOf = (seed: number, level: "lower" | "upper", terms: ReadonlyArray<number>): ReadonlyArray<number> => {
  const row = Dataset.epochRows(sizes[level], 1)
  const own = Seed.fold(Seed.fold(Seed.make(seed), "data"), level)
  return terms.map((term) => row(own, term)[0]!)
}

export type Estimate = "none" | "saga" | { readonly period: number }

/** What else may be: a lower level that is frozen, and mistakes that a comparison must tell apart. */
export interface Bent {
  /** Tick after which the lower level is held constant, and answers to nothing. */
  readonly freeze?: number
  readonly mistake?: "sign" | "reset" | "transposed" | "sum" | "stale"
}

/** SOBA with the variance of its oracles reduced: iterates after so many ticks. */
export const singleLoop = (
  terms: { readonly lower: ReadonlyArray<number>; readonly upper: ReadonlyArray<number> },
  ticks: number,
  rates: { readonly lower: number; readonly adjoint: number; readonly upper: number },
  estimate: Estimate,
  { freeze = Infinity, mistake }: Bent = {}
): At => {
  let at: At = { z: [0, 0], v: [0, 0], x: [1, -1] }
  let before = at
  let last = all(at)
  const table: Record<Oracle, Array<M.Vector>> = Object.fromEntries(
    names.map((name) => [name, Array.from({ length: countOf(name) }, () => [0, 0])])
  ) as never
  const bent = (said: Said, at: At, i: number): Said => {
    if (mistake === "sign") return { ...said, Cv: scale(-1, said.Cv) }
    if (mistake === "transposed") return { ...said, Cv: M.apply(M.transpose(below[i]!.C), at.v) }
    return mistake === "sum" ? { ...said, gz: scale(sizes.lower, said.gz) } : said
  }
  for (let t = 0; t < ticks; t++) {
    const past = mistake === "stale" ? Math.max(0, t - 1) : t
    const [i, j] = [terms.lower[past]!, terms.upper[past]!]
    const now = bent(one(i, j, at), at, i)
    let d = now
    if (estimate === "saga") {
      d = combine((name) => {
        const k = ofLower.includes(name) ? i : j
        const found = M.plus(M.minus(now[name], table[name][k]!), mean(table[name]))
        table[name][k] = now[name]
        return found
      })
    } else if (estimate !== "none") {
      const then = one(i, j, before)
      d =
        t % estimate.period === 0 || t === freeze
          ? all(at)
          : combine((name) => M.plus(last[name], M.minus(now[name], then[name])))
    }
    last = d
    before = at
    const frozen = t >= freeze
    const v = mistake === "reset" ? [0, 0] : at.v
    at = {
      z: frozen ? at.z : M.minus(at.z, scale(rates.lower, d.gz)),
      v: frozen ? at.v : M.minus(v, scale(rates.adjoint, M.minus(d.Hv, d.fz))),
      x: M.minus(at.x, scale(rates.upper, frozen ? d.fx : M.minus(d.fx, d.Cv)))
    }
  }
  return at
}

/** The solution: where all directions of all terms are zero. */
export const solution = (): M.Vector => {
  let at: At = { z: [0, 0], v: [0, 0], x: [1, -1] }
  for (let t = 0; t < 20_000; t++) {
    const d = all(at)
    at = {
      z: M.minus(at.z, scale(0.2, d.gz)),
      v: M.minus(at.v, scale(0.2, M.minus(d.Hv, d.fz))),
      x: M.minus(at.x, scale(0.1, M.minus(d.fx, d.Cv)))
    }
  }
  return at.x
}

/**
 * Methods of momentum in numbers: the whole hypergradient by a Neumann series of so many products (`terms`), both directions
 * corrected by what the same terms say has changed; `rate(t)` is η.
 */
export const momentum = (
  terms: { readonly lower: ReadonlyArray<number>; readonly upper: ReadonlyArray<number> },
  ticks: number,
  rates: { readonly lower: number; readonly upper: number },
  series: { readonly terms: number; readonly rate: number },
  rate: (t: number) => number
): At => {
  const hyper = (i: number, j: number, at: At): M.Vector => {
    const b = fz(j, at)
    let u = scale(series.rate, b)
    for (let k = 0; k < series.terms; k++) u = M.plus(u, scale(series.rate, M.minus(b, M.apply(below[i]!.A, u))))
    return M.minus(fx(j, at), M.apply(below[i]!.C, u))
  }
  let at: At = { z: [0, 0], v: [0, 0], x: [1, -1] }
  let before = at
  let [dz, dx]: [M.Vector, M.Vector] = [
    [0, 0],
    [0, 0]
  ]
  for (let t = 0; t < ticks; t++) {
    const [i, j] = [terms.lower[t]!, terms.upper[t]!]
    const keep = t === 0 ? 0 : 1 - rate(t)
    dz = M.plus(gz(i, at), scale(keep, M.minus(dz, gz(i, before))))
    dx = M.plus(hyper(i, j, at), scale(keep, M.minus(dx, hyper(i, j, before))))
    before = at
    at = { ...at, z: M.minus(at.z, scale(rates.lower, dz)), x: M.minus(at.x, scale(rates.upper, dx)) }
  }
  return at
}

/** FSLA in numbers: z, then v at the new z, then x by momentum on what is at the new and the last (z, x, v). */
export const fsla = (
  terms: { readonly lower: ReadonlyArray<number>; readonly upper: ReadonlyArray<number> },
  ticks: number,
  rates: { readonly lower: number; readonly adjoint: number; readonly upper: number },
  rate: (t: number) => number
): At => {
  const h = (i: number, j: number, at: At) => M.minus(fx(j, at), M.apply(below[i]!.C, at.v))
  let at: At = { z: [0, 0], v: [0, 0], x: [1, -1] }
  let before: At | undefined
  let d: M.Vector = [0, 0]
  for (let t = 0; t < ticks; t++) {
    const [i, j] = [terms.lower[t]!, terms.upper[t]!]
    const z = M.minus(at.z, scale(rates.lower, gz(i, at)))
    const there = { ...at, z }
    const v = M.minus(at.v, scale(rates.adjoint, M.minus(M.apply(below[i]!.A, at.v), fz(j, there))))
    const seen = { ...there, v }
    d = before === undefined ? h(i, j, seen) : M.plus(h(i, j, seen), scale(1 - rate(t), M.minus(d, h(i, j, before))))
    before = seen
    at = { z, v, x: M.minus(at.x, scale(rates.upper, d)) }
  }
  return at
}
