import * as tf from "@tensorflow/tfjs-core"
import type { Definition } from "../../dsl/Level.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import * as Adjoint from "./Adjoint.ts"
import type { Moment } from "../plan/Moment.ts"
import * as Objective from "./Evaluation.ts"
import * as Branch from "./Branch.ts"
import * as Forward from "./Forward.ts"
import * as Failure from "./Failure.ts"
import * as Reduced from "./Reduced.ts"
import * as LossScale from "./LossScale.ts"
import type { State, Vars } from "./State.ts"
import type { Memory } from "./Memory.ts"
import type { Sweep } from "../plan/Sweep.ts"

/** Batches by level, one an update, oldest first: those the level takes this tick are the last ones. */
export type Batches = { readonly [level: string]: ReadonlyArray<Objective.UpdateBatch> }

/** Where a hypergradient came from, when diagnostics are on. Scalars; see `LevelReport.Report`. */
export type Report = {
  /** Norm of the level's own partial gradient. */
  readonly direct: tf.Scalar
  /** By the level through which a contribution arrives: its norm and its cosine with the whole. */
  readonly parts: { readonly [level: string]: { readonly norm: tf.Scalar; readonly cosine: tf.Scalar } }
  /** By level: ‖H u − v‖ / ‖v‖ of its linear solve. */
  readonly residuals: { readonly [level: string]: tf.Scalar }
  /** By level: the least curvature that its linear solve met. Not positive where H is singular or indefinite along it. */
  readonly curvatures: { readonly [level: string]: tf.Scalar }
}

/** What an update did, when diagnostics are on. Scalars. */
export type Movement = {
  /** Norm of the variable's change. */
  readonly moved: tf.Scalar
  /** Norm of the gradient as the optimizer's method takes it, clipped and decayed; empty where it takes the gradient itself. */
  readonly taken: { readonly norm: tf.Scalar } | {}
  /** Learning rates by group; empty where the optimizer does not tell. */
  readonly rates: { readonly [group: string]: tf.Scalar }
}

/** What a level reports of an update, taken at the values the update started from. */
export type LevelMetrics = {
  readonly loss: tf.Scalar
  /** Euclidean norm of the whole gradient, responses included. */
  readonly gradientNorm: tf.Scalar
  readonly metrics: { readonly [name: string]: tf.Tensor }
  readonly report: Report | (Report & Movement) | {}
  /** By level below: how sound its solve was, where its solver says it. */
  readonly soundness: { readonly [level: string]: tf.Scalar }
  /** Of a level in float16: the scale of its loss, and whether the update was made (1) or skipped (0). */
  readonly lossScale: { readonly scale: tf.Scalar; readonly made: tf.Scalar } | {}
}

/** The gradient of a level, with what finding it left behind. */
export interface Direction {
  readonly gradient: Tree
  /** The next value of the level's buffers; empty where it has none. */
  readonly buffers: Tree
  readonly solver: { readonly [lower: string]: Tree }
  readonly metrics: LevelMetrics
  /** Whether the gradient is finite, where an update may be skipped; it is zero where it is not. */
  readonly finite: tf.Scalar | undefined
  /** By level below, where parts are looked at: those of its solve. */
  readonly apart?: { readonly [lower: string]: NonNullable<Adjoint.Handed["apart"]> }
  /** What the level's estimate keeps, where it has one. */
  readonly variance?: Memory
}

/** The parts of a direction, where they are looked at one by one: what stands in place of each that is named. */
export interface Parts {
  /** By level below whose adjoint is kept: the solution that is handed on. */
  readonly handed?: { readonly [lower: string]: Tree }
  /** The level's own gradient, by variable. */
  readonly own?: (said: Vars) => Vars
  /** What the solution of a level below hands on, by variable. */
  readonly crossed?: (lower: string, said: Vars) => Vars
  /** The curvature of a level below times the solution that is kept there. */
  readonly image?: (lower: string, said: Tree) => Tree
}

/** By level: the values from which its last update of this tick was made. */
export type Departures = { readonly [level: string]: Vars }

/**
 * The gradient of one level, responses included: one reverse sweep over the levels below it. Each hop does one solve
 * with the cotangent accumulated so far, so cost grows with levels and edges and never with paths. Levels that are not among
 * the `departures` are differentiated at their present value, whatever their estimators say.
 */
