import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ExitCode from "../dsl/errors/ExitCode.ts"
import * as Sentence from "../dsl/errors/Sentence.ts"
import { CompileError } from "../compiler/graph/CompileError.ts"
import type { Host, Tree } from "../dsl/values/Tree.ts"
import type { StepFailure } from "../runtime/step/Evaluation.ts"
import type { Step } from "../runtime/step/Step.ts"

export { CompileError }

/**
 * What a program computes went wrong: an objective, at its level; numbers that are no longer finite; or, with no level, a
 * function that a run was asked to evaluate.
 */
export class StepError extends Schema.TaggedError<StepError>()("StepError", {
  kind: Schema.Literals(["Objective", "NonFinite", "Unsolvable", "Evaluation"]),
  tick: Schema.Int,
  level: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.failed
  }
  override get message(): string {
    const where = this.level === "" ? "" : `, level '${this.level}'`
    return `tick ${this.tick}${where}: ${this.reason}`
  }
}

/**
 * What an engine did wrong, whatever it computes: it refused (it does not start, or has no kernel for a step), it threw, or
 * it died, and with it the numbers it held. `tick` is null outside of runs.
 */
export class EngineError extends Schema.TaggedError<EngineError>()("EngineError", {
  kind: Schema.Literals(["Refused", "Threw", "Died"]),
  engine: Schema.String,
  tick: Schema.NullOr(Schema.Int),
  reason: Schema.String
}) {
  // An engine that does not start was asked for where it is not to be had; one that failed has failed the run.
  override get [errorExitCode](): number {
    return this.kind === "Refused" ? ExitCode.usage : ExitCode.failed
  }
  override get message(): string {
    return `engine '${this.engine}'${this.tick === null ? "" : `, tick ${this.tick}`}: ${this.reason}`
  }
}

/** Numbers on a device, in the structure of `T`. They live until they are released or consumed by a step. */
export interface Device<out T extends Tree> {
  readonly "~device": () => T
}

/** How a compiled function fails: what it computes is wrong, or cannot be compiled, or the engine failed. */
export type Failure = StepFailure | CompileError | EngineError

/** The error of a run whose tick failed. */
export const failedAt =
  (tick: number) =>
  (failure: Failure): StepError | CompileError | EngineError => {
    switch (failure._tag) {
      case "StepFailure": {
        const { level, reason } = failure
        const error = new StepError({ kind: level === "" ? "Evaluation" : "Objective", tick, level, reason })
        return Sentence.causedBy(error, failure)
      }
      case "EngineError":
        return new EngineError({ ...failure, tick: failure.tick ?? tick })
      default:
        // An engine that compiles a step when it first runs it refuses it then.
        return failure
    }
  }

/** A step made fast. */
export interface Compiled<S extends Tree, B extends Tree, M extends Tree> {
  /** Takes `state` over: that is released whether the step succeeds or fails. */
  readonly run: (state: Device<S>, batch: Host<B>) => Effect.Effect<readonly [Device<S>, Host<M>], Failure>
}

/** A read-only function made fast: metrics of a state on some data, which leaves the state where it is. */
export type Observer<S extends Tree, B extends Tree, M extends Tree> = (
  state: Device<S>,
  batch: Host<B>
) => Effect.Effect<Host<M>, Failure>

/** A compiled step and the batch to run it on. */
export interface Call<S extends Tree, B extends Tree, M extends Tree> {
  readonly step: Compiled<S, B, M>
  readonly batch: Host<B>
}

/** What a sequence of steps gave. */
export interface Ran<S extends Tree, M extends Tree> {
  /** Of the steps before the one that failed, or of all. */
  readonly metrics: ReadonlyArray<Host<M>>
  /** The state after the last step; absent if one failed. */
  readonly state: Device<S> | undefined
  readonly failure: Failure | undefined
  /** Bytes that were copied to the device. */
  readonly bytes: number
}

/** Steps one after another in one request, each on the state that the one before leaves: the bits of single calls. */
export interface Sequences {
  /** Leaves `state` where it is, so that the sequence or a part of it can be run again. Steps are this engine's own. */
  readonly run: <S extends Tree, B extends Tree, M extends Tree>(
    state: Device<S>,
    calls: ReadonlyArray<Call<S, B, M>>
  ) => Effect.Effect<Ran<S, M>>
  /** Bytes that a device takes. */
  readonly bytes: <T extends Tree>(device: Device<T>) => number
}

/** Makes pure tensor functions fast and owns device memory. Everything compiled is freed with its scope. */
export class Engine extends Context.Service<
  Engine,
  {
    /** E.g. `eager/wasm`. */
    readonly name: string
    /** How many devices share the rows of a batch; 1 where absent. */
    readonly devices?: number
    /** What computes, by parts with a version each, where that does not come with the package: a run that resumes holds its own against it. */
    readonly runtime?: { readonly [part: string]: string }
    /** How many functions were made ready by now for each of the ways to run one; absent where there is one way. */
    readonly ways?: Effect.Effect<{ readonly [way: string]: number }>
    readonly compile: <S extends Tree, B extends Tree, M extends Tree>(
      step: Step<S, B, M>
    ) => Effect.Effect<Compiled<S, B, M>, CompileError, Scope.Scope>
    /** Absent where a sequence would gain nothing over single calls. */
    readonly sequences?: Sequences
    readonly observe: <S extends Tree, B extends Tree, M extends Tree>(
      f: (state: S, batch: B) => M
    ) => Effect.Effect<Observer<S, B, M>, CompileError, Scope.Scope>
    /** Runs a function of host values once and leaves the result on the device. */
    readonly start: <A extends Tree, S extends Tree>(
      f: (input: A) => S,
      input: Host<A>
    ) => Effect.Effect<Device<S>, Failure>
    readonly upload: <T extends Tree>(host: Host<T>) => Effect.Effect<Device<T>, EngineError>
    readonly download: <T extends Tree>(device: Device<T>) => Effect.Effect<Host<T>, EngineError>
    readonly release: <T extends Tree>(device: Device<T>) => Effect.Effect<void>
    /** Tensors alive on the device, batches aside. */
    readonly live: Effect.Effect<number>
  }
>()("tapweight/runtime/Engine") {}
