import * as tf from "@tensorflow/tfjs-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import fc from "fast-check"
import { DataError } from "../../dsl/Dataset.ts"
import type { Definition } from "../../dsl/Level.ts"
import type { Problem } from "../../dsl/Problem.ts"
import type { Var } from "../../dsl/Var.ts"
import { Engine } from "../../engines/Engine.ts"
import * as Wiring from "../../runtime/plan/Wiring.ts"
import * as Run from "../../runtime/run/Run.ts"
import * as Property from "../Property.ts"
import * as Rewrite from "./Rewrite.ts"

/** The ways in which a run is made to end. */
export const endings = [
  "done",
  "stopped",
  "interrupted",
  "consumer failed",
  "objective threw",
  "not finite",
  "no loss",
  "data failed"
] as const

/** How a run is made to end. */
export interface Ending {
  readonly seed: number
  readonly kind: (typeof endings)[number]
  /** The tick, or the evaluation of the objective, or the batch, at which it ends. */
  readonly at: number
  /** Which level's objective or data fail, counted from below and round again. */
  readonly level: number
}

/** The problem with one level changed, counted from below and round again. */
const spoiled = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  { level }: Ending,
  change: (level: Definition) => Partial<Definition>
): Problem<V, E, R> => {
  const names = Wiring.definitions(problem).map(({ name }) => name)
  const name = names[level % names.length]
  return Rewrite.levels(problem, (each) => (each.name === name ? change(each) : {}))
}

/** Changes what an objective gives once it has been evaluated so often. */
const later =
  (at: number, spoil: (given: ReturnType<Definition["objective"]>) => unknown) =>
  ({ objective }: Definition): Partial<Definition> => {
    let evaluations = 0
    return {
      objective: ((vars, batch) => {
        const given = objective(vars, batch)
        return ++evaluations > at ? spoil(given) : given
      }) as Definition["objective"]
    }
  }

const throwing = (): never => {
  throw new Error("made to throw")
}

const infinite = (given: ReturnType<Definition["objective"]>): unknown =>
  given instanceof tf.Tensor ? tf.mul(given, Number.NaN) : { ...given, loss: tf.mul(given.loss, Number.NaN) }

/** Data that fail at a batch. */
const starving =
  (at: number) =>
  ({ data }: Definition): Partial<Definition> => ({
    data: {
      ...data,
      open: Effect.map(
        data.open,
        (draw) => (seed, index) =>
          index < at - 1
            ? draw(seed, index)
            : Effect.fail(new DataError({ dataset: data.name, reason: "made to fail" }))
      )
    }
  })

/** A run that ends so, unless something else ends it before. */
export const ending = <V extends Var.Any, E, R>(problem: Problem<V, E, R>, how: Ending) => {
  const { at, kind, seed } = how
  const ticks = <V extends Var.Any, E, R>(of: Problem<V, E, R>, count = at + 8) =>
    Run.ticks(of, { ticks: count, seed, diagnosticsEvery: 2 })
  switch (kind) {
    case "done":
      return Stream.runDrain(ticks(problem, at))
    case "stopped":
      return Stream.runDrain(Stream.take(ticks(problem), at))
    case "consumer failed":
      return Stream.runForEach(ticks(problem), (tick) =>
        tick.index === at ? Effect.fail("made to fail") : Effect.void
      )
    case "interrupted":
      return Effect.gen(function* () {
        const reached = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(ticks(problem), (tick) =>
            tick.index === at ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
          )
        )
        // A run that fails by itself does not reach it.
        yield* Effect.raceFirst(Deferred.await(reached), Effect.exit(Fiber.join(fiber)))
        yield* Fiber.interrupt(fiber)
      })
    case "objective threw":
      return Stream.runDrain(ticks(spoiled(problem, how, later(at, throwing))))
    case "not finite":
      return Stream.runDrain(ticks(spoiled(problem, how, later(at, infinite))))
    case "no loss":
      return Stream.runDrain(
        ticks(
          spoiled(
            problem,
            how,
            later(at, () => ({}))
          )
        )
      )
    case "data failed":
      return Stream.runDrain(ticks(spoiled(problem, how, starving(at))))
  }
}

/**
 * However a run ends, no tensor of it stays alive: done, stopped, interrupted, failed by who watches it, by its data or by
 * an objective that throws, returns NaN or no loss. An objective that keeps a tensor (`tf.keep`, or one made outside of a step at every call)
 * breaks it.
 *
 * ```ts
 * yield* Law.nothingLeft(problem, { cases: 12 })
 * ```
 */
export const nothingLeft: Property.Law = (problem, options = {}) =>
  Property.holds(
    "nothingLeft",
    fc.record({
      seed: Property.seeds,
      kind: fc.constantFrom(...endings),
      at: fc.integer({ min: 1, max: options.ticks ?? Property.defaults.ticks }),
      level: fc.nat({ max: 7 })
    }),
    { cases: 2 * endings.length, ...options },
    (drawn) =>
      Effect.gen(function* () {
        const { live } = yield* Engine
        const before = [yield* live, tf.memory().numTensors] as const
        const exit = yield* Effect.exit(ending(problem, drawn))
        const after = [yield* live, tf.memory().numTensors] as const
        const left = Math.max(after[0] - before[0], after[1] - before[1])
        if (left !== 0) return `${left} tensors are left of a run that ended so: ${drawn.kind}, at ${drawn.at}`
        // A run that cannot be done is no case of this law.
        if (Exit.isFailure(exit) && drawn.kind === "done") return yield* Effect.failCause(exit.cause)
        return undefined
      })
  )
