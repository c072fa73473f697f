import * as tf from "@tensorflow/tfjs-core"
import { describe, expectTypeOf, test } from "vitest"
import type * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import type * as Seed from "../../src/dsl/values/Seed.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"

// Nothing here runs. The sentence after each `@ts-expect-error` is what the compiler says of the line under it:
// messages.test.ts holds the compiler to that.

interface Files {
  readonly files: true
}
interface Network {
  readonly network: true
}
declare const corpus: Dataset.Dataset<{ readonly tokens: tf.Tensor2D }, "CorpusError", Files>
declare const train: Dataset.Dataset<{ readonly x: tf.Tensor2D; readonly y: tf.Tensor2D }, "TrainError", Network>
declare const valid: Dataset.Dataset<{ readonly x: tf.Tensor2D; readonly y: tf.Tensor2D }>

const optimizer = Optimizer.sgd(0.1)
const matrix = () => NdArray.float32([2, 2], [1, 0, 0, 1])
const vector = () => NdArray.float32([2], [0, 0])

const theta = Var.make("theta", () => ({ encoder: matrix(), head: vector() }))
const omega = Var.make("omega", matrix)
const beta = Var.make("beta", vector)
const alpha = Var.make("alpha", vector)
const gamma = Var.make("gamma", vector)

const pretrain = Level.minimize(theta, {
  given: [beta],
  data: corpus,
  optimizer,
  objective: ({ theta, beta }, { tokens }) =>
    tf.sum(tf.mul(tf.matMul(tokens, theta.encoder), tf.add(theta.head, tf.softmax(beta))))
})
const finetune = Level.minimize(omega, {
  upstream: [pretrain],
  data: train,
  optimizer,
  objective: ({ omega, theta }, { x, y }) => tf.sum(tf.squaredDifference(tf.matMul(x, tf.add(omega, theta.encoder)), y))
})
const reweight = Level.minimize(beta, {
  upstream: [finetune],
  data: valid,
  optimizer,
  objective: ({ omega }, { x, y }) => tf.sum(tf.squaredDifference(tf.matMul(x, omega), y))
})

/** Two levels that each need what the other owns. */
const left = Level.minimize(alpha, {
  given: [gamma],
  data: valid,
  optimizer,
  objective: ({ alpha, gamma }) => tf.dot(alpha, gamma) as tf.Scalar
})
const right = Level.minimize(gamma, {
  given: [alpha],
  data: valid,
  optimizer,
  objective: ({ alpha, gamma }) => tf.dot(gamma, alpha) as tf.Scalar
})

describe("what the compiler refuses", () => {
  test("a given variable that nobody owns", () => {
    // @ts-expect-error no level minimizes 'beta'
    Problem.close(finetune)
  })

  test("fixing something else", () => {
    // @ts-expect-error 'alpha' is not given here, so there is nothing to fix
    Problem.close(finetune.pipe(Level.fix(alpha)))
  })

  test("minimizing one variable twice", () => {
    // @ts-expect-error 'theta' is already minimized upstream
    Level.minimize(theta, {
      upstream: [finetune],
      data: corpus,
      optimizer,
      objective: ({ theta }) => tf.sum(theta.encoder)
    })
  })

  test("holding fixed what a level below solves", () => {
    // @ts-expect-error 'theta' is solved upstream: read it as a response, not as given
    Level.minimize(omega, {
      given: [theta],
      upstream: [pretrain],
      data: valid,
      optimizer,
      objective: ({ omega }) => tf.sum(omega)
    })
  })

  test("giving a level its own variable", () => {
    // @ts-expect-error 'omega' is this level's own variable: it need not be given
    Level.minimize(omega, { given: [omega], data: valid, optimizer, objective: ({ omega }) => tf.sum(omega) })
  })

  test("an owner whose variable is not what is given below", () => {
    const other = Var.make("beta", matrix)
    // @ts-expect-error 'beta' has another shape where it is given below
    Level.minimize(other, { upstream: [finetune], data: valid, optimizer, objective: ({ omega }) => tf.sum(omega) })
  })

  test("reading a variable that is not declared", () => {
    Level.minimize(omega, {
      data: valid,
      optimizer,
      // @ts-expect-error Property 'theta' does not exist on type
      objective: ({ omega, theta }) => tf.sum(tf.add(omega, theta))
    })
  })

  test("reading a variable two levels down, which a level between has answered for", () => {
    Level.minimize(beta, {
      upstream: [finetune],
      data: valid,
      optimizer,
      // @ts-expect-error Property 'theta' does not exist on type
      objective: ({ theta }) => tf.sum(theta)
    })
  })

  test("a field that the dataset does not have", () => {
    Level.minimize(omega, {
      data: valid,
      optimizer,
      // @ts-expect-error Property 'z' does not exist on type
      objective: ({ omega }, { z }) => tf.sum(tf.add(omega, z))
    })
  })

  test("a constant of another shape", () => {
    // @ts-expect-error Type 'Tensor2D' is not assignable to type 'Tensor1D'
    Level.fix(beta, matrix())
  })
})

