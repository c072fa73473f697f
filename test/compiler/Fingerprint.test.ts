import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { assert, describe, it } from "vitest"
import { fingerprint, fingerprints } from "../../src/compiler/Fingerprint.ts"
import { digest } from "../../src/compiler/graph/Digest.ts"
import { Graph, none } from "../../src/compiler/graph/Graph.ts"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Hypergradient from "../../src/dsl/Hypergradient.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import { make, type Optimizer as Optimizing } from "../../src/dsl/Optimizer.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Product from "../../src/levels/Product.ts"
import * as Solver from "../../src/levels/Solver.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import type { Program } from "../../src/runs/Program.ts"

interface Changes {
  readonly gamma?: number
  readonly distance?: (x: tf.Tensor, y: tf.Tensor) => tf.Tensor
  readonly optimizer?: Optimizing
  readonly solver?: Hypergradient.Solver
  readonly estimator?: Hypergradient.Hypergradient
  readonly target?: ReadonlyArray<number>
  readonly restart?: boolean
  readonly reads?: boolean
}

const squared = (x: tf.Tensor, y: tf.Tensor) => tf.sum(tf.square(tf.sub(x, y)))

const fingerprintsOf = (changes: Changes) => {
  const { distance = squared, gamma = 0.1, optimizer = Optimizer.sgd(0.1), reads = false, restart = false } = changes
  const { solver = Solver.conjugateGradient({ iterations: 2 }), target = [1, 2] } = changes
  const product = Product.finiteDifference({ radius: 0.1 })
  const { estimator = Hypergradient.implicit({ solver, product }) } = changes
  const x = Var.make("x", () => NdArray.float32([2], [0, 0]))
  const y = Var.make("y", () => NdArray.float32([2], [0, 1]))
  const inner = Level.minimize(x, {
    name: "inner",
    given: [y],
    data: Dataset.none,
    optimizer,
    objective: ({ x, y }) => {
      if (reads) x.dataSync()
      return tf.add(distance(x, y), tf.mul(gamma, tf.sum(tf.square(x)))) as tf.Scalar
    }
  }).pipe(Level.hypergradient(estimator))
  const outer = Level.minimize(y, {
    name: "outer",
    upstream: [restart ? inner.pipe(Level.restart, Level.unroll(2)) : inner],
    data: Dataset.none,
    optimizer: Optimizer.sgd(0.1),
    objective: ({ x }) => tf.sum(tf.square(tf.sub(x, tf.tensor1d(target as Array<number>)))) as tf.Scalar
  })
  const problem = Problem.close(outer)
  return fingerprints(problem, Result.getOrThrow(Plan.make(problem)))
}

/** Named as gradient descent is, and something else. */
const impostor = (factor: number): Optimizing =>
  make({
    name: "sgd(0.1)",
    init: () => ({}),
    update: (g, state, x) => [Tree.zipWith(x, g, (p, d) => tf.sub(p, tf.mul(factor, d))), state]
  })

