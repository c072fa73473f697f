/** Heads that are solved: their optimum, and its derivative by the features. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as CompiledEngine from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as Objective from "../../src/objectives/Objective.ts"
import * as Solved from "../../src/objectives/Solved.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as M from "../../src/testing/Matrix.ts"

const [rows, inputs] = [12, 3]
const draw = (name: string, count: number) => Array.from(Seed.normal(Seed.fold(Seed.make(8), name), count))
const matrix = (name: string, n: number, m: number): M.Matrix => {
  const all = draw(name, n * m)
  return Array.from({ length: n }, (_, i) => all.slice(i * m, (i + 1) * m))
}
const table = matrix("x", rows, inputs)
const other = matrix("other", rows, inputs)
const classes = draw("y", rows).map((v, i) => Number(v + table[i]![0]! > 0))
const scale = [0.7, -1.2, 0.5]

type Kind = "ridge" | "logistic"
const penalty = 0.05
const kinds: ReadonlyArray<Kind> = ["ridge", "logistic"]

/** The solution in float64, bias last: for logistic regression by forty steps. */
const solve = (kind: Kind, x: M.Matrix): M.Vector => {
  const wide = x.map((row) => [...row, 1])
  let u: M.Vector = Array.from({ length: inputs + 1 }, () => 0)
  for (let step = 0; step < (kind === "ridge" ? 1 : 40); step++) {
    const z = M.apply(wide, u)
    const p = kind === "ridge" ? z : z.map((v) => 1 / (1 + Math.exp(-v)))
    const h = kind === "ridge" ? z.map(() => 1) : p.map((v) => v * (1 - v))
    const decay = (i: number) => (i < inputs ? penalty : 0)
    const slope = u.map(
      (v, i) => wide.reduce((sum, row, n) => sum + (row[i]! * (p[n]! - classes[n]!)) / rows, 0) + decay(i) * v
    )
    const curvature = u.map((_, i) =>
      u.map(
        (_v, j) => wide.reduce((sum, row, n) => sum + (row[i]! * row[j]! * h[n]!) / rows, 0) + (i === j ? decay(i) : 0)
      )
    )
    const move = M.solve(
      curvature,
      slope.map((v) => [v])
    )
    u = u.map((v, i) => v - move[i]![0]!)
  }
  return u
}
const scaled = (x: M.Matrix, by: M.Vector): M.Matrix => x.map((row) => row.map((v, i) => Math.tanh(v * by[i]!)))
const scoreAt = (kind: Kind, by: M.Vector): number => {
  const u = solve(kind, scaled(table, by))
  const z = M.apply(
    scaled(other, by).map((row) => [...row, 1]),
    u
  )
  return z.reduce((sum, v, n) => sum + (v - classes[n]!) ** 2 / rows, 0)
}

const tensor = (m: M.Matrix) => tf.tensor2d(m as Array<Array<number>>)
const head = (kind: Kind, features: tf.Tensor2D): Solved.Head => {
  const targets = tf.tensor1d(classes)
  return kind === "ridge"
    ? Solved.ridge({ features, targets: tf.reshape(targets, [rows, 1]), penalty })
    : Solved.logistic({ features, targets, penalty, steps: 8 })
}

