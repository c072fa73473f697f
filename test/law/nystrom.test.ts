import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import type * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as M from "../../src/testing/Matrix.ts"
import { swept } from "../support/hypergradient.ts"
import * as Quadratic from "../../src/testing/Quadratic.ts"

const cpu = Effect.provide(Eager.layer("cpu"))
const draw = (seed: number, name: string, n: number): M.Vector =>
  Array.from(Seed.normal(Seed.fold(Seed.make(seed), name), n))
const diagonal = (values: M.Vector): M.Matrix => values.map((v, i) => values.map((_, j) => (i === j ? v : 0)))
const damped = (h: M.Matrix, rho: number): M.Matrix => M.add(h, diagonal(h.map(() => rho)))
const solved = (h: M.Matrix, v: M.Vector): M.Vector =>
  M.solve(
    h,
    v.map((x) => [x])
  ).map((row) => row[0]!)

/** Columns of a random rotation: Gram-Schmidt. */
const rotation = (seed: number, n: number): M.Matrix => {
  const rows: Array<M.Vector> = []
  for (let i = 0; i < n; i++) {
    let row = draw(seed, `row ${i}`, n)
    for (const earlier of [...rows, ...rows]) {
      const along = row.reduce((sum, x, j) => sum + x * earlier[j]!, 0)
      row = row.map((x, j) => x - along * earlier[j]!)
    }
    rows.push(row.map((x) => x / M.norm(row)))
  }
  return rows
}
/** A symmetric matrix of the given eigenvalues. */
const symmetric = (seed: number, eigenvalues: M.Vector): M.Matrix => {
  const q = rotation(seed, eigenvalues.length)
  return M.multiply(M.multiply(M.transpose(q), diagonal(eigenvalues)), q)
}

/** Vectors as trees of two leaves, one of them a matrix. */
const tree = (x: M.Vector): Tree.Tree => ({
  b: tf.tensor1d(x.slice(4)),
  w: tf.tensor2d(x.slice(0, 4), [2, 2])
})
const vector = (t: Tree.Tree): M.Vector => {
  const { b, w } = t as { readonly b: tf.Tensor; readonly w: tf.Tensor }
  return [...w.dataSync(), ...b.dataSync()]
}

/** What a solver makes of H u = v, and the directions along which it asked for products. */
const solve = (solver: Hypergradient.Solver, h: M.Matrix, v: M.Vector) => {
  const directions: Array<M.Vector> = []
  let u: M.Vector = []
  tf.tidy(() => {
    const product = <T extends Tree.Tree>(u: T): T => {
      directions.push(vector(u))
      return tree(M.apply(h, vector(u))) as T
    }
    const unused = () => assert.fail("nystrom has no use for the optimizer")
    u = vector(solver.update(product, tree(v), solver.init(tree(v)), unused)[0])
  })
  return { u, directions }
}

