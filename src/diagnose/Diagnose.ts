/**
 * How far a hypergradient can be trusted: the same one by other estimators, at better solved levels below, on other batches, and how
 * fast levels move beside each other. Each is a table and, where something is wrong, a sentence that says what and the remedy.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Hypergradient, Solver } from "../dsl/Hypergradient.ts"
import * as Level from "../dsl/Level.ts"
import type { Problem } from "../dsl/Problem.ts"
import type { Var } from "../dsl/Var.ts"
import type { Engine } from "../engines/Engine.ts"
import * as Product from "../levels/Product.ts"
import * as Solvers from "../levels/Solver.ts"
import { dot, type HostVector, norm } from "../runtime/run/Directions.ts"
import * as Probe from "./Probe.ts"
import { spectra, type Spectrum } from "./Spectrum.ts"
import type { Trajectory } from "./Trajectory.ts"

export { spectra, type Spectrum } from "./Spectrum.ts"
export { type RetrainGap, type Trajectory, trajectory, type Velocity } from "./Trajectory.ts"
export { DiagnoseError, open, type Options, type Probe, type ProbeError, solveTicks } from "./Probe.ts"

/** One hypergradient beside the one that a table is measured against. */
export interface Reading {
  readonly name: string
  readonly norm: number
  /** With the reference; NaN where one of them is zero. */
  readonly cosine: number
  /** ‖g − reference‖ / ‖reference‖, or / the norm at rest where that is larger. */
  readonly relative: number
}

/** Hypergradients side by side. */
export interface Table {
  readonly title: string
  /** What the others are measured against. */
  readonly reference: string
  readonly readings: ReadonlyArray<Reading>
  /** What is wrong, and what to change; absent where nothing is. */
  readonly alarm?: string
}

/** How much a table may differ before it raises, and in what. */
export const tolerance = 0.05

const apart = (g: HostVector, reference: HostVector, rest: number): number =>
  norm(g.map((leaf, i) => leaf.map((value, j) => value - reference[i]![j]!))) / Math.max(norm(reference), rest)

const reading = (name: string, g: HostVector, reference: HostVector, rest: number): Reading => ({
  name,
  norm: norm(g),
  cosine: dot(g, reference) / (norm(g) * norm(reference)),
  relative: apart(g, reference, rest)
})

const tableOf = (
  { rest }: Probe.Probe<unknown>,
  title: string,
  named: ReadonlyArray<readonly [name: string, gradient: HostVector]>,
  reference: string,
  alarm: (readings: ReadonlyArray<Reading>, isAtRest: boolean) => string | undefined
): Table => {
  const against = named.find(([name]) => name === reference)![1]
  const readings = named.map(([name, gradient]) => reading(name, gradient, against, rest))
  const raised = readings.every((each) => Number.isFinite(each.norm))
    ? alarm(readings, norm(against) <= rest)
    : "a hypergradient is not finite: the curvature is singular or indefinite there; damp the solver or choose MINRES"
  return { title, reference, readings, ...(raised === undefined ? {} : { alarm: raised }) }
}

type Implicit = Extract<Hypergradient, { readonly _tag: "Implicit" }>
/** Changes every implicit estimator of a problem. */
const estimating = (change: (own: Implicit) => Hypergradient) => (level: Level.Definition) =>
  level.hypergradient?._tag === "Implicit" ? Level.hypergradient(change(level.hypergradient))(level) : level

const described = (relative: number): string => `${(100 * relative).toPrecision(3)} %`

/** What all tables are made by. */
export type Looked<E, A, R = never> = Effect.Effect<A, E | Probe.ProbeError, Engine | R | Scope.Scope>

/**
 * The hypergradient after more and more ticks of the levels below. It raises where it still moves: the levels below are not solved when they
 * are differentiated, and an implicit estimator's error is linear in that (Pedregosa 2016).
 */