describe("a head that is solved", () => {
  const engines = [
    ["eager", Eager.layer("cpu")],
    ["compiled", CompiledEngine.layer()]
  ] as const
  for (const [name, engine] of engines)
    for (const kind of kinds)
      it.live(`${kind}, ${name}: is the optimum, and is differentiated as one`, () =>
        Effect.gen(function* () {
          const by = Var.make("by", () => NdArray.float32([inputs], scale))
          const level = Level.minimize(by, {
            data: Dataset.none,
            optimizer: Optimizer.sgd(1),
            objective: ({ by }) => {
              const features = (m: M.Matrix) => tf.tanh(tf.mul(tensor(m), by)) as tf.Tensor2D
              const solved = head(kind, features(table))
              const z = tf.reshape(Mlp.affine(solved, features(other)), [-1])
              const loss = tf.mean(tf.squaredDifference(z, tf.tensor1d(classes))) as tf.Scalar
              return { loss, metrics: { w: tf.reshape(solved.w, [-1]), b: solved.b } }
            }
          })
          const last = yield* Run.ticks(Problem.close(level), { ticks: 1, seed: 0 }).pipe(
            Stream.mapEffect((tick) => Effect.map(tick.read(["by"]), ({ by }) => ({ by, levels: tick.levels }))),
            Stream.runHead,
            Effect.map(Option.getOrThrow)
          )
          const { metrics } = last.levels["by"]!
          const found = [...(metrics["w"] as ReadonlyArray<number>), ...(metrics["b"] as ReadonlyArray<number>)]
          assert.isBelow(M.relativeError(found, solve(kind, scaled(table, scale))), 1e-5)
          const slopes = M.minus(scale, Array.from(last.by.data))
          const expected = scale.map((_, i) => {
            const moved = (h: number) =>
              scoreAt(
                kind,
                scale.map((v, j) => (i === j ? v + h : v))
              )
            return (moved(1e-5) - moved(-1e-5)) / 2e-5
          })
          assert.isBelow(M.relativeError(slopes, expected), 1e-4)
        }).pipe(Effect.provide(engine))
      )

  it.live("logistic: says how far it is from solved", () =>
    Effect.gen(function* () {
      const residual = (steps: number) => () => {
        const features = tensor(table)
        return Solved.logistic({ features, targets: tf.tensor1d(classes), penalty, steps }).residual.dataSync()[0]!
      }
      yield* Effect.void
      assert.isAbove(tf.tidy(residual(1) as never) as unknown as number, 1e-3)
      assert.isBelow(tf.tidy(residual(8) as never) as unknown as number, 1e-6)
    }).pipe(Effect.provide(Eager.layer("cpu")))
  )

  for (const [name, engine] of engines)
    it.live(`softmax, ${name}: is the optimum of three classes, and is differentiated as one`, () =>
      Effect.gen(function* () {
        const [k, held] = [3, 0.2]
        const of = Array.from({ length: rows }, (_, i) => (i * 5) % k)
        const probabilities = (z: M.Vector): M.Vector => {
          const sum = z.reduce((total, v) => total + Math.exp(v), 0)
          return z.map((v) => Math.exp(v) / sum)
        }
        /** The optimum in float64 by gradient descent, [class][inputs and bias]. */
        const optimum = (x: M.Matrix): M.Matrix => {
          const wide = x.map((row) => [...row, 1])
          let u: M.Matrix = Array.from({ length: k }, () => Array.from({ length: inputs + 1 }, () => 0))
          for (let step = 0; step < 4000; step++) {
            const errors = wide.map((row, n) => {
              const p = probabilities(u.map((own) => own.reduce((sum, v, j) => sum + v * row[j]!, 0)))
              return p.map((v, c) => v - Number(of[n] === c))
            })
            u = u.map((own, c) =>
              own.map((v, j) => {
                const slope = wide.reduce((sum, row, n) => sum + (row[j]! * errors[n]![c]!) / rows, 0)
                return v - 0.5 * (slope + (j < inputs ? held * v : 0))
              })
            )
          }
          return u
        }
        const lossAt = (by: M.Vector): number => {
          const u = optimum(scaled(table, by))
          return scaled(other, by).reduce((sum, row, n) => {
            const p = probabilities(u.map((own) => [...row, 1].reduce((z, v, j) => z + v * own[j]!, 0)))
            return sum - Math.log(p[of[n]!]!) / rows
          }, 0)
        }
        const by = Var.make("by", () => NdArray.float32([inputs], scale))
        const level = Level.minimize(by, {
          data: Dataset.none,
          optimizer: Optimizer.sgd(1),
          objective: ({ by }) => {
            const features = (m: M.Matrix) => tf.tanh(tf.mul(tensor(m), by)) as tf.Tensor2D
            const labels = tf.tensor1d(of, "int32")
            const targets = tf.cast(tf.oneHot(labels, k), "float32") as tf.Tensor2D
            const solved = Solved.softmax({ features: features(table), targets, penalty: held, steps: 60 })
            const loss = Objective.crossEntropy(Mlp.affine(solved, features(other)), labels)
            return { loss, metrics: { w: tf.reshape(solved.w, [-1]), b: solved.b, residual: solved.residual } }
          }
        })
        const last = yield* Run.ticks(Problem.close(level), { ticks: 1, seed: 0 }).pipe(
          Stream.mapEffect((tick) => Effect.map(tick.read(["by"]), ({ by }) => ({ by, levels: tick.levels }))),
          Stream.runHead,
          Effect.map(Option.getOrThrow)
        )
        const { metrics } = last.levels["by"]!
        const found = [...(metrics["w"] as ReadonlyArray<number>), ...(metrics["b"] as ReadonlyArray<number>)]
        const u = optimum(scaled(table, scale))
        const expected = Array.from({ length: inputs + 1 }, (_, j) => u.map((own) => own[j]!)).flat()
        assert.isBelow(M.relativeError(found, expected), 1e-4)
        assert.isBelow(metrics["residual"] as number, 1e-5)
        const slopes = M.minus(scale, Array.from(last.by.data))
        const differences = scale.map((_, i) => {
          const moved = (h: number) => lossAt(scale.map((v, j) => (i === j ? v + h : v)))
          return (moved(1e-4) - moved(-1e-4)) / 2e-4
        })
        assert.isBelow(M.relativeError(slopes, differences), 1e-3)
      }).pipe(Effect.provide(engine))
    )

  it("says what does not fit", () => {
    const [features, targets] = [tf.zeros([4, 2]) as tf.Tensor2D, tf.zeros([4, 1]) as tf.Tensor2D]
    assert.throws(() => Solved.ridge({ features, targets, penalty: 0 }), /penalty is 0/)
    assert.throws(() => Solved.ridge({ features, targets: tf.zeros([3, 1]), penalty: 1 }), /4 rows and targets 3/)
    assert.throws(() => Solved.ridge({ features: tf.zeros([4, 513]), targets, penalty: 1 }), /at most 512/)
    const labels = tf.zeros([4]) as tf.Tensor1D
    assert.throws(() => Solved.logistic({ features, targets: labels, penalty: 1, steps: 0 }), /steps is 0/)
    assert.throws(() => Solved.softmax({ features, targets: tf.zeros([3, 2]), penalty: 1, steps: 1 }), /4 rows and/)
    assert.throws(() => Solved.softmax({ features, targets, penalty: 1, steps: 0 }), /steps is 0/)
  })
})
