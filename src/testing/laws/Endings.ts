import * as tf from "@tensorflow/tfjs-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import fc from "fast-check"
import { DataError } from "../../dsl/Dataset.ts"
import type { Problem } from "../../dsl/Problem.ts"
import type { Var } from "../../dsl/Var.ts"
import { Engine } from "../../engines/Engine.ts"
import * as Run from "../../runtime/run/Run.ts"
import * as Property from "../Property.ts"
import * as Rewrite from "./Rewrite.ts"

/** The ways in which a run is made to end. */
export const endings = ["done", "stopped", "interrupted", "consumer failed", "objective threw", "data failed"] as const

interface Ending {
  readonly seed: number
  readonly kind: (typeof endings)[number]
  /** The tick, or the evaluation of the objective, or the batch, at which it ends. */
  readonly at: number
}

/** The problem whose top objective throws once it has been evaluated so often. */
const throwing = <V extends Var.Any, E, R>(problem: Problem<V, E, R>, at: number): Problem<V, E, R> => {
  let evaluations = 0
  return Rewrite.levels(problem, (level) =>
    level.name !== problem.top.name
      ? {}
      : {
          objective: (vars, batch) => {
            if (++evaluations > at) throw new Error("made to throw")
            return level.objective(vars, batch)
          }
        }
  )
}

/** The problem whose top dataset fails at a batch. */
const starving = <V extends Var.Any, E, R>(problem: Problem<V, E, R>, at: number): Problem<V, E, R> =>
  Rewrite.levels(problem, ({ data, name }) =>
    name !== problem.top.name
      ? {}
      : {
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
        }
  )

const ending = <V extends Var.Any, E, R>(problem: Problem<V, E, R>, { at, kind, seed }: Ending) => {
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
      return Stream.runDrain(ticks(throwing(problem, at)))
    case "data failed":
      return Stream.runDrain(ticks(starving(problem, at)))
  }
}

/**
 * However a run ends, no tensor of it stays alive: done, stopped, interrupted, failed by who watches it, by its data or by
 * an objective that throws. An objective that keeps a tensor (`tf.keep`, or one made outside of a step at every call)
 * breaks it.
 *
 * @example
 * yield* Law.nothingLeft(problem, { cases: 12 })
 */
export const nothingLeft: Property.Law = (problem, options = {}) =>
  Property.holds(
    "nothingLeft",
    fc.record({
      seed: Property.seeds,
      kind: fc.constantFrom(...endings),
      at: fc.integer({ min: 1, max: options.ticks ?? Property.defaults.ticks })
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
