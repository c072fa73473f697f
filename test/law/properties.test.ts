/** What holds of every method and solver on problems drawn at random, each with a control that must not. */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import fc from "fast-check"
import { beforeAll } from "vitest"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Compiled from "../../src/engines/compiled/CompiledEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import * as Method from "../../src/levels/Method.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as M from "../../src/testing/Matrix.ts"
import * as Property from "../../src/testing/Property.ts"
import * as Vector from "../../src/tensor/Vector.ts"
import * as Quadratic from "../../src/testing/Quadratic.ts"
import * as Sum from "../support/finiteSum.ts"
import { swept } from "../support/hypergradient.ts"

beforeAll(() => tf.setBackend("cpu"))

const fd = Product.finiteDifference({ radius: 1 })
const implicit = (solver: Hypergradient.Solver) => Hypergradient.implicit({ solver, product: fd })
const cpu = Effect.provide(Eager.layer("cpu"))
const options = { cases: 6, seed: 4 }
const cases = fc.record({
  levels: fc.integer({ min: 1, max: 3 }),
  seed: Property.seeds
})
const fails = <E, R>(effect: Effect.Effect<void, E, R>) => Effect.map(Effect.flip(effect), () => undefined)

/** The hypergradient of a random quadratic under a solver, and what it must be. */
const found = ({ levels, seed }: { levels: number; seed: number }, solver: Hypergradient.Solver) =>
  Effect.gen(function* () {
    const quadratic = Quadratic.random(Seed.make(seed), levels, implicit(solver))
    const { gradient } = yield* swept(quadratic.problem)
    return { gradient, wanted: quadratic.gradient, problem: quadratic.problem, top: quadratic.top }
  })

describe("solvers on random DAGs of quadratics", () => {
  const right = (what: string, solver: Hypergradient.Solver, within = 2e-3) =>
    Property.holds(what, cases, options, (drawn) =>
      Effect.map(found(drawn, solver), ({ gradient, wanted }) => {
        const error = M.relativeError(gradient, wanted)
        return error < within ? undefined : `error ${error}`
      })
    )
  const flipped: Hypergradient.Solver = {
    ...Solver.exact,
    name: "flipped",
    update: (product, v, state, precondition) => {
      const [u, next, soundness] = Solver.exact.update(product, v, state, precondition)
      return [Vector.scale(-1, u), next, soundness]
    }
  }
  it.live("each gives the adjoint, with products enough", () =>
    Effect.gen(function* () {
      yield* right("minres", Solver.minres({ iterations: 4 }))
      yield* right("neumann", Solver.neumann({ terms: 40, rate: 0.3 }))
      yield* right("slightly damped", Solver.damped(Solver.conjugateGradient({ iterations: 4 }), { damping: 1e-5 }))
    }).pipe(cpu)
  )
  it.live("and is told apart with too few, with the identity, or with its sign flipped", () =>
    Effect.gen(function* () {
      yield* fails(right("neumann", Solver.neumann({ terms: 2, rate: 0.3 })))
      yield* fails(right("identity", Solver.identity))
      yield* fails(right("flipped", flipped))
    }).pipe(cpu)
  )

  it.live("other names for levels change nothing", () =>
    Property.holds("names", cases, options, (drawn) =>
      Effect.gen(function* () {
        const { gradient, problem, top } = yield* found(drawn, Solver.minres({ iterations: 4 }))
        const renamed = problem.pipe(
          // Levels come in the order of their names where they are free to: here the other way round.
          Problem.mapLevels((level) =>
            level.name === top ? level : { ...level, name: `${9 - Number(level.name.slice(1))}` }
          )
        ) as Problem.Problem<Var.Var.Any>
        const other = yield* swept(renamed)
        return M.relativeError(other.gradient, gradient) < 1e-4 ? undefined : "they do"
      })
    ).pipe(cpu)
  )

  const changedTop = (problem: Problem.Problem.Any, top: string, change: (loss: tf.Tensor) => tf.Tensor) =>
    problem.pipe(
      Problem.mapLevels((level) =>
        level.name === top
          ? {
              ...level,
              objective: ((vars: never, batch: never) => change(level.objective(vars, batch) as tf.Tensor)) as never
            }
          : level
      )
    ) as Problem.Problem<Var.Var.Any>
  it.live("what they hand on is linear in the upper loss, and a constant added to it changes nothing", () =>
    Property.holds("linear", cases, options, (drawn) =>
      Effect.gen(function* () {
        for (const solver of [
          Solver.neumann({ terms: 2, rate: 0.3 }),
          Solver.identity,
          Solver.minres({ iterations: 2 })
        ]) {
          const { gradient, problem, top } = yield* found(drawn, solver)
          const under = (change: (loss: tf.Tensor) => tf.Tensor) =>
            Effect.map(swept(changedTop(problem, top, change)), (each) => each.gradient)
          const tripled = yield* under((loss) => tf.mul(3, loss))
          const three = gradient.map((each) => 3 * each)
          if (M.relativeError(tripled, three) > 1e-5) return `${solver.name}: not three times`
          if (M.relativeError(yield* under((loss) => tf.add(loss, 7)), gradient) > 1e-5)
            return `${solver.name}: a constant counts`
          if (M.norm(yield* under((loss) => tf.mul(0, loss))) !== 0) return `${solver.name}: zero is not zero`
        }
        return undefined
      })
    ).pipe(cpu)
  )
})

