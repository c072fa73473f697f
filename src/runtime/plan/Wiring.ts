import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as Hypergradient from "../../dsl/Hypergradient.ts"
import type { Definition, Schedule } from "../../dsl/Level.ts"
import type { Optimizer } from "../../dsl/Optimizer.ts"
import * as Precision from "../../dsl/Precision.ts"
import type { Problem } from "../../dsl/Problem.ts"
import type { Var } from "../../dsl/Var.ts"
import * as Variance from "../../dsl/Variance.ts"

/** How a level's response is differentiated, with what that costs, an evaluation on some of a batch's rows as that part of one. */
export const Estimator = Schema.Struct({
  kind: Schema.Literals(["implicit", "unrolled", "forward", "detached"]),
  name: Schema.String,
  /** Gradient evaluations of the level per use. */
  evaluations: Schema.Finite,
  /** Further gradient evaluations for each element of its variable (dense solves). */
  evaluationsPerElement: Schema.Finite,
  /** Past updates that are differentiated; 1 for implicit estimators, which need the last batch only. */
  steps: Schema.Int,
  /** Whether it uses the derivative of the level's last update. */
  preconditioned: Schema.optionalKey(Schema.Boolean),
  /** Of an implicit estimator: products of a solve, and evaluations of one. */
  solve: Schema.optionalKey(
    Schema.Struct({
      products: Schema.Finite,
      productsPerElement: Schema.Finite,
      evaluations: Schema.Finite,
      /** Whether the response can itself be differentiated: it solves, anew each time, for a point that the gradient alone says. */
      differentiable: Schema.Boolean
    })
  ),
  /** What stands for the Hessian; absent where nothing does. */
  curvature: Schema.optionalKey(Schema.String),
  /** Whether it is differentiated where its last update was made from; absent where at its present value. */
  atUpdate: Schema.optionalKey(Schema.Literal(true)),
  /** Of the `evaluations`, those of the whole batch at the point itself: where the level's own update made them, it costs none. */
  shareable: Schema.optionalKey(Schema.Finite),
  /** Gradient evaluations of each update of the level through which derivatives are carried: once, and for each element of the upper variable. */
  carried: Schema.optionalKey(
    Schema.Struct({
      once: Schema.Finite,
      perElement: Schema.Finite,
      /** Evaluations at the reader's turn, of the reader's own loss: for each element, where others are. */
      reading: Schema.optionalKey(Schema.Finite)
    })
  ),
  /** Whether what is carried are runs beside the level's own and not derivatives. */
  branched: Schema.optionalKey(Schema.Literal(true))
})
export type Estimator = typeof Estimator.Type

/** One level as plain data: names in place of values. */
export const LevelWiring = Schema.Struct({
  name: Schema.String,
  variable: Schema.String,
  /** What the level carries beside its variable; absent where it carries nothing. */
  buffers: Schema.optionalKey(Schema.String),
  given: Schema.Array(Schema.String),
  upstream: Schema.Array(Schema.String),
  unroll: Schema.Int,
  repeat: Schema.Int,
  warmup: Schema.Int,
  freeze: Schema.NullOr(Schema.Int),
  restart: Schema.Boolean,
  /** Micro-batches of an update; absent where it takes one batch. */
  accumulate: Schema.optionalKey(Schema.Int),
  /** What its loss and gradient are computed in; absent where in float32. */
  precision: Schema.optionalKey(Schema.String),
  optimizer: Schema.String,
  data: Schema.String,
  /** How many different batches the data have, where they are a finite sum of several. */
  terms: Schema.optionalKey(Schema.Int),
  /** How its direction is estimated from batches; absent where one batch says it. */
  variance: Schema.optionalKey(
    Schema.Struct({
      name: Schema.String,
      /** Evaluations of a direction that an estimate takes. */
      evaluations: Schema.Int,
      /** Updates after which all batches make the direction. */
      period: Schema.optionalKey(Schema.Int)
    })
  ),
  estimator: Schema.NullOr(Estimator)
})
export type LevelWiring = typeof LevelWiring.Type

/** A problem as plain data: what a plan is made from, whether it comes from a program or from a file. */
export const Wiring = Schema.Struct({
  levels: Schema.Array(LevelWiring),
  fixed: Schema.Array(Schema.String),
  top: Schema.String,
  simultaneous: Schema.Boolean,
  /** Whether levels update upper first within a tick; absent where lower first. */
  upperFirst: Schema.optionalKey(Schema.Literal(true))
})
export type Wiring = typeof Wiring.Type