type Theta = Var.Var<"theta", { readonly encoder: tf.Tensor2D; readonly head: tf.Tensor1D }>
type Omega = Var.Var<"omega", tf.Tensor2D>
type Beta = Var.Var<"beta", tf.Tensor1D>
type Alpha = Var.Var<"alpha", tf.Tensor1D>
type Gamma = Var.Var<"gamma", tf.Tensor1D>

describe("what types tell", () => {
  test("a level tells what it owns, needs, binds, how its data fails and what its data needs", () => {
    expectTypeOf(pretrain).toEqualTypeOf<Level.Level<Theta, Beta, Theta, "CorpusError", Files>>()
    expectTypeOf(finetune).toEqualTypeOf<
      Level.Level<Omega, Beta, Theta | Omega, "CorpusError" | "TrainError", Files | Network>
    >()
    expectTypeOf(reweight).toEqualTypeOf<
      Level.Level<Beta, never, Theta | Omega | Beta, "CorpusError" | "TrainError", Files | Network>
    >()
  })

  test("a problem adds up variables, failures and requirements", () => {
    expectTypeOf(Problem.close(reweight)).toEqualTypeOf<
      Problem.Problem<Theta | Omega | Beta, "CorpusError" | "TrainError", Files | Network>
    >()
    expectTypeOf(Problem.close(reweight).pipe(Problem.simultaneous)).toEqualTypeOf(Problem.close(reweight))
  })

  test("levels that meet again in a diamond are counted once", () => {
    const base = Level.minimize(omega, {
      given: [beta],
      data: train,
      optimizer,
      objective: ({ omega }) => tf.sum(omega)
    })
    const one = Level.minimize(alpha, {
      upstream: [base],
      data: valid,
      optimizer,
      objective: ({ alpha }) => tf.sum(alpha)
    })
    const two = Level.minimize(gamma, {
      upstream: [base],
      data: valid,
      optimizer,
      objective: ({ gamma }) => tf.sum(gamma)
    })
    const top = Level.minimize(beta, {
      upstream: [one, two],
      data: valid,
      optimizer,
      objective: (vars) => {
        expectTypeOf(vars).toEqualTypeOf<{
          readonly alpha: tf.Tensor1D
          readonly beta: tf.Tensor1D
          readonly gamma: tf.Tensor1D
        }>()
        return tf.sum(tf.add(vars.alpha, vars.gamma))
      }
    })
    expectTypeOf(Problem.close(top)).toEqualTypeOf<
      Problem.Problem<Omega | Alpha | Beta | Gamma, "TrainError", Network>
    >()
  })

  test("a join closes what each branch owns of the other", () => {
    const join = Level.minimize(omega, {
      upstream: [left, right],
      data: valid,
      optimizer,
      objective: ({ omega, alpha, gamma }) => tf.sum(tf.mul(omega, tf.add(alpha, gamma)))
    })
    expectTypeOf(join).toEqualTypeOf<Level.Level<Omega, never, Omega | Alpha | Gamma>>()
    expectTypeOf(Problem.close(join)).toEqualTypeOf<Problem.Problem<Omega | Alpha | Gamma>>()
  })

  test("a fixed variable is neither open nor bound, and its value has the variable's own type", () => {
    const fixed = finetune.pipe(Level.fix(beta, NdArray.float32([2], [0.5, 0.5])))
    expectTypeOf(fixed).toEqualTypeOf<
      Level.Level<Omega, never, Theta | Omega, "CorpusError" | "TrainError", Files | Network>
    >()
    expectTypeOf(Problem.close(fixed)).toEqualTypeOf<
      Problem.Problem<Theta | Omega, "CorpusError" | "TrainError", Files | Network>
    >()
    expectTypeOf(Level.fix<typeof theta>)
      .parameter(1)
      .toEqualTypeOf<
        { readonly encoder: NdArray.NdArray<tf.Tensor2D>; readonly head: NdArray.NdArray<tf.Tensor1D> } | undefined
      >()
  })

  test("modifiers keep the level's type", () => {
    const modified = finetune.pipe(Level.unroll(2), Level.repeat(3), Level.warmup(1), Level.freeze(9), Level.restart)
    expectTypeOf(modified).toEqualTypeOf(finetune)
  })

  test("a variable's type follows from its initialiser", () => {
    expectTypeOf(theta).toEqualTypeOf<Theta>()
    expectTypeOf(theta.init).parameter(0).toEqualTypeOf<Seed.Seed>()
  })
})