describe("series and spaces", () => {
  const positive = (seed: number, n: number) => {
    const drawn = Array.from(Seed.normal(Seed.make(seed), n * n))
    const g = Array.from({ length: n }, (_, i) => drawn.slice(i * n, (i + 1) * n).map((v) => 0.4 * v))
    return M.multiply(g, M.transpose(g)).map((row, i) => row.map((v, j) => v + (i === j ? 0.5 : 0)))
  }
  const solved = (h: M.Matrix, v: M.Vector, solver: Hypergradient.Solver): M.Vector =>
    tf.tidy(() => {
      const matrix = tf.tensor2d(h as Array<Array<number>>)
      const product = (u: tf.Tensor1D) => tf.reshape(tf.matMul(matrix, tf.reshape(u, [-1, 1])), [-1]) as tf.Tensor1D
      const right = tf.tensor1d([...v])
      const [u] = solver.update(product as never, right as never, solver.init(right), (x) => x)
      return Array.from((u as unknown as tf.Tensor).dataSync())
    }) as never
  it("a Neumann series of k terms misses at most (1 − αμ)^(k + 1) of the solution; conjugate gradients are exact at n", () => {
    let early = 0
    for (let seed = 0; seed < 20; seed++) {
      const n = 2 + (seed % 4)
      const h = positive(seed, n)
      const v = Array.from(Seed.normal(Seed.make(100 + seed), n))
      const exact = M.solve(
        h,
        v.map((each) => [each])
      ).map((row) => row[0]!)
      const rate = 1 / Math.max(...h.map((row) => row.reduce((sum, each) => sum + Math.abs(each), 0)))
      const missing = (solver: Hypergradient.Solver) => M.norm(M.minus(solved(h, v, solver), exact)) / M.norm(exact)
      let before = Infinity
      for (const terms of [0, 1, 4, 16]) {
        const error = missing(Solver.neumann({ terms, rate }))
        assert.isAtMost(error, (1 - rate * 0.5) ** (terms + 1) + 1e-6, `seed ${seed}, ${terms} terms`)
        assert.isAtMost(error, before + 1e-6)
        before = error
      }
      assert.isBelow(missing(Solver.conjugateGradient({ iterations: n })), 1e-4, `seed ${seed}`)
      early = Math.max(early, missing(Solver.conjugateGradient({ iterations: n - 1 })))
    }
    assert.isAbove(early, 0.1)
  })
})

