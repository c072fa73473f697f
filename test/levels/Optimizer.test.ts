import "../../src/tensor/registerGradients.ts"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, it, vi } from "vitest"
import type { Optimizer as AnyOptimizer } from "../../src/dsl/Optimizer.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Rate from "../../src/levels/Rate.ts"
import {
  adam,
  clipNorm,
  clipValue,
  couple,
  momentum,
  norm,
  project,
  type Reference,
  sgd,
  type Vector
} from "./reference.ts"

beforeAll(() => tf.setBackend("cpu"))

const halving = Rate.step({ rate: 0.2, every: 2, factor: 0.5 })
const plainAdam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
// A large ε keeps the derivative smooth enough to be differenced where a gradient is zero.
const smoothAdam = { beta1: 0.8, beta2: 0.95, epsilon: 0.01 }

const cases: ReadonlyArray<readonly [AnyOptimizer, Reference]> = [
  [Optimizer.sgd(0.1), sgd(() => 0.1)],
  [Optimizer.sgd(halving), sgd((t) => 0.2 * 0.5 ** Math.floor(t / 2))],
  [Optimizer.momentum(0.1, { momentum: 0.9 }), momentum(0.1, 0.9, false)],
  [Optimizer.momentum(0.1, { momentum: 0.9, nesterov: true }), momentum(0.1, 0.9, true)],
  [Optimizer.adam(0.1, smoothAdam), adam(0.1, 0.8, 0.95, 0.01)],
  [Optimizer.adam(0.1, { ...smoothAdam, beta1: 0 }), adam(0.1, 0, 0.95, 0.01)],
  [Optimizer.adamw(0.1, { ...smoothAdam, weightDecay: 0.3 }), adam(0.1, 0.8, 0.95, 0.01, 0.3)],
  [Optimizer.sgd(0.1).pipe(Optimizer.clipByGlobalNorm(0.5)), clipNorm(0.5)(sgd(() => 0.1))],
  [Optimizer.sgd(0.1).pipe(Optimizer.clipByGlobalNorm(1e4)), clipNorm(1e4)(sgd(() => 0.1))],
  [Optimizer.sgd(0.1).pipe(Optimizer.clipByValue(0.7)), clipValue(0.7)(sgd(() => 0.1))],
  [Optimizer.sgd(1).pipe(Optimizer.clamp({ minimum: -0.5, maximum: 0.8 })), project(-0.5, 0.8)(sgd(() => 1))],
  [Optimizer.sgd(1).pipe(Optimizer.clamp({ minimum: 0.1 })), project(0.1, Infinity)(sgd(() => 1))],
  [
    Optimizer.momentum(0.1, { momentum: 0.5 }).pipe(Optimizer.weightDecay(0.2), Optimizer.clipByGlobalNorm(1)),
    clipNorm(1)(couple(0.2)(momentum(0.1, 0.5, false)))
  ]
]

const tidy = <A>(f: () => A): A => tf.tidy(f as never) as A
const named = cases.map(([optimizer, reference]) => [optimizer.name, optimizer, reference] as const)

// ── trees of seven numbers ────────────────────────────────────────────────────────────────────────────────────────
const bare = (x: tf.Tensor1D): Tree.Tree => x
const nested = (x: tf.Tensor1D): Tree.Tree => ({
  encoder: [{ w: tf.reshape(tf.slice(x, 0, 4), [2, 2]) }, { b: tf.slice(x, 4, 2) }],
  scale: tf.reshape(tf.slice(x, 6, 1), [])
})
const flat = (tree: Tree.Tree): tf.Tensor1D => tf.concat(Tree.leaves(tree).map((leaf) => tf.reshape(leaf, [-1])))

/** Parameters after each update, laid out by `shape`, returned flat. */
const unroll = (
  optimizer: AnyOptimizer,
  shape: (x: tf.Tensor1D) => Tree.Tree,
  start: tf.Tensor1D,
  steps: ReadonlyArray<tf.Tensor1D>
) => {
  let params = shape(start)
  let state = optimizer.init(params)
  return steps.map((gradient, t) => {
    ;[params, state] = optimizer.update(shape(gradient), state, params, tf.scalar(t, "int32"))
    return flat(params)
  })
}
const reference = (rule: Reference, start: Vector, steps: ReadonlyArray<Vector>): ReadonlyArray<Vector> => {
  const update = rule()
  let params = start
  return steps.map((gradient, t) => (params = update(params, gradient, t)))
}