/** A defect of wiring: `kind` for programs, the message for people. */
export class WiringError extends Schema.TaggedError<WiringError>()("WiringError", {
  kind: Schema.Literals([
    "DuplicateLevel",
    "DuplicateVariable",
    "UnknownLevel",
    "UnknownVariable",
    "Cycle",
    "OwnGiven",
    "Buffers",
    "ReadTwice",
    "GivenNotAbove",
    "FixedAndMinimized",
    "FixedTwice",
    "Schedule",
    "NoEstimator",
    "Optimizer",
    "Estimator",
    "Precision",
    "Variance",
    "ResponseOfResponse",
    "CyclicResponse",
    "Unreachable"
  ]),
  level: Schema.String,
  found: Schema.String,
  remedy: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return `level '${this.level}': ${this.found}: ${this.remedy}`
  }
}

/** What part of a batch products see. */
const fractionOf = ({ rows }: Hypergradient.Products): number => rows?.fraction ?? 1

/** Evaluations at the point itself, if they can be the level's own update's: on other rows they are others. */
const shareableOf = (atPoint: number, fraction: number): { readonly shareable?: number } =>
  atPoint > 0 && fraction === 1 ? { shareable: atPoint } : {}

/** What a solve takes, and whether its solution can be differentiated in turn. */
const solveOf = (
  { at, curvature, solver }: Extract<Hypergradient.Hypergradient, { readonly _tag: "Implicit" }>,
  { seen, unsolvable }: NonNullable<Optimizer["stationarity"]>,
  evaluations: number
): NonNullable<Estimator["solve"]> => {
  const { products, productsPerElement } = solver.cost
  const solves = products > 0 || productsPerElement > 0
  const anew = solver.keeps !== true && !solver.preconditioned && at !== "update"
  return {
    products,
    productsPerElement,
    evaluations,
    differentiable: solves && anew && curvature === undefined && seen === undefined && unsolvable === undefined
  }
}

const estimatorOf = (
  estimator: Hypergradient.Hypergradient,
  { stationarity }: Optimizer,
  { accumulate = 1 }: Schedule
): Estimator => {
  const name = Hypergradient.describe(estimator)
  switch (estimator._tag) {
    case "Implicit": {
      const { cost } = estimator.solver
      const fraction = fractionOf(estimator)
      const each = estimator.product.evaluations * fraction
      // Other curvatures are derivatives of what three gradients make.
      const bent = estimator.curvature === undefined ? 1 : 3
      const perElement = cost.productsPerElement * each * bent
      // One more product hands −∂ₓ⟨∇L, u⟩ to what the level reads; a clip is differentiated at the gradient.
      const clipped = stationarity?.seen === undefined ? 0 : 1
      const atPoint = Math.max(clipped, estimator.product.atPoint ?? 0)
      return {
        kind: "implicit",
        name,
        evaluations: (cost.products * bent + 1) * each + atPoint * fraction,
        evaluationsPerElement: perElement,
        steps: 1,
        ...(estimator.curvature === undefined ? {} : { curvature: estimator.curvature }),
        ...(estimator.at === "update" ? { atUpdate: true as const } : {}),
        ...shareableOf(atPoint, fraction),
        ...(estimator.solver.preconditioned ? { preconditioned: true } : {}),
        solve: solveOf(estimator, stationarity ?? {}, each)
      }
    }
    case "Unrolled": {
      const { product, steps } = estimator
      const [fraction, atPoint] = [fractionOf(estimator), (product.atPoint ?? 0) * accumulate]
      const evaluations = steps * (product.evaluations * accumulate + atPoint) * fraction
      const shareable = shareableOf(atPoint, fraction)
      return { kind: "unrolled", name, evaluations, evaluationsPerElement: 0, steps, ...shareable }
    }
    case "Forward": {
      const { product, updates: steps } = estimator
      const [fraction, atPoint] = [fractionOf(estimator), (product.atPoint ?? 0) * accumulate]
      const carried = { once: atPoint * fraction, perElement: product.evaluations * accumulate * fraction }
      const shareable = shareableOf(atPoint, fraction)
      return { kind: "forward", name, evaluations: 0, evaluationsPerElement: 0, steps, ...shareable, carried }
    }
    case "Branches": {
      const { difference, updates: steps } = estimator
      const count = Hypergradient.branchesOf(estimator)
      const reading = difference === "response" ? 0 : (count ?? 1)
      const carried = { once: (count ?? 0) * accumulate, perElement: count === undefined ? accumulate : 0, reading }
      return { kind: "forward", name, evaluations: 0, evaluationsPerElement: 0, steps, carried, branched: true }
    }
    case "Detached":
      return { kind: "detached", name, evaluations: 0, evaluationsPerElement: 0, steps: 0 }
  }
}

/** What the levels of a problem compute in. */
const precisionOf = ({ precision: own }: Definition, { precision: all }: Problem.Any): Precision.Precision =>
  own ?? all ?? Precision.float32

/** An estimator beside updates whose evaluations are in fewer bits, or of micro-batches: these are none of its own. */
const beside = (
  { shareable, ...rest }: Estimator,
  { _tag }: Precision.Precision,
  { accumulate = 1 }: Schedule
): Estimator => (_tag === "float32" && accumulate === 1 && shareable !== undefined ? { ...rest, shareable } : rest)

