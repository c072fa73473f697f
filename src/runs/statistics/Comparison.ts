/** Methods compared over tasks and seeds: a value that says what is trained, and the training of it all, cell by cell. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Var } from "../../dsl/Var.ts"
import { CompileError, EngineError, StepError } from "../../engines/Engine.ts"
import * as Records from "../folder/Records.ts"
import { type Session, trialFolder } from "../trial/Session.ts"
import * as Statistics from "./Statistics.ts"
import type * as Trial from "../trial/Trial.ts"

/** What fails one trial and says nothing of the others. An engine that died computes none of them. */
type Own = StepError | CompileError | EngineError
const isOwn = (error: unknown): error is Own =>
  error instanceof StepError || error instanceof CompileError || (error instanceof EngineError && error.kind !== "Died")

/** One method on one task with one seed. */
export interface Cell<out M extends string = string> {
  readonly method: M
  readonly task: string
  readonly seed: number
}

/** What a cell gave. */
export type Row<M extends string, A> = Cell<M> & A

/** A cell that gave nothing, and why. */
export interface Failure<out M extends string = string> extends Cell<M> {
  readonly reason: string
}

/** A comparison: every method on every task with every seed. */
export interface Comparison<M extends string, T extends { readonly name: string }, A, E, R> {
  readonly methods: ReadonlyArray<M>
  readonly tasks: ReadonlyArray<T>
  readonly seeds: ReadonlyArray<number>
  /** Trains one cell. A trial that several cells start from is `shared`: run by the first, and read by the others. */
  readonly train: (
    cell: { readonly method: M; readonly task: T; readonly seed: number },
    trials: Trials
  ) => Effect.Effect<A, E, R>
}

/** What a comparison came to: a row for each cell that succeeded, in the order of training, and the others. */
export interface Compared<out M extends string, out A> {
  readonly rows: ReadonlyArray<Row<M, A>>
  readonly failures: ReadonlyArray<Failure<M>>
}

/** Trials as a session runs them, each with the seconds that its ticks took and those of them spent waiting for data. */
const trialsOf = (session: Session, finished: (name: string, seconds: number) => void) => {
  const measured =
    (run: Session["trial"]) =>
    <V extends Var.Any, E, R, E2 = never, R2 = never>(
      name: string,
      options: Omit<Trial.Options<V, E, R, E2, R2>, "onTick">
    ) =>
      Effect.gen(function* () {
        const outcome = yield* run(name, options)
        const seconds = Records.seconds(yield* Records.read(trialFolder(session.folder, name)))
        finished(name, seconds.training)
        return { ...outcome, seconds }
      })
  return { trial: measured(session.trial), shared: measured(session.shared) }
}

/** The trials of a cell: `trial` is the cell's own, `shared` one that other cells read as well. */
export type Trials = ReturnType<typeof trialsOf>

/** A cell that is done, and the seconds that its own trials took; null where it failed. */
export interface Done extends Cell {
  readonly seconds: number | null
}

/**
 * How far a comparison is, after its last cell: every method in `methods` is to be trained `each` times. Time left goes by
 * the mean of a method's own cells, and of all where it has none yet.
 */
export const progress = (done: ReadonlyArray<Done>, methods: ReadonlyArray<string>, each: number): string => {
  const last = done.at(-1)!
  const took = (cells: ReadonlyArray<Done>) => cells.flatMap(({ seconds }) => seconds ?? [])
  const left = methods.reduce((sum, method) => {
    const own = done.filter((cell) => cell.method === method)
    const known = took(own).length > 0 ? took(own) : took(done)
    return sum + (each - own.length) * (known.length > 0 ? Statistics.mean(known) : 0)
  }, 0)
  const text = `${done.length} of ${methods.length * each} trainings done`
  return `${last.task}, seed ${last.seed}, ${last.method}: ${text}, about ${Math.ceil(left / 60)} minutes left`
}

/**
 * Trains every cell, seed by seed, and logs how far it is. A cell whose training breaks (numbers that are no longer
 * finite, say) is a failure beside the rows, and the others go on; where every cell breaks the first error is the
 * comparison's. Run again in the same folder it gives what an undisturbed run gives: trials that have ended are read, the
 * others go on, and what broke breaks again.
 */
export const run = Effect.fnUntraced(function* <M extends string, T extends { readonly name: string }, A, E, R>(
  session: Session,
  { methods, seeds, tasks, train }: Comparison<M, T, A, E, R>
) {
  const rows: Array<Row<M, A>> = []
  const failures: Array<Failure<M>> = []
  const done: Array<Done> = []
  const known = new Set<string>()
  let broken: Own | undefined
  for (const seed of seeds) {
    for (const task of tasks) {
      for (const method of methods) {
        const cell = { method, task: task.name, seed }
        let seconds = 0
        const trials = trialsOf(session, (name, took) => {
          // A trial that several cells share is counted with the first.
          if (!known.has(name)) seconds += took
          known.add(name)
        })
        const gave = yield* Effect.result(train({ method, task, seed }, trials))
        if (Result.isFailure(gave)) {
          const error = gave.failure
          if (!isOwn(error)) return yield* Effect.fail(error)
          yield* Effect.logWarning(`${task.name}, seed ${seed}, ${method} failed: ${error.message}`)
          broken ??= error
          failures.push({ ...cell, reason: error.message })
          done.push({ ...cell, seconds: null })
          continue
        }
        rows.push({ ...cell, ...gave.success })
        done.push({ ...cell, seconds })
        yield* Effect.logInfo(progress(done, methods, seeds.length * tasks.length))
      }
    }
  }
  if (rows.length === 0 && broken !== undefined) return yield* broken
  return { rows, failures } satisfies Compared<M, A> as Compared<M, A>
})