/** Numbers of a trial: a start and gradients, about one in six of them exactly zero. */
const draw = (trial: number, steps: number): ReadonlyArray<Vector> => {
  const seed = Seed.fold(Seed.make(11), trial)
  return Array.from({ length: steps + 1 }, (_, row) => {
    const zero = Seed.uniform(Seed.fold(Seed.fold(seed, "zero"), row), 7)
    return Array.from(Seed.normal(Seed.fold(seed, row), 7), (x, i) => (row > 0 && zero[i]! < 1 / 6 ? 0 : x))
  })
}
const close = (found: Vector, expected: Vector, tolerance: number): void =>
  expected.forEach((x, i) =>
    expect(Math.abs(found[i]! - x), `[${i}] ${found[i]} for ${x}`).toBeLessThan(tolerance * (1 + Math.abs(x)))
  )

const gradientsOf = (
  at: ReadonlyArray<Vector>,
  f: (xs: ReadonlyArray<tf.Tensor1D>) => tf.Tensor
): ReadonlyArray<Vector> =>
  tidy(() =>
    tf
      .grads((...xs) => f(xs as Array<tf.Tensor1D>))(at.map((x) => tf.tensor1d([...x])))
      .map((g) => [...g.dataSync()])
  )

describe.each(named)("%s", (_, optimizer, rule) => {
  it("follows its reference on random sequences, in any tree", () => {
    for (let trial = 0; trial < 20; trial++) {
      const [start, ...steps] = draw(trial, 6) as [Vector, ...Array<Vector>]
      const expected = reference(rule, start, steps)
      for (const shape of [bare, nested]) {
        tidy(() =>
          unroll(
            optimizer,
            shape,
            tf.tensor1d([...start]),
            steps.map((g) => tf.tensor1d([...g]))
          ).forEach((params, t) => close([...params.dataSync()], expected[t]!, 2e-5))
        )
      }
    }
  })

  // Where an element lies exactly on a bound only one-sided derivatives exist: any value between them is right.
  it("has the unrolled derivative of its reference, zeros included", () => {
    const zeroGradients = draw(9, 3).map((row, i) => (i === 0 ? row : row.map(() => 0)))
    for (const inputs of [zeroGradients, draw(101, 3), draw(102, 3), draw(103, 3)]) {
      const weight = Seed.normal(Seed.make(5), 7)
      const loss = (xs: ReadonlyArray<Vector>): number =>
        reference(rule, xs[0]!, xs.slice(1))
          .at(-1)!
          .reduce((sum, x, i) => sum + x * weight[i]!, 0)
      const found = gradientsOf(inputs, ([start, ...steps]) => {
        return tf.sum(tf.mul(unroll(optimizer, nested, start!, steps).at(-1)!, tf.tensor1d(weight)))
      })
      for (const [row, at] of inputs.flatMap((x, row) => x.map((_, at) => [row, at] as const))) {
        const slope = (h: number) => {
          const shifted = inputs.map((x, r) => (r === row ? x.with(at, x[at]! + h) : x))
          return (loss(shifted) - loss(inputs)) / h
        }
        const sides = [slope(1e-7), slope(-1e-7)].sort((a, b) => a - b) as [number, number]
        const tolerance = 1e-3 * (1 + Math.abs(sides[0]))
        expect(found[row]![at], `input ${row}, element ${at}`).toBeGreaterThan(sides[0] - tolerance)
        expect(found[row]![at], `input ${row}, element ${at}`).toBeLessThan(sides[1] + tolerance)
      }
    }
  })

  it("reads nothing back and leaves nothing behind", () => {
    const params = tidy(() => nested(tf.tensor1d([...draw(0, 0)[0]!])))
    const [gradients, clock] = [tidy(() => Tree.map(params, (leaf) => tf.onesLike(leaf))), tf.scalar(3, "int32")]
    const before = tf.memory().numTensors
    const reads = (["dataSync", "data", "arraySync", "array"] as const).map((read) =>
      vi.spyOn(tf.Tensor.prototype, read)
    )
    const [next, state] = tidy(
      () => optimizer.update(gradients, optimizer.init(params), params, clock) as never as [Tree.Tree, Tree.Tree]
    )
    reads.forEach((read) => (expect(read).not.toHaveBeenCalled(), read.mockRestore()))
    expect(tf.memory().numTensors).toBe(before + Tree.leaves(next).length + Tree.leaves(state).length)
    expect(Tree.leaves(state).every((leaf) => leaf instanceof tf.Tensor)).toBe(true)
    tf.dispose([next, state, params, gradients, clock] as never)
  })
})

/** One update of a bare vector from a fresh state. */
const once = (optimizer: AnyOptimizer, params: Vector, gradient: Vector): Vector =>
  tidy(() => [...unroll(optimizer, bare, tf.tensor1d([...params]), [tf.tensor1d([...gradient])])[0]!.dataSync()])