describe("coordinates", () => {
  // g = ½ (S u)ᵀ A (S u) − (S u)ᵀ B y over u, at its solution: z = S u is the same whatever S is.
  const a = [
    [2, 0.5],
    [0.5, 1]
  ]
  const b = [
    [1, -0.5],
    [0.25, 1]
  ]
  const y0 = [0.7, -0.3]
  const hypergradient = (s: M.Matrix, solver: Hypergradient.Solver) => {
    const z = M.solve(
      a,
      M.apply(b, y0).map((v) => [v])
    )
    const u0 = M.solve(s, z).map((row) => row[0]!)
    const y = Var.make("y", () => NdArray.float32([2], y0 as never))
    const to = (m: M.Matrix, x: tf.Tensor) => tf.matMul(tf.tensor2d(m as Array<Array<number>>), tf.reshape(x, [2, 1]))
    const lower = Level.minimize(
      Var.make("u", () => NdArray.float32([2], u0 as never)),
      {
        given: [y],
        data: Dataset.none,
        optimizer: Optimizer.sgd(0.1),
        objective: ({ u, y }) => {
          const z = to(s, u)
          return tf.sub(tf.mul(0.5, tf.sum(tf.mul(z, to(a, z)))), tf.sum(tf.mul(z, to(b, y)))) as tf.Scalar
        }
      }
    ).pipe(Level.hypergradient(implicit(solver)))
    return swept(
      Problem.close(
        Level.minimize(y, {
          upstream: [lower],
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ u }) => tf.sum(tf.square(tf.sub(to(s, u), 1)))
        })
      )
    ).pipe(Effect.map(({ gradient }) => gradient))
  }
  const s = [
    [1, 0.8],
    [-0.4, 2]
  ]
  const eye = [
    [1, 0],
    [0, 1]
  ]
  it.live("of a lower variable do not matter to a solve, and do to the identity", () =>
    Effect.gen(function* () {
      const apart = (solver: Hypergradient.Solver) =>
        Effect.map(Effect.all([hypergradient(s, solver), hypergradient(eye, solver)]), ([there, here]) =>
          M.relativeError(there, here)
        )
      assert.isBelow(yield* apart(Solver.exact), 1e-4)
      assert.isAbove(yield* apart(Solver.identity), 0.1)
    }).pipe(cpu)
  )
})

describe("weights of samples", () => {
  const samples = Array.from(Seed.normal(Seed.make(8), 6))
  /** Samples weighed by w or by the softmax of logits, fitted by their weighed mean: the derivative of an upper loss by the weights. */
  const byWeights = (points: ReadonlyArray<number>, weights: ReadonlyArray<number>, logits: boolean) => {
    const shares = logits
      ? weights.map((x) => Math.exp(x) / weights.reduce((sum, each) => sum + Math.exp(each), 0))
      : weights
    const total = shares.reduce((sum, each) => sum + each, 0)
    const mean = points.reduce((sum, point, i) => sum + point * shares[i]!, 0) / total
    const n = points.length
    const w = Var.make("w", () => NdArray.float32([n], weights as never))
    const lower = Level.minimize(
      Var.make("z", () => NdArray.scalar(mean)),
      {
        given: [w],
        data: Dataset.constant("points", { a: NdArray.float32([n], points as never) }),
        optimizer: Optimizer.sgd(0.1),
        objective: ({ w, z }, { a }) =>
          tf.mul(0.5, tf.sum(tf.mul(logits ? tf.softmax(w) : w, tf.square(tf.sub(z, a))))) as tf.Scalar
      }
    ).pipe(Level.hypergradient(implicit(Solver.exact)))
    return swept(
      Problem.close(
        Level.minimize(w, {
          upstream: [lower],
          data: Dataset.none,
          optimizer: Optimizer.sgd(0.1),
          objective: ({ z }) => tf.square(tf.sub(z, 2))
        })
      )
    ).pipe(Effect.map(({ gradient }) => gradient))
  }
  const weights = [0.2, 0.5, 0.1, 0.7, 0.3, 0.4]
  it.live(
    "gradients by logits sum to 0, those by weights need not; samples and weights permute together; a sample may be split",
    () =>
      Effect.gen(function* () {
        const total = (x: M.Vector) => Math.abs(x.reduce((sum, each) => sum + each, 0))
        assert.isBelow(total(yield* byWeights(samples, weights, true)), 1e-5)
        const plain = yield* byWeights(samples, weights, false)
        const permutation = [3, 0, 5, 1, 4, 2]
        const moved = yield* byWeights(
          permutation.map((i) => samples[i]!),
          permutation.map((i) => weights[i]!),
          false
        )
        const back = permutation.map((i) => plain[i]!)
        assert.isBelow(M.relativeError(moved, back), 1e-4)
        assert.isAbove(M.relativeError(moved, plain), 0.1)
        const split = yield* byWeights(
          [...samples, samples[3]!],
          [...weights.slice(0, 3), 0.35, ...weights.slice(4), 0.35],
          false
        )
        assert.isBelow(M.relativeError(split, [...plain, plain[3]!]), 1e-4)
      }).pipe(cpu)
  )
})

