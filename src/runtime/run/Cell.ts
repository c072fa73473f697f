import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Host } from "../../dsl/values/Tree.ts"
import { type Call, type Compiled, type Device, type Engine, EngineError } from "../../engines/Engine.ts"
import type { Failure, Sequences } from "../../engines/Engine.ts"
import { PastTickError } from "./PastTick.ts"
import type { State } from "../step/State.ts"
import type * as Step from "../step/Step.ts"
import type * as Sweep from "../step/Direction.ts"

type RunStep = Compiled<State, Sweep.Batches, Step.Metrics>
type RunCall = Call<State, Sweep.Batches, Step.Metrics>

/** A state, and the tick after which it is one. */
interface At {
  readonly tick: number
  readonly state: Device<State>
}

/** The last sequence that was run: from where, and what leads to each of its ticks again. */
interface Sequence {
  readonly from: At
  readonly calls: ReadonlyArray<RunCall>
  /** A state inside of it that was looked at. */
  between: At | undefined
}

/**
 * The one owner of a run's states. After a sequence of ticks it still holds the state that the sequence began with, and
 * comes to the state after any of these ticks by running the first of them again, to the same bits.
 */
export interface Cell {
  /** Runs one tick, which takes the state over. */
  readonly step: (step: RunStep, batch: Host<Sweep.Batches>) => Effect.Effect<Host<Step.Metrics>, Failure>
  /** Runs a sequence of ticks. */
  readonly sequence: (
    sequences: Sequences,
    calls: ReadonlyArray<RunCall>
  ) => Effect.Effect<{
    readonly metrics: ReadonlyArray<Host<Step.Metrics>>
    readonly failure: Failure | undefined
    readonly bytes: number
  }>
  /** Uses the state as it was after `tick`. Fails with a `PastTickError` where it is no longer to be had. */
  readonly look: <A, E>(
    tick: number,
    use: (state: Device<State>) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | EngineError | PastTickError>
  /** Whether the state after `tick` is at hand without running anything again. */
  readonly holds: (tick: number) => boolean
  /** Bytes of a state. */
  readonly bytes: (sequences: Sequences) => number
  readonly release: Effect.Effect<void>
}

/** Ticks that were run before and fail when they are run again: whatever they say, the engine failed. */
const unrepeated = (failure: Failure, engine: Engine["Service"]): EngineError =>
  failure._tag === "EngineError"
    ? failure
    : new EngineError({ kind: "Threw", engine: engine.name, tick: null, reason: failure.message })

/** A cell that owns `state`, the one after `tick`. */
export const make = (engine: Engine["Service"], tick: number, state: Device<State>): Cell => {
  let present: At = { tick, state }
  let sequence: Sequence | undefined
  const one = Semaphore.makeUnsafe(1)
  const exclusively = <A, E>(effect: Effect.Effect<A, E>) => one.withPermit(Effect.uninterruptible(effect))

  const others = (): ReadonlyArray<Device<State>> => {
    if (sequence === undefined) return []
    const { between, from } = sequence
    return (between === undefined ? [from] : [from, between]).flatMap((at) => (at === present ? [] : [at.state]))
  }
  /** Lets go of what only looks back need. */
  const forget = Effect.suspend(() => {
    const states = others()
    sequence = undefined
    return Effect.forEach(states, engine.release, { discard: true })
  })

  let over = false
  const stateAt = (wanted: number): Effect.Effect<Device<State>, EngineError | PastTickError> => {
    if (over) return Effect.fail(new PastTickError({ tick: wanted, present: null }))
    if (wanted === present.tick) return Effect.succeed(present.state)
    if (sequence === undefined || wanted < sequence.from.tick) {
      return Effect.fail(new PastTickError({ tick: wanted, present: present.tick }))
    }
    const { between, calls, from } = sequence
    if (wanted === from.tick) return Effect.succeed(from.state)
    const nearest = between !== undefined && between.tick <= wanted ? between : from
    if (nearest.tick === wanted) return Effect.succeed(nearest.state)
    const again = calls.slice(nearest.tick - from.tick, wanted - from.tick)
    const known = sequence
    return Effect.flatMap(engine.sequences!.run(nearest.state, again), ({ failure, state: found }) => {
      if (found === undefined) return Effect.fail(unrepeated(failure!, engine))
      known.between = { tick: wanted, state: found }
      return Effect.as(between === undefined ? Effect.void : engine.release(between.state), found)
    })
  }

  return {
    step: (step, batch) =>
      exclusively(
        Effect.andThen(
          forget,
          Effect.suspend(() =>
            Effect.map(step.run(present.state, batch), ([after, metrics]) => {
              present = { tick: present.tick + 1, state: after }
              return metrics
            })
          )
        )
      ),
    sequence: (sequences, calls) =>
      exclusively(
        Effect.andThen(
          forget,
          Effect.suspend(() =>
            Effect.map(sequences.run(present.state, calls), ({ bytes, failure, metrics, state: after }) => {
              sequence = { from: present, calls, between: undefined }
              if (after !== undefined) present = { tick: present.tick + calls.length, state: after }
              return { metrics, failure, bytes }
            })
          )
        )
      ),
    look: (wanted, use) =>
      one.withPermit(Effect.flatMap(Effect.uninterruptible(Effect.suspend(() => stateAt(wanted))), use)),
    holds: (wanted) =>
      sequence === undefined || wanted <= sequence.from.tick || (wanted >= present.tick && sequence.from !== present),
    bytes: (sequences) => sequences.bytes(present.state),
    release: Effect.suspend(() => {
      over = true
      return Effect.andThen(forget, engine.release(present.state))
    })
  }
}