describe("adam", () => {
  it("makes a first step of the full rate, exact to float32: no digits are lost in 1 − βᵗ", () => {
    const [x] = once(Optimizer.adam(1, { ...plainAdam, epsilon: 0 }), [0], [0.037])
    expect(Math.abs(x! + 1)).toBeLessThan(5e-7)
  })
  it("has slope rate/ε at gradient zero, with the usual ε, and no NaN after a second zero", () => {
    const slopes = (steps: number) =>
      gradientsOf(
        Array.from({ length: steps }, () => [0]),
        (zeros) => tf.sum(unroll(Optimizer.adam(1e-3), bare, tf.tensor1d([2]), zeros).at(-1)!)
      ).map((g) => g[0]!)
    expect(slopes(1)[0]! / -(1e-3 / 1e-8)).toBeCloseTo(1, 4)
    expect(slopes(4).every((slope) => Number.isFinite(slope) && slope < 0)).toBe(true)
  })
  it("does not move where the gradient is zero, even without ε", () => {
    expect(once(Optimizer.adam(1, { epsilon: 0 }), [3], [0])).toEqual([3])
  })
})

describe("clipByGlobalNorm", () => {
  it("never exceeds its norm, over all leaves together, and passes smaller gradients bit for bit", () => {
    for (let trial = 0; trial < 50; trial++) {
      const gradient = [...Seed.normal(Seed.fold(Seed.make(3), trial), 7)]
      const moved = once(Optimizer.sgd(1).pipe(Optimizer.clipByGlobalNorm(2)), [0, 0, 0, 0, 0, 0, 0], gradient)
      expect(norm(moved)).toBeLessThanOrEqual(2 * (1 + 1e-6))
      if (norm(gradient) < 2) expect(moved).toEqual(gradient.map((g) => -g))
    }
  })
})

describe("masked", () => {
  const params = { encoder: { w: tf.tensor1d([1, 2]), b: tf.scalar(3) }, head: [tf.tensor1d([4.1, 5])] }
  const encoder = Optimizer.masked((path) => path.startsWith("encoder."))
  const plain = Optimizer.adam(0.1)
  it("updates the selected leaves as the optimizer alone would, and keeps the others bit for bit", () => {
    tidy(() => {
      const clock = tf.scalar(0, "int32")
      const gradients = Tree.map(params, (leaf) => tf.square(leaf))
      const [next] = plain.pipe(encoder).update(gradients, plain.pipe(encoder).init(params), params, clock)
      const [alone] = plain.update(gradients.encoder, plain.init(params.encoder), params.encoder, clock)
      expect(Tree.leaves(next.encoder).map((leaf) => [...leaf.dataSync()])).toEqual(
        Tree.leaves(alone).map((leaf) => [...leaf.dataSync()])
      )
      expect(next.head[0]!.dataSync()).toEqual(params.head[0]!.dataSync())
      expect(next.head[0]).not.toBe(params.head[0])
    })
  })
  it("allocates state for the selected leaves only, under their own paths", () => {
    const paths = tidy(() => Tree.entries(plain.pipe(encoder).init(params)).map(([path]) => path))
    expect(paths).toEqual(["first.encoder.w", "first.encoder.b", "second.encoder.w", "second.encoder.b"])
  })
  it("takes a bare tensor for the empty path", () => {
    const select = (path: string) => path === ""
    expect(once(plain.pipe(Optimizer.masked(select)), [1, 2], [1, 1])).toEqual(once(plain, [1, 2], [1, 1]))
  })
  it("twice in one pipe updates what both accept", () => {
    tidy(() => {
      const both = Optimizer.sgd(1).pipe(
        Optimizer.masked((path) => path.endsWith("b")),
        encoder
      )
      const [next] = both.update(params, both.init(params), params, tf.scalar(0, "int32"))
      expect(Tree.leaves(next).map((leaf) => [...leaf.dataSync()])).toEqual([[1, 2], [0], [Math.fround(4.1), 5]])
    })
  })
  it("refuses to train nothing, where it starts", () => {
    const typo = plain.pipe(Optimizer.masked((path) => path.startsWith("encodr")))
    const nothing = plain.pipe(
      Optimizer.masked((path) => path.startsWith("head")),
      encoder
    )
    for (const optimizer of [typo, nothing]) {
      expect(() => tidy(() => optimizer.init(params))).toThrow(
        /accepts no path, so nothing would be trained: paths are/
      )
    }
    expect(() => tidy(() => typo.init(params))).toThrow("'encoder.w', 'encoder.b', 'head.0'")
  })
})