type At = { readonly tick: number; readonly state: Run.Snapshot }
const stateAfter = (given: Problem.Problem.Any, ticks: number, seed: number, from?: At) =>
  Run.ticks(given as Problem.Problem<any>, { ticks, seed, ...(from === undefined ? {} : { from }) }).pipe(
    Stream.filter((tick) => tick.index === ticks),
    Stream.mapEffect((tick) => tick.snapshot),
    Stream.runHead,
    Effect.map(Option.getOrThrow)
  )
const numbers = (leaf: unknown): M.Vector => Array.from((leaf as NdArray.NdArray).data)
const partsOf = ({ solver, vars }: Run.Snapshot) => ({
  x: numbers(vars["x"]),
  z: numbers(vars["z"]),
  v: numbers((solver["upper"]!["lower"] as unknown as { readonly solution: NdArray.NdArray }).solution)
})
const rates = { lower: 0.1, adjoint: 0.15, upper: 0.05 }

describe("directions of single-loop methods", () => {
  const seed = 2
  const soba = (problem: Problem.Problem.Any) =>
    problem.pipe(Method.soba({ rate: rates.adjoint, product: fd })) as Problem.Problem.Any
  const flat = (state: Run.Snapshot) => Object.values(partsOf(state)).flat()
  it.live("are those of all terms in the mean over terms, and not in the mean over some", () =>
    Effect.gen(function* () {
      const tick = 5
      const start = yield* stateAfter(soba(Sum.problem([rates.lower, rates.upper])), tick, seed)
      const nextOn = (data: (name: string, data: Dataset.Dataset.Any) => Dataset.Dataset.Any) =>
        Effect.map(
          stateAfter(
            soba(
              Sum.problem([rates.lower, rates.upper]).pipe(
                Problem.mapLevels((level) => ({ ...level, data: data(level.name, level.data as never) as never }))
              )
            ),
            tick + 1,
            seed,
            { tick, state: start }
          ),
          (state) => M.minus(flat(state), flat(start))
        )
      const count = Sum.sizes.lower * Sum.sizes.upper
      const moves = yield* Effect.forEach(
        Array.from({ length: count }, (_, k) => k),
        (k) => nextOn((_, data) => Dataset.reindexed(data as never, () => k))
      )
      const meanOf = (all: ReadonlyArray<M.Vector>) =>
        all.reduce((sum, each) => M.plus(sum, each)).map((each) => each / all.length)
      const whole = yield* Effect.map(
        stateAfter(soba(Sum.problem([rates.lower, rates.upper], { whole: true })), tick + 1, seed, {
          tick,
          state: start
        }),
        (state) => M.minus(flat(state), flat(start))
      )
      assert.isBelow(M.relativeError(meanOf(moves), whole), 1e-4)
      assert.isAbove(M.relativeError(meanOf(moves.slice(0, 5)), whole), 1e-2)
    }).pipe(cpu)
  )
  it.live("SABA's, once it has seen every term where it stands, are of no noise", () =>
    Effect.gen(function* () {
      const saba = (r: typeof rates) =>
        Sum.problem([r.lower, r.upper]).pipe(Method.saba({ rate: r.adjoint, product: fd }))
      const still = { lower: 1e-30, adjoint: 1e-30, upper: 1e-30 }
      const start = yield* stateAfter(soba(Sum.problem([rates.lower, rates.upper])), 5, seed)
      const blank = yield* Run.start(saba(still), seed)
      const seen = yield* stateAfter(saba(still), 30, seed, {
        tick: 5,
        state: { ...blank, vars: start.vars, solver: start.solver }
      })
      const move = (problem: Problem.Problem.Any, state: Run.Snapshot) =>
        Effect.map(stateAfter(problem, 31, seed, { tick: 30, state }), (after) => M.minus(flat(after), flat(state)))
      const whole = yield* move(soba(Sum.problem([rates.lower, rates.upper], { whole: true })), {
        ...seen,
        variance: {}
      })
      assert.isBelow(M.relativeError(yield* move(saba(rates), seen), whole), 1e-4)
      assert.isAbove(M.relativeError(yield* move(saba(rates), { ...seen, variance: blank.variance }), whole), 1e-2)
    }).pipe(cpu)
  )
})