export const innerSweep = <E>(
  probe: Probe.Probe<E>,
  more: ReadonlyArray<number> = [1, 2, 4, 8, 16, 32, 64, 128]
): Looked<E, Table> =>
  Effect.gen(function* () {
    const from = yield* probe.vars
    const named: Array<readonly [string, HostVector]> = [["as they are", yield* probe.gradient()]]
    let done = 0
    for (const ticks of more) {
      yield* probe.solve(ticks - done)
      done = ticks
      named.push([`+${ticks} ticks`, yield* probe.gradient()])
    }
    yield* probe.put(from)
    return tableOf(probe, "levels below solved further", named, `+${done} ticks`, (readings) => {
      const { relative } = readings[0]!
      if (relative <= tolerance) return undefined
      return `after ${done} more ticks the hypergradient is ${described(relative)} another: give the levels below more updates a turn, or larger rates`
    })
  })

/** Iterations that a solve is given in {@link termsSweep}. */
const iterations = [1, 2, 4, 8, 16, 32, 64]

/**
 * The hypergradient as stated, by the identity and by ever longer solves, the longest being the reference (conjugate gradients, or MINRES
 * where `indefinite`). It raises where the stated estimator's direction differs from it by more than a cosine of 0.9, or its size where it claims one.
 */
export const termsSweep = <E>(
  probe: Probe.Probe<E>,
  options: { readonly indefinite?: boolean } = {}
): Looked<E, Table> =>
  Effect.gen(function* () {
    const solver = (n: number): Solver =>
      (options.indefinite === true ? Solvers.minres : Solvers.conjugateGradient)({ iterations: n })
    const by = (solver: Solver) => probe.gradient(estimating((own) => ({ ...own, solver })))
    const named: Array<readonly [string, HostVector]> = [["as stated", yield* probe.gradient()]]
    named.push(["identity", yield* by(Solvers.identity)])
    for (const n of iterations) named.push([solver(n).name, yield* by(solver(n))])
    return tableOf(probe, "longer solves", named, named.at(-1)![0], ([stated], isAtRest) => {
      if (isAtRest || stated!.cosine >= 0.9) return undefined
      return `the stated estimator's direction has a cosine of ${stated!.cosine.toPrecision(3)} with the longest solve's: give the solver more iterations, or another estimator`
    })
  })

/** The hypergradient by conjugate gradients on `H + ρI`. It raises where a small ρ matters: the curvature is then nearly singular. */
export const dampingSweep = <E>(probe: Probe.Probe<E>): Looked<E, Table> =>
  Effect.gen(function* () {
    const solver = Solvers.conjugateGradient({ iterations: 32 })
    const named: Array<readonly [string, HostVector]> = []
    for (const damping of [0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]) {
      const by = damping === 0 ? solver : Solvers.damped(solver, { damping })
      named.push([`ρ ${damping}`, yield* probe.gradient(estimating((own) => ({ ...own, solver: by })))])
    }
    return tableOf(probe, "damped solves", named, "ρ 0", (readings) => {
      const small = readings.find(({ name }) => name === "ρ 0.0001")!
      if (small.relative <= tolerance) return undefined
      return `a damping of 0.0001 makes the hypergradient ${described(small.relative)} another: the curvature is nearly singular or indefinite; damp it, or regularise the level`
    })
  })

/** Finite differences of ever larger radius beside the exact product, which compiled engines have. It raises where the stated one is off. */
export const radiusSweep = <E>(probe: Probe.Probe<E>): Looked<E, Table> =>
  Effect.gen(function* () {
    const by = (product: Product.Product) => probe.gradient(estimating((own) => ({ ...own, product })))
    const named: Array<readonly [string, HostVector]> = [["as stated", yield* probe.gradient()]]
    for (let k = -4; k <= 4; k++) {
      const radius = Number((0.01 * 4 ** k).toPrecision(3))
      named.push([`radius ${radius}`, yield* by(Product.finiteDifference({ radius }))])
    }
    named.push(["exact", yield* by(Product.exact)])
    return tableOf(probe, "radius of differences", named, "exact", ([stated, ...others]) => {
      if (stated!.relative <= tolerance) return undefined
      const best = others.slice(0, -1).reduce((a, b) => (b.relative < a.relative ? b : a))
      return `the stated product is ${described(stated!.relative)} off: take Product.exact, or ${best.name}, which is ${described(best.relative)} off`
    })
  })