describe("a program's fingerprint is of what is computed", () => {
  const before = fingerprintsOf({})

  it("is the same for the same program, made again, and for another way to write it", () => {
    assert.deepStrictEqual(fingerprintsOf({}), before)
    const rewritten = (p: tf.Tensor, q: tf.Tensor) => {
      const apart = tf.sub(p, q)
      return tf.sum(tf.square(apart))
    }
    assert.deepStrictEqual(fingerprintsOf({ distance: rewritten }), before)
  })

  const other: { readonly [what: string]: Changes } = {
    "a number that an objective closes over": { gamma: 1000 },
    "a number that is not finite": { gamma: Infinity },
    "another loss of the same text": { distance: (p, q) => tf.sum(tf.abs(tf.sub(p, q))) },
    "constants of the upper level": { target: [1, 2.5] },
    "an optimizer that is called the same": { optimizer: impostor(0.2) },
    "a solver that is called the same": {
      solver: { ...Solver.identity, name: "cg(2)", cost: Solver.conjugateGradient({ iterations: 2 }).cost }
    },
    "a restart": { restart: true },
    "another estimator": {
      estimator: Hypergradient.unrolled({ steps: 2, product: Product.finiteDifference({ radius: 0.1 }) })
    }
  }
  for (const [what, changes] of Object.entries(other)) {
    it(`is another with ${what}`, () => assert.notStrictEqual(fingerprintsOf(changes).program, before.program))
  }
  it("tells numbers apart that are not finite", () => {
    const all = [Infinity, -Infinity, Number.NaN, 0].map((gamma) => fingerprintsOf({ gamma }).program)
    assert.strictEqual(new Set(all).size, all.length)
  })
  it("knows an optimizer by what it does, not by its name", () => {
    assert.strictEqual(fingerprintsOf({ optimizer: impostor(0.1) }).levels["inner"], before.levels["inner"])
  })
  it("says which level computes something else", () => {
    const { levels } = fingerprintsOf({ target: [1, 2.5] })
    assert.strictEqual(levels["inner"], before.levels["inner"])
    assert.notStrictEqual(levels["outer"], before.levels["outer"])
  })
  it("is of the text where there is no graph, and then knows a changed text and an unchanged one", () => {
    const read = fingerprintsOf({ reads: true })
    assert.deepStrictEqual(fingerprintsOf({ reads: true }), read)
    assert.deepStrictEqual(fingerprintsOf({ reads: true, gamma: 5 }), read)
    assert.notStrictEqual(fingerprintsOf({ reads: true, optimizer: Optimizer.sgd(0.2) }).program, read.program)
  })
  it("leaves no tensor behind", () => {
    const { numTensors } = tf.memory()
    fingerprintsOf({})
    fingerprintsOf({ reads: true })
    assert.strictEqual(tf.memory().numTensors, numTensors)
  })

  it("is the same in another process", async () => {
    const file = fileURLToPath(new URL("../../examples/03-tapweight.ts", import.meta.url))
    const { default: program } = (await import(file)) as { readonly default: Program.Needing<never> }
    const { problems } = Effect.runSync(Effect.scoped(program.prepare(program.config.defaults)))
    const problem = problems["tapweight"]!
    const here = fingerprint(problem, Result.getOrThrow(Plan.make(problem)))
    const module = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
    const script = `
      import { fingerprint } from ${module("compiler/Fingerprint.ts")}
      import * as Plan from ${module("runtime/plan/Plan.ts")}
      import * as Effect from "effect/Effect"
      const { default: program } = await import(${JSON.stringify(file)})
      const problem = Effect.runSync(Effect.scoped(program.prepare(program.config.defaults))).problems.tapweight
      process.stdout.write(fingerprint(problem, Plan.make(problem).success))`
    const there = execFileSync(
      process.execPath,
      ["--no-warnings", "--conditions=tapweight-source", "--input-type=module", "-e", script],
      {
        encoding: "utf8"
      }
    )
    assert.strictEqual(there.trim(), here)
  }, 60_000)
})

describe("digest", () => {
  const made = (flipped: boolean, attrs: { readonly [name: string]: number } = none as {}) => {
    const graph = new Graph()
    const parts = [() => graph.input("x", [2], "float32"), () => graph.input("y", [2], "float32")]
    const [one, other] = (flipped ? parts.toReversed() : parts).map((part) => part())
    const [x, y] = flipped ? [other!, one!] : [one!, other!]
    const sum = graph.node("add", [x, graph.const([1, 2.5], [2], "float32")], attrs, [2], "float32")
    return digest([["out", graph.node("mul", [sum, y], none, [2], "float32")]])
  }
  it("does not depend on the order in which nodes were made, nor on where", () => {
    assert.strictEqual(made(true), made(false))
    assert.strictEqual(made(false), "1df4c3a606a0a10e56cf5b280c8696b7da343d99f6bf89529bdf5bee6e5e0040")
  })
  it("depends on attributes, on names of results and on the order of inputs", () => {
    const graph = new Graph()
    const [x, y] = ["x", "y"].map((name) => graph.input(name, [], "float32")) as [never, never]
    const difference = (a: never, b: never) => graph.node("sub", [a, b], none, [], "float32")
    const all = [
      made(false),
      made(false, { axis: 1 }),
      made(false, { axis: Number.NaN }),
      made(false, { axis: Infinity }),
      digest([["a", difference(x, y)]]),
      digest([["b", difference(x, y)]]),
      digest([["a", difference(y, x)]])
    ]
    assert.strictEqual(new Set(all).size, all.length)
  })
})