const varianceOf = (variance: Variance.Variance): NonNullable<LevelWiring["variance"]> => ({
  name: Variance.describe(variance),
  evaluations: variance._tag === "Saga" ? 1 : 2,
  ...(variance._tag === "Sarah" ? { period: variance.period } : {})
})

const wiringOf = (level: Definition, precision: Precision.Precision): LevelWiring => ({
  name: level.name,
  variable: level.own.name,
  ...(level.buffers === undefined ? {} : { buffers: level.buffers.name }),
  given: level.given.map((v) => v.name),
  upstream: level.upstream.map((l) => l.name),
  unroll: level.schedule.unroll,
  repeat: level.schedule.repeat,
  warmup: level.schedule.warmup,
  freeze: level.schedule.freeze ?? null,
  restart: level.schedule.restart,
  ...((level.schedule.accumulate ?? 1) === 1 ? {} : { accumulate: level.schedule.accumulate }),
  optimizer: level.optimizer.name,
  data: level.data.name,
  ...((level.data.terms ?? 1) === 1 ? {} : { terms: level.data.terms! }),
  ...(level.variance === undefined ? {} : { variance: varianceOf(level.variance) }),
  ...(precision._tag === "float32" ? {} : { precision: Precision.describe(precision) }),
  estimator:
    level.hypergradient === undefined
      ? null
      : beside(estimatorOf(level.hypergradient, level.optimizer, level.schedule), precision, level.schedule)
})

/**
 * A level and everything it rests on: each level value once, lower levels first.
 *
 * @internal
 */
export const closure = (top: Definition): ReadonlyArray<Definition> => {
  const found = new Set<Definition>()
  const visit = (level: Definition): void => {
    if (found.has(level)) return
    for (const below of level.upstream) visit(below)
    found.add(level)
  }
  visit(top)
  return [...found]
}

/**
 * The definitions a problem is made of, lower levels first.
 *
 * @internal
 */
export const definitions = (problem: Problem.Any): ReadonlyArray<Definition> => closure(problem.top)

/**
 * The definitions with the problem's precision where they state none: what is run.
 *
 * @internal
 */
export const computing = (problem: Problem.Any): ReadonlyArray<Definition> =>
  problem.precision === undefined
    ? definitions(problem)
    : definitions(problem).map((level) => ({ ...level, precision: precisionOf(level, problem) }))

/**
 * The variables that a level moves: its own and, where it has some, its buffers.
 *
 * @internal
 */
export const owned = (level: Definition): ReadonlyArray<Var.Any> =>
  level.buffers === undefined ? [level.own] : [level.own, level.buffers]

/** Names of the elements of what levels minimize, by level, where they have any: tradeoff weights by objective. */
export const elements = (problem: Problem.Any): { readonly [level: string]: ReadonlyArray<string> } =>
  Object.fromEntries(
    definitions(problem).flatMap(({ name, own }) => (own.elements === undefined ? [] : [[name, own.elements] as const]))
  )

/**
 * Variables held constant, with their values where the program states them.
 *
 * @internal
 */
export const fixed = (problem: Problem.Any): ReadonlyArray<Definition["fixed"][number]> => {
  const byName = new Map(definitions(problem).flatMap((level) => level.fixed.map((f) => [f.variable.name, f] as const)))
  return [...byName.values()]
}

/**
 * Variables or constants of one name that are not one value: the only defect that names alone cannot show.
 *
 * @internal
 */
export const confused = (problem: Problem.Any): WiringError | undefined => {
  const seen = new Map<string, Var.Any>()
  const constants = new Map<string, Definition["fixed"][number]["value"]>()
  for (const level of definitions(problem)) {
    for (const { value, variable } of level.fixed) {
      if (constants.has(variable.name) && constants.get(variable.name) !== value) {
        return new WiringError({
          kind: "FixedTwice",
          level: level.name,
          found: `'${variable.name}' is held constant at two different values`,
          remedy: "hold it constant once, at the level above both"
        })
      }
      constants.set(variable.name, value)
    }
    for (const variable of [...owned(level), ...level.given, ...level.fixed.map((f) => f.variable)]) {
      const other = seen.get(variable.name)
      if (other !== undefined && other !== variable) {
        return new WiringError({
          kind: "DuplicateVariable",
          level: level.name,
          found: `two different variables are called '${variable.name}'`,
          remedy: "use one Var value in both places, or give them different names"
        })
      }
      seen.set(variable.name, variable)
    }
  }
  return undefined
}

/** A problem as plain data. */
export const fromProblem = (problem: Problem.Any): Wiring => ({
  levels: definitions(problem).map((level) => wiringOf(level, precisionOf(level, problem))),
  fixed: fixed(problem).map((f) => f.variable.name),
  top: problem.top.name,
  simultaneous: problem.simultaneous,
  ...(problem.upperFirst === true ? { upperFirst: true as const } : {})
})