/** The hypergradient at one place on several batches. It raises where two of them point apart: noise outweighs what they agree on. */
export const batchSweep = <E>(probe: Probe.Probe<E>, batches = 6): Looked<E, Table> =>
  Effect.gen(function* () {
    const found: Array<HostVector> = []
    for (let batch = 0; batch < batches; batch++) found.push(yield* probe.gradient(undefined, batch))
    const mean = found[0]!.map((leaf, i) =>
      leaf.map((_, j) => found.reduce((sum, each) => sum + each[i]![j]!, 0) / batches)
    )
    const named = found.map((each, batch) => [`batch ${batch}`, each] as const)
    return tableOf(probe, "other batches", [...named, ["their mean", mean]], "their mean", (readings, isAtRest) => {
      const worst = Math.min(...readings.map(({ cosine }) => cosine))
      if (isAtRest || worst >= 0.3) return undefined
      return `a batch's hypergradient has a cosine of ${worst.toPrecision(3)} with the mean of ${batches}: take larger batches at this level, or average over ticks`
    })
  })

/** How fast a level moves beside how fast those below follow. */
export interface TimeScale {
  /** What one update of the level changes of its hypergradient, the levels below solved before and after, in parts of it, or where it is at rest of the first. */
  readonly change: number
  /** What part of the way to their new solution the levels below go in one tick. */
  readonly closed: number
  /** `change / closed`: above 1 the level outruns those below. */
  readonly ratio: number
  readonly alarm?: string
}

/**
 * Whether a level outruns those below it, as warm starts and weights on a simplex cannot bear: what they come to then are weights
 * on few examples and no solution (Ivanova and Ablin 2023). Both speeds are measured, optimizers included.
 */
export const timeScale = <E>(probe: Probe.Probe<E>, solveTicks = Probe.solveTicks): Looked<E, TimeScale> =>
  Effect.gen(function* () {
    const from = yield* probe.vars
    const before = yield* probe.gradient()
    yield* probe.move
    const first = yield* probe.solve(1)
    const second = yield* probe.solve(1)
    yield* probe.solve(solveTicks)
    const after = yield* probe.gradient()
    yield* probe.put(from)
    // At rest an update, such as an adaptive method's first, is held against the gradient that there once was.
    const isAtRest = norm(before) <= probe.rest
    const change = apart(after, before, isAtRest ? probe.first : 0)
    const of = (norms: typeof first) => Math.hypot(...Object.values(norms))
    // Nor do the levels below have a way to go that is more than rounding.
    const isStill = of(first) === 0 || (isAtRest && change < 1e-3)
    const closed = isStill ? 1 : Math.max(0, 1 - of(second) / of(first))
    const ratio = change / closed
    if (ratio <= 1) return { change, closed, ratio }
    const alarm = `one update changes the hypergradient by ${described(change)}, and in a tick the levels below go ${described(closed)} of the way after it: lower this level's rate, or give those below more updates a turn`
    return { change, closed, ratio, alarm }
  })

/** How evenly weights are spread. */
export interface Spread {
  /** 1 / Σ wᵢ², from 1 to n. */
  readonly effective: number
  /** Entropy over log n, from 0 to 1. */
  readonly entropy: number
  readonly largest: number
}

/**
 * How evenly shares that sum to 1 are spread.
 *
 * ```ts
 * Diagnose.spread([0.5, 0.5, 0, 0]).effective // => 2
 * ```
 */
export const spread = (shares: ReadonlyArray<number>): Spread => ({
  effective: 1 / shares.reduce((sum, each) => sum + each * each, 0),
  entropy: -shares.reduce((sum, each) => sum + (each > 0 ? each * Math.log(each) : 0), 0) / Math.log(shares.length),
  largest: Math.max(...shares)
})

/** Everything that is looked at. */
export interface Diagnosis {
  readonly level: string
  readonly tables: ReadonlyArray<Table>
  readonly timeScale: TimeScale
  readonly spectra: ReadonlyArray<Spectrum>
}