describe("groups", () => {
  const params = { encoder: { w: tf.tensor1d([1, 2]), b: tf.scalar(3) }, head: [tf.tensor1d([4.1, 5])] }
  const of = (path: string) => (path.startsWith("encoder.") ? "encoder" : "head")
  const { adam, groups, momentum, sgd } = Optimizer
  it("gives each leaf what its own optimizer alone would", () => {
    tidy(() => {
      const inner = { encoder: momentum(0.1, { momentum: 0.9 }), head: adam(0.5) }
      const optimizer = groups(inner, of)
      let [next, state] = [params as Tree.Tree, optimizer.init(params)]
      let [encoder, encoderState] = [params.encoder as Tree.Tree, inner.encoder.init(params.encoder)]
      let [head, headState] = [params.head as Tree.Tree, inner.head.init(params.head)]
      for (let t = 0; t < 3; t++) {
        const clock = tf.scalar(t, "int32")
        ;[next, state] = optimizer.update(next, state, next, clock)
        ;[encoder, encoderState] = inner.encoder.update(encoder, encoderState, encoder, clock)
        ;[head, headState] = inner.head.update(head, headState, head, clock)
      }
      const values = (tree: Tree.Tree) => Tree.leaves(tree).map((leaf) => [...leaf.dataSync()])
      expect(values(next)).toEqual([...values(encoder), ...values(head)])
      expect(Tree.entries(state).map(([path]) => path)).toEqual([
        "encoder.velocity.encoder.w",
        "encoder.velocity.encoder.b",
        "head.first.head.0",
        "head.second.head.0"
      ])
    })
  })
  it("is named by its groups and by what tells them apart", () => {
    expect(groups({ a: sgd(1), b: sgd(2) }, (path) => (path === "w" ? "a" : "b")).name).toBe(
      'groups((path) => path === "w" ? "a" : "b", a: sgd(1), b: sgd(2))'
    )
  })
  it("refuses groups that are not there, and groups without a path", () => {
    expect(() => groups({}, () => "" as never)).toThrow("give at least one optimizer")
    const elsewhere = groups({ encoder: sgd(1) }, of as never)
    expect(() => tidy(() => elsewhere.init(params))).toThrow("path 'head.0' is of group 'head': groups are encoder")
    const empty = groups({ encoder: sgd(1), head: sgd(1), tail: sgd(1) }, of as never)
    expect(() => tidy(() => empty.init(params))).toThrow("no path is of group 'tail': paths are 'encoder.w'")
  })
})

describe("Optimizer", () => {
  it("is named by everything that it depends on, in the order in which a gradient meets it", () => {
    expect(Optimizer.sgd(Rate.linear({ peak: 1, warmup: 2, total: 9 })).name).toBe(
      "sgd(linear(peak=1, warmup=2, total=9))"
    )
    expect(Optimizer.momentum(0.1, { momentum: 0.9 }).name).toBe("momentum(0.1, momentum=0.9, nesterov=false)")
    expect(Optimizer.adamw(1).name).toBe("adamw(1, beta1=0.9, beta2=0.999, epsilon=1e-8, weightDecay=0.01)")
    const piped = Optimizer.sgd(1).pipe(
      Optimizer.weightDecay(0.1),
      Optimizer.clipByValue(2),
      Optimizer.clamp({ minimum: 0 })
    )
    expect(piped.name).toBe("clamp(clipByValue(2, weightDecay(0.1, sgd(1))), minimum=0)")
    expect(Optimizer.sgd(1).pipe(Optimizer.masked((path) => path === "w")).name).toBe(
      'masked((path) => path === "w", sgd(1))'
    )
  })
  it.each<readonly [string, () => unknown, string]>([
    ["a negative rate", () => Optimizer.sgd(-1), "rate is -1"],
    [
      "momentum 1",
      () => Optimizer.momentum(1, { momentum: 1 }),
      "momentum is 1: give a number of at least 0 and less than 1"
    ],
    ["β above 1", () => Optimizer.adam(1, { beta2: 1.5 }), "beta2 is 1.5"],
    [
      "a negative ε",
      () => Optimizer.adam(1, { epsilon: -1 }),
      "epsilon is -1: give a finite number that is not negative"
    ],
    ["an infinite decay", () => Optimizer.adamw(1, { weightDecay: Infinity }), "weightDecay is Infinity"],
    ["a negative decay", () => Optimizer.weightDecay(-0.1), "weightDecay is -0.1"],
    ["a norm of 0", () => Optimizer.clipByGlobalNorm(0), "clipByGlobalNorm is 0: give a finite number greater than 0"],
    ["a value of NaN", () => Optimizer.clipByValue(NaN), "clipByValue is NaN"],
    ["no bound", () => Optimizer.clamp({}), "give a minimum, a maximum or both"],
    ["crossed bounds", () => Optimizer.clamp({ minimum: 2, maximum: 1 }), "no parameter fits between"]
  ])("refuses %s", (_, make, sentence) => {
    expect(make).toThrow(RangeError)
    expect(make).toThrow(sentence)
  })
})