describe("runs of single-loop methods", () => {
  const methods = {
    soba: [Method.soba({ rate: rates.adjoint }), "none"],
    saba: [Method.saba({ rate: rates.adjoint }), "saga"],
    srba: [Method.srba({ rate: rates.adjoint, period: 5 }), { period: 5 }]
  } as const
  const problemOf = (name: keyof typeof methods, freeze: number) =>
    Sum.problem([rates.lower, rates.upper]).pipe(
      methods[name][0],
      Problem.mapLevels((level) => (level.name === "lower" && freeze < 30 ? Level.freeze(freeze)(level) : level))
    )
  const commands = fc.record({
    method: fc.constantFrom(...(["soba", "saba", "srba"] as const)),
    seed: fc.nat({ max: 1000 }),
    freeze: fc.integer({ min: 2, max: 40 }),
    stops: fc.uniqueArray(fc.integer({ min: 1, max: 19 }), { maxLength: 3 })
  })
  const ticks = 20
  const law = (mistake?: Sum.Bent["mistake"]) =>
    Property.holds("a run, stopped and resumed, is the reference", commands, { cases: 10, seed: 6 }, (drawn) =>
      Effect.gen(function* () {
        const { freeze, method, seed, stops } = drawn
        const problem = problemOf(method, freeze)
        const whole = yield* stateAfter(problem, ticks, seed)
        let from: At | undefined
        for (const tick of [...stops.toSorted((a, b) => a - b), ticks])
          from = { tick, state: yield* stateAfter(problem, tick, seed, from) }
        assert.deepStrictEqual(from!.state, whole)
        const { v, x, z } = partsOf(whole)
        const wanted = Sum.singleLoop(yield* Sum.order(seed, ticks), ticks, rates, methods[method][1], {
          freeze,
          ...(mistake === undefined ? {} : { mistake })
        })
        const error = M.norm(M.minus([...x, ...z, ...v], [...wanted.x, ...wanted.z, ...wanted.v]))
        return error < 5e-5 ? undefined : `error ${error}`
      })
    ).pipe(Effect.provide(Compiled.layer()))
  it.live("are those of a reference interpreter, bit for bit whether or not they stop", () => law())
  for (const mistake of ["sign", "reset", "transposed", "sum", "stale"] as const) {
    it.live(`and tell apart a mistake of it: ${mistake}`, () => fails(law(mistake)))
  }
})