describe("nystrom", () => {
  it.live("is (ρI + HΩ (ΩᵀHΩ)⁻¹ ΩᵀH)⁻¹ v, in float64, on random positive definite matrices", () =>
    Effect.sync(() => {
      for (let seed = 0; seed < 20; seed++) {
        const n = 6 + (seed % 5)
        const h = symmetric(
          seed,
          draw(seed, "eigenvalues", n).map((x) => 0.2 + x * x)
        )
        const v = draw(seed, "v", n)
        for (const rank of [1, 3, n - 1]) {
          const { directions, u } = solve(Solver.nystrom({ rank, damping: 0.1, seed }), h, v)
          assert.lengthOf(directions, rank)
          const sketch = M.transpose(directions)
          const image = M.multiply(h, sketch)
          const core = M.multiply(M.transpose(sketch), image)
          const low = M.multiply(image, M.solve(core, M.transpose(image)))
          assert.isBelow(M.relativeError(u, solved(damped(low, 0.1), v)), 1e-4, `seed ${seed}, rank ${rank}`)
        }
      }
    }).pipe(cpu)
  )

  it.live("with as many products as elements it is the damped inverse, and tends to H⁻¹v as the damping falls", () =>
    Effect.sync(() => {
      for (let seed = 0; seed < 10; seed++) {
        const h = symmetric(seed, [0.5, 0.8, 1, 1.5, 2, 3, 4])
        const v = draw(seed, "v", 7)
        const errors = [1, 0.1, 0.01].map((damping) => {
          const { u } = solve(Solver.nystrom({ rank: 7, damping }), h, v)
          assert.isBelow(M.relativeError(u, solved(damped(h, damping), v)), 1e-3, `seed ${seed}, damping ${damping}`)
          return M.relativeError(u, solved(h, v))
        })
        // The relative error of damping is at most ρ / λmin.
        errors.forEach((error, i) => assert.isBelow(error, 10 ** -i / 0.5, `seed ${seed}`))
        assert.isTrue(errors[1]! < errors[0]! && errors[2]! < errors[1]!, `${errors}`)
      }
    }).pipe(cpu)
  )

  it.live("of a matrix of lower rank: exact with as many products as its rank, v/ρ where there is no curvature", () =>
    Effect.sync(() => {
      const eigenvalues = [3, 2, 1, 0, 0, 0, 0, 0]
      for (let seed = 0; seed < 10; seed++) {
        const h = symmetric(seed, eigenvalues)
        const v = draw(seed, "v", 8)
        // Products beyond the rank find nothing more and do no harm.
        for (const rank of [3, 5, 8]) {
          const { u } = solve(Solver.nystrom({ rank, damping: 0.1 }), h, v)
          assert.isBelow(M.relativeError(u, solved(damped(h, 0.1), v)), 1e-3, `seed ${seed}, rank ${rank}`)
        }
        const flat = rotation(seed, 8)[5]!
        const { u } = solve(Solver.nystrom({ rank: 4, damping: 0.1 }), h, flat)
        assert.isBelow(
          M.relativeError(
            u,
            flat.map((x) => 10 * x)
          ),
          1e-3,
          `seed ${seed}`
        )
      }
    }).pipe(cpu)
  )

  it.live("on a decaying spectrum the error falls with the rank, and most of it with the first products", () =>
    Effect.sync(() => {
      const n = 24
      const eigenvalues = Array.from({ length: n }, (_, i) => 10 * 0.4 ** i)
      const ranks = [1, 2, 4, 8, 12]
      const errors = ranks.map((rank) => {
        const found = Array.from({ length: 10 }, (_, seed) => {
          const h = symmetric(seed, eigenvalues)
          const v = M.apply(h, draw(seed, "v", n))
          return M.relativeError(solve(Solver.nystrom({ rank, damping: 0.01 }), h, v).u, solved(damped(h, 0.01), v))
        })
        return found.reduce((sum, e) => sum + e, 0) / found.length
      })
      for (let i = 1; i < ranks.length; i++) assert.isBelow(errors[i]!, errors[i - 1]!, `${errors}`)
      assert.isBelow(errors.at(-1)!, errors[0]! / 100, `${errors}`)
    }).pipe(cpu)
  )

  it.live("never turns v round: with curvature of any sign vᵀu lies between 0 and ‖v‖²/ρ", () =>
    Effect.sync(() => {
      for (let seed = 0; seed < 20; seed++) {
        const h = symmetric(seed, draw(seed, "eigenvalues", 8))
        const v = draw(seed, "v", 8)
        const { u } = solve(Solver.nystrom({ rank: 6, damping: 0.2 }), h, v)
        const along = u.reduce((sum, x, i) => sum + x * v[i]!, 0)
        assert.isAbove(along, 0, `seed ${seed}`)
        assert.isAtMost(along, (1 + 1e-4) * (M.norm(v) ** 2 / 0.2), `seed ${seed}`)
      }
    }).pipe(cpu)
  )

  it.live("is a function of its seed; a warm one makes up for what the damping leaves", () =>
    Effect.sync(() => {
      const h = symmetric(1, [1, 1.5, 2, 3, 4, 5])
      const v = draw(1, "v", 6)
      const of = (seed?: number) =>
        solve(Solver.nystrom({ rank: 2, damping: 0.5, ...(seed === undefined ? {} : { seed }) }), h, v).u
      assert.deepStrictEqual(of(), of(0))
      assert.deepStrictEqual(of(3), of(3))
      assert.isAbove(M.relativeError(of(3), of(4)), 1e-3)
      tf.tidy(() => {
        const solver = Solver.warm(Solver.nystrom({ rank: 6, damping: 0.5 }))
        const product = <T extends Tree.Tree>(u: T): T => tree(M.apply(h, vector(u))) as T
        let [u, state] = [tree(v), solver.init(tree(v))]
        for (let i = 0; i < 12; i++) [u, state] = solver.update(product, tree(v), state, (w) => w)
        // Each time a factor ρ / (ρ + λ) of the error is left, 1/3 or less here.
        assert.isBelow(M.relativeError(vector(u), solved(h, v)), 1e-5)
      })
    }).pipe(cpu)
  )

  it.live("through a sweep with finite differences: the closed form of a damped response", () =>
    Effect.forEach([0, 1, 2, 3], (seed) =>
      Effect.gen(function* () {
        const [n, damping] = [6, 0.01]
        const h = symmetric(seed, [0.5, 1, 1.5, 2, 3, 4])
        const [at, goal] = [draw(seed, "y", n), draw(seed, "goal", n)]
        const solution = solved(h, at)
        const x = Var.make("x", () => NdArray.float32([n], [...solution]))
        const y = Var.make("y", () => NdArray.float32([n], [...at]))
        const estimator = Hypergradient.implicit({
          solver: Solver.nystrom({ rank: n, damping }),
          product: Product.finiteDifference({ radius: 1 })
        })
        const inner = Level.minimize(x, {
          given: [y],
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ x, y }) => {
            const image = tf.reshape(tf.matMul(tf.tensor2d(h as Array<Array<number>>), tf.reshape(x, [n, 1])), [n])
            return tf.sub(tf.mul(0.5, tf.sum(tf.mul(x, image))), tf.sum(tf.mul(x, y))) as tf.Scalar
          }
        }).pipe(Level.hypergradient(estimator))
        const outer = Level.minimize(y, {
          upstream: [inner],
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ x }) => tf.mul(0.5, tf.sum(tf.square(tf.sub(x, tf.tensor1d([...goal]))))) as tf.Scalar
        })
        const { gradient, plan } = yield* swept(Problem.close(outer))
        const expected = solved(damped(h, damping), M.minus(solution, goal))
        assert.isBelow(M.relativeError(gradient, expected), 1e-3, `seed ${seed}`)
        assert.strictEqual(plan.levels[0]!.estimator!.name, `nystrom(${n}, ${damping}) × finiteDifference(1)`)
        assert.strictEqual(plan.cost[1]!.evaluations, 1 + 2 * (n + 1))
      })
    ).pipe(cpu)
  )

  it.live("refuses what makes no sense, and more products than elements once the variable is known", () =>
    Effect.gen(function* () {
      assert.throws(() => Solver.nystrom({ rank: 0, damping: 1 }), /rank is 0/)
      assert.throws(() => Solver.nystrom({ rank: 2.5, damping: 1 }), /rank is 2\.5/)
      for (const damping of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        assert.throws(() => Solver.nystrom({ rank: 2, damping }), /damping is/)
      }
      const estimator = Hypergradient.implicit({
        solver: Solver.nystrom({ rank: 5, damping: 0.1 }),
        product: Product.finiteDifference({ radius: 1 })
      })
      const { problem } = Quadratic.random(Seed.make(1), 2, estimator)
      const error = yield* Effect.flip(
        Stream.runDrain(Run.ticks(problem as Problem.Problem<any, never, never>, { ticks: 1, seed: 0 }))
      )
      assert.match((error as Error).message, /level 'x\d'.*rank is 5, but the variable has \d elements/s)
    }).pipe(cpu)
  )
})