export const direction = (
  level: Definition,
  levels: ReadonlyMap<string, Definition>,
  sweeps: ReadonlyMap<string, Sweep>,
  state: State,
  batch: Objective.UpdateBatch,
  batches: Batches,
  moment: Moment,
  departures: Departures = {},
  parts?: Parts
): Direction => {
  const own = level.own.name
  const sweep = sweeps.get(level.name)!
  const {
    buffers,
    gradient: said,
    loss,
    metrics,
    touched
  } = Objective.ownGradient(
    level,
    state.vars,
    Objective.microBatches(batch),
    [own, ...sweep.reads],
    state.lossScale[level.name]?.scale
  )
  const gradient = parts?.own?.(said) ?? said
  let known: ReturnType<typeof Reduced.at> | undefined
  const reduced = () => (known ??= Reduced.at(levels, sweeps, state.vars, batches))
  const cotangents: { [variable: string]: Tree } = { ...gradient }
  const reached = new Set(touched)
  const solver: { [lower: string]: Tree } = {}
  const arrived: { [lower: string]: Tree } = {}
  const apart: { [lower: string]: NonNullable<Adjoint.Handed["apart"]> } = {}
  const residuals: { [lower: string]: tf.Scalar } = {}
  const curvatures: { [lower: string]: tf.Scalar } = {}
  const soundness: { [lower: string]: tf.Scalar } = {}
  for (const hop of sweep.hops) {
    const lower = levels.get(hop.level)!
    const v = cotangents[hop.variable]!
    const given = parts?.handed?.[lower.name]
    const handed = Objective.inLevel(lower.name, () =>
      adjoint(
        lower,
        hop.into,
        v,
        state.solver[level.name]?.[lower.name] ?? {},
        state,
        batches[lower.name] ?? [],
        moment,
        departures[lower.name] ?? state.vars,
        level,
        batch,
        hop.moving === undefined ? undefined : reduced()(lower),
        parts === undefined ? undefined : given === undefined ? {} : { handed: given }
      )
    )
    if (handed.apart !== undefined) {
      const { image } = handed.apart
      apart[lower.name] =
        image === undefined ? handed.apart : { ...handed.apart, image: parts?.image?.(lower.name, image) ?? image }
    }
    const crossed = parts?.crossed?.(lower.name, handed.cotangents) ?? handed.cotangents
    if (reached.has(hop.variable)) for (const variable of handed.touched) reached.add(variable)
    solver[lower.name] = handed.state
    if (handed.soundness !== undefined) soundness[lower.name] = handed.soundness
    if (handed.residual !== undefined) residuals[lower.name] = handed.residual
    if (handed.curvature !== undefined) curvatures[lower.name] = handed.curvature
    for (const variable of hop.into) {
      const arriving = crossed[variable]!
      const sofar = cotangents[variable]
      cotangents[variable] = sofar === undefined ? arriving : Vector.add(sofar, arriving)
      if (variable === own) arrived[lower.name] = arriving
    }
  }
  if (!reached.has(own)) refuseUnmoved(level, sweep, moment)
  const sum = cotangents[own]!
  const scale = state.lossScale[level.name]?.scale
  const finite = scale === undefined ? undefined : LossScale.finite(sum)
  const whole = finite === undefined ? sum : LossScale.either(finite, sum, Vector.zeros(sum))
  const report: LevelMetrics["report"] = !moment.diagnostics
    ? {}
    : {
        direct: Vector.norm(gradient[own]!),
        parts: Object.fromEntries(
          Object.entries(arrived).map(([name, part]) => [
            name,
            { norm: Vector.norm(part), cosine: Vector.cosine(part, whole) }
          ])
        ),
        residuals,
        curvatures
      }
  return {
    gradient: whole,
    buffers,
    solver,
    finite,
    ...(parts === undefined ? {} : { apart }),
    metrics: {
      loss,
      gradientNorm: Vector.norm(whole),
      metrics,
      report,
      soundness,
      lossScale:
        scale === undefined || finite === undefined ? {} : { scale, made: tf.cast(finite, "int32") as tf.Scalar }
    }
  }
}

/** Throws where nothing can move a level: not where it was said that nothing should respond to it. */
const refuseUnmoved = ({ name, own, upstream }: Definition, { hops }: Sweep, { frozen }: Moment): void => {
  const silenced = (level: Definition): boolean =>
    level.hypergradient?._tag === "Detached" || frozen.includes(level.name) || level.upstream.some(silenced)
  if (upstream.some(silenced)) return
  const through = hops.length === 0 ? "" : ` through the solutions of ${hops.map((hop) => hop.level).join(", ")}`
  throw new Failure.StepFailure(
    name,
    `its loss does not depend on '${own.name}', neither itself nor${through === "" ? " through a level below" : through}, so that ` +
      `nothing moves '${own.name}': use it in the objective, or in a level below that the objective reads`
  )
}

const adjoint = (
  lower: Definition,
  into: ReadonlyArray<string>,
  v: Tree,
  solver: Tree,
  state: State,
  batches: ReadonlyArray<Objective.UpdateBatch>,
  moment: Moment,
  departure: Vars,
  reader: Definition,
  read: Objective.UpdateBatch,
  reduced: Adjoint.Reduced | undefined,
  apart: Adjoint.Apart | undefined
): Adjoint.Handed => {
  const estimator = lower.hypergradient!
  switch (estimator._tag) {
    case "Implicit":
      return Adjoint.implicit(
        lower,
        estimator,
        estimator.at === "update" ? departure : state.vars,
        moment.whole?.levels.includes(lower.name) === true
          ? Objective.microBatches(batches.at(-1)!)
          : Objective.microBatches(batches.at(-1)!).slice(-1),
        into,
        v,
        solver,
        state.tape[lower.name]?.at(-1),
        moment.diagnostics,
        reduced,
        apart
      )
    case "Unrolled": {
      const steps = moment.past[lower.name]!
      const past = state.tape[lower.name]!.slice(-steps)
      return Adjoint.unrolled(lower, estimator, state.vars, past, batches.slice(-steps), into, v)
    }
    case "Forward":
      return Forward.handed(into[0]!, state.vars[into[0]!]!, state.tangents[lower.name]!, v)
    case "Branches": {
      const branches = state.tangents[lower.name]!
      return Branch.handed(reader, lower, estimator, into[0]!, state.vars, Objective.microBatches(read), branches, v)
    }
    case "Detached":
      throw new Error(`level '${lower.name}' is detached and cannot be part of a sweep`)
  }
}