/** The sentences that say what is wrong. */
export const alarms = ({ spectra, tables, timeScale }: Diagnosis): ReadonlyArray<string> =>
  alarmsOf([...tables, ...spectra, timeScale])

const alarmsOf = (looks: ReadonlyArray<{ readonly alarm?: string }>): ReadonlyArray<string> =>
  looks.flatMap(({ alarm }) => (alarm === undefined ? [] : [alarm]))

/** Where a run ended, for a probe to look at. */
export const atEnd = ({ gradient, vars }: Trajectory): Pick<Probe.Options, "vars" | "first"> => ({
  vars,
  first: gradient
})

/** The same of a run. */
export const trajectoryAlarms = ({ retrainGap, velocity }: Trajectory): ReadonlyArray<string> =>
  alarmsOf([velocity, retrainGap])

/**
 * Every table of a problem with implicit estimators, at the values that the levels below come to. Needs a compiled engine, as the reference
 * products are exact.
 */
export const diagnose = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  options: Probe.Options
): Effect.Effect<Diagnosis, E | Probe.ProbeError, Engine | Exclude<R, Scope.Scope>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const probe = yield* Probe.open(problem, options)
      const scale = yield* timeScale(probe, options.solveTicks)
      const tables = [
        yield* innerSweep(probe),
        yield* termsSweep(probe),
        yield* dampingSweep(probe),
        yield* radiusSweep(probe),
        yield* batchSweep(probe)
      ]
      return { level: probe.level, tables, timeScale: scale, spectra: yield* spectra(probe) }
    })
  )

const number = (value: number): string =>
  Math.abs(value) < 1e-3 && value !== 0
    ? value.toExponential(2)
    : Number.isFinite(value)
      ? value.toPrecision(4)
      : String(value)

/** A diagnosis for people. */
export const text = (found: Diagnosis): string => {
  const lines = [`hypergradient of '${found.level}'`]
  for (const { alarm, readings, reference, title } of found.tables) {
    const width = Math.max(...readings.map(({ name }) => name.length), title.length)
    lines.push(
      "",
      `${title.padEnd(width)}  ${["norm", "cosine", "apart"].map((each) => each.padStart(11)).join("")}  of ${reference}`
    )
    for (const { cosine, name, norm, relative } of readings) {
      lines.push(`${name.padEnd(width)}  ${[norm, cosine, relative].map((each) => number(each).padStart(11)).join("")}`)
    }
    if (alarm !== undefined) lines.push(`! ${alarm}`)
  }
  lines.push("")
  for (const { alarm, contraction, dominant, level, opposite } of found.spectra) {
    const left = contraction === undefined ? "" : `, its solver leaves ${number(contraction)} of an error`
    lines.push(`curvature of '${level}'  from ${number(opposite)} to ${number(dominant)}${left}`)
    if (alarm !== undefined) lines.push(`! ${alarm}`)
  }
  const { alarm, change, closed, ratio } = found.timeScale
  lines.push(
    "",
    `time scales  an update changes the hypergradient by ${number(change)}, a tick below closes ${number(closed)}: ratio ${number(ratio)}`
  )
  if (alarm !== undefined) lines.push(`! ${alarm}`)
  return lines.join("\n")
}

/** What a run shows, for people. */
export const trajectoryText = ({ retrainGap, ticks, velocity }: Trajectory): string => {
  const { error, online, retrained } = retrainGap
  return [
    `velocity over ${ticks} ticks  ${number(velocity.first)} an update at first, ${number(velocity.last)} at last, ${number(velocity.straight)} of the way straight`,
    ...(velocity.alarm === undefined ? [] : [`! ${velocity.alarm}`]),
    `retrain gap  a loss of ${number(online)} beside the level, ${number(retrained)} anew: ${number(retrained - online)} ± ${number(error)}`,
    ...(retrainGap.alarm === undefined ? [] : [`! ${retrainGap.alarm}`])
  ].join("\n")
}
