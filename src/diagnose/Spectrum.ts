/** Extreme eigenvalues of the curvature that a hypergradient is solved with, and how much of an error its solver leaves. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import type { Hypergradient, Solver } from "../dsl/Hypergradient.ts"
import * as Level from "../dsl/Level.ts"
import * as Seed from "../dsl/values/Seed.ts"
import * as Tree from "../dsl/values/Tree.ts"
import * as Vector from "../tensor/Vector.ts"
import type * as Probe from "./Probe.ts"

/** Of one level that a hypergradient passes through. */
export interface Spectrum {
  readonly level: string
  /** The eigenvalue of the curvature that is largest in size. */
  readonly dominant: number
  /** The one that is farthest from it: the least where `dominant` is positive. */
  readonly opposite: number
  /** What a solve, or of a solution that is kept a tick of it, leaves of an error that it leaves the most of, in parts of it; absent where the solver asks for more than products. */
  readonly contraction?: number
  readonly alarm?: string
}

const tiny = 1e-30
const unit = <T extends Tree.Tree>(x: T): T => Vector.scale(tf.div(1, tf.add(Vector.norm(x), tiny)) as tf.Scalar, x)

/** A direction that no eigenvector is orthogonal to, but by accident. */
const start = <T extends Tree.Tree>(like: T, label: string): T =>
  unit(Tree.map(like, (leaf) => tf.tensor(Seed.normal(Seed.fold(Seed.make(0), label), leaf.size), leaf.shape)))

type State = {
  readonly dominant: { readonly vector: Tree.Tree; readonly value: tf.Scalar }
  readonly opposite: { readonly vector: Tree.Tree; readonly value: tf.Scalar }
  readonly left: { readonly vector: Tree.Tree; readonly value: tf.Scalar }
}

/** In a solver's place: a step of three power iterations each time it is asked, in its state. It hands on zero. */
const powers = (solver: Solver): Solver => ({
  name: `powers of ${solver.name}`,
  cost: { products: 3, productsPerElement: 0 },
  preconditioned: false,
  init: (like): State => {
    const at = (label: string) => ({ vector: start(like, label), value: tf.scalar(0) })
    return { dominant: at("dominant"), opposite: at("opposite"), left: at("left") }
  },
  update: (product, v, state, precondition) => {
    const { dominant, left, opposite } = state as State
    const along = (u: Tree.Tree) => product(u as typeof v)
    const image = along(dominant.vector)
    const value = Vector.dot(dominant.vector, image)
    const other = along(opposite.vector)
    const shifted = Vector.addScaled(other, tf.neg(value) as tf.Scalar, opposite.vector as typeof v)
    const next: { -readonly [K in keyof State]: State[K] } = {
      dominant: { vector: unit(image), value },
      opposite: { vector: unit(shifted), value: Vector.dot(opposite.vector, other) },
      left
    }
    if (!solver.preconditioned) {
      // For H u the solution is u: what differs from it is what the solver leaves.
      const [handed, after] = solver.update(product, along(left.vector), solver.init(v), precondition)
      const rest = Vector.subtract(left.vector as typeof v, solver.kept?.solution(after, v) ?? handed)
      next.left = { vector: unit(rest), value: Vector.norm(rest) }
    }
    return [Vector.zeros(v), next]
  }
})

type Implicit = Extract<Hypergradient, { readonly _tag: "Implicit" }>

/** Of one level, the others' solvers staying what they are: its curvature may contain their solves. */
const spectrumOf = <E>(
  probe: Probe.Probe<E>,
  { hypergradient, name }: Level.Definition
): Effect.Effect<Spectrum, E | Probe.ProbeError> => {
  const own = hypergradient as Implicit
  const asked = Level.hypergradient({ ...own, solver: powers(own.solver) })
  return Effect.map(
    probe.kept((level) => (level.name === name ? asked(level) : level)),
    (kept): Spectrum => {
      const { dominant, left, opposite } = kept[name] as Tree.Host<State>
      // Of one eigenvalue, as a single number has, nothing is left to point elsewhere.
      const isOne = Tree.hostEntries(opposite.vector).every(([, leaf]) => leaf.data.every((each) => each === 0))
      const found = {
        level: name,
        dominant: dominant.value.data[0]!,
        opposite: (isOne ? dominant : opposite).value.data[0]!,
        ...(own.solver.preconditioned ? {} : { contraction: left.value.data[0]! })
      }
      const alarm = alarmOf(found, own.solver)
      return alarm === undefined ? found : { ...found, alarm }
    }
  )
}

/**
 * By level that the hypergradient passes through: the ends of its curvature's spectrum, and what its solver leaves of an error, by power
 * iteration of a hundred steps, or as many as the probe solves with. It raises where the curvature is indefinite, and where a solver makes errors larger.
 */
export const spectra = <E>(probe: Probe.Probe<E>): Effect.Effect<ReadonlyArray<Spectrum>, E | Probe.ProbeError> =>
  Effect.forEach(probe.passed, (level) => spectrumOf(probe, level))

/** Below this share of the largest, a negative eigenvalue is rounding. */
const rounding = 1e-4

const alarmOf = (
  { contraction = 0, dominant, level, opposite }: Omit<Spectrum, "alarm">,
  solver: Solver
): string | undefined => {
  if (Math.min(dominant, opposite) < -rounding * Math.abs(dominant)) {
    return (
      `the curvature of '${level}' has eigenvalues from ${Math.min(dominant, opposite).toPrecision(3)} to ${Math.max(dominant, opposite).toPrecision(3)}: ` +
      "it is indefinite, so that the level is at no minimum; solve it further, regularise it, or choose Solver.minres"
    )
  }
  if (contraction <= 1 || !iterates(solver)) return undefined
  return (
    `'${solver.name}' makes an error in the solution of '${level}' ${contraction.toPrecision(3)} times as large, as the curvature's largest eigenvalue is ${dominant.toPrecision(3)}: ` +
    "lower its rate below 2 over that"
  )
}

/** Whether a solver claims to come to the solution: the identity has none to come to. */
const iterates = (solver: Solver): boolean => solver.cost.products > 0 || solver.keeps === true
