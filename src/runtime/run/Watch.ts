import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { whole } from "../../dsl/errors/Numbers.ts"
import type { Tick } from "./Run.ts"

/** Scores by name, e.g. `{ accuracy: 0.81 }`. */
export type Scores = { readonly [name: string]: number }

/** A tick, with the scores taken at it if it was one to score. */
export type Scored<T extends Tick.Any = Tick.Any> = T & { readonly scores: Scores | undefined }

/** The best score so far, and how many scores have come since without a better one. Resumed with the run. */
export const Selection = Schema.Struct({
  best: Schema.NullOr(Schema.Struct({ tick: Schema.Int, score: Schema.Finite })),
  since: Schema.Int
})
export type Selection = typeof Selection.Type

/** Nothing selected yet. */
export const nothing: Selection = { best: null, since: 0 }

/** A scored tick with the selection after it. */
export type Selected<T extends Tick.Any = Tick.Any> = Scored<T> & {
  readonly selection: Selection
  /** Whether this tick is the new best. */
  readonly improved: boolean
}

/**
 * Scores every `every`-th tick and tick `last`, on whatever `score` measures: validation data, never the test split.
 *
 * ```ts
 * const lambda = Var.make("lambda", Init.zeros([]))
 * const fit = Level.minimize(Var.make("w", Init.zeros([])), {
 *   given: [lambda],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ lambda, w }) => tf.square(tf.sub(w, lambda))
 * }).pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.exact })))
 * const tune = Level.minimize(lambda, {
 *   upstream: [fit],
 *   data: Dataset.none,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }) => tf.square(tf.sub(w, 3))
 * })
 * const scores = await Run.ticks(Problem.close(tune), { ticks: 20, seed: 0 }).pipe(
 *   Watch.scoring({ every: 10, last: 20, score: (tick) => Effect.succeed({ tick: tick.index }) }),
 *   Stream.filter((tick) => tick.scores !== undefined),
 *   Stream.map((tick) => tick.scores),
 *   Stream.runCollect,
 *   Effect.provide(CompiledEngine.layer()),
 *   Effect.runPromise
 * )
 * scores // => [{ tick: 10 }, { tick: 20 }]
 * ```
 */
export const scoring =
  <T extends Tick.Any, E, R>(options: {
    readonly every: number
    readonly last: number
    readonly score: (tick: T) => Effect.Effect<Scores, E, R>
  }) =>
  <E1, R1>(ticks: Stream.Stream<T, E1, R1>): Stream.Stream<Scored<T>, E | E1, R | R1> => {
    whole("Watch.scoring: every", options.every, 1)
    whole("Watch.scoring: last", options.last, 0)
    return Stream.mapEffect(ticks, (tick) =>
      tick.index % options.every === 0 || tick.index === options.last
        ? Effect.map(options.score(tick), (scores): Scored<T> => ({ ...tick, scores }))
        : Effect.succeed<Scored<T>>({ ...tick, scores: undefined })
    )
  }

/**
 * The selection after one more score; ties keep the earlier tick.
 *
 * ```ts
 * const first = Watch.select(Watch.nothing, 10, 0.7, "max")
 * Watch.select(first, 20, 0.6, "max") // => { best: { tick: 10, score: 0.7 }, since: 1 }
 * ```
 */
export const select = (before: Selection, tick: number, score: number, mode: "max" | "min"): Selection => {
  const better = before.best === null || (mode === "max" ? score > before.best.score : score < before.best.score)
  // A score that is not a number is never the best: an empty selection stays empty.
  return better && Number.isFinite(score) ? { best: { tick, score }, since: 0 } : { ...before, since: before.since + 1 }
}

/** Follows the best score so far by one of the scores. */
export const selecting =
  (options: { readonly metric: string; readonly mode: "max" | "min"; readonly from?: Selection }) =>
  <T extends Scored, E, R>(ticks: Stream.Stream<T, E, R>): Stream.Stream<Selected<T>, E, R> =>
    Stream.mapAccum(
      ticks,
      () => options.from ?? nothing,
      (before: Selection, tick: T) => {
        const score = tick.scores?.[options.metric]
        const selection = score === undefined ? before : select(before, tick.index, score, options.mode)
        return [selection, [{ ...tick, selection, improved: selection.best?.tick === tick.index }]] as const
      }
    )

/** Hands every tick to a sink, uninterruptibly: what a sink writes of a tick is there whole or not at all. */
export const into =
  <T extends Tick.Any, E2, R2>(sink: (tick: T) => Effect.Effect<void, E2, R2>) =>
  <E, R>(ticks: Stream.Stream<T, E, R>): Stream.Stream<T, E | E2, R | R2> =>
    Stream.tap(ticks, (tick) => Effect.uninterruptible(sink(tick)))

/** Early stopping: ends the stream after the score that is the `patience`-th in a row without a better one. */
export const stoppingAfter =
  (patience: number) =>
  <T extends Selected, E, R>(ticks: Stream.Stream<T, E, R>): Stream.Stream<T, E, R> => {
    whole("Watch.stoppingAfter: patience", patience, 1)
    return Stream.takeUntil(ticks, (tick) => tick.scores !== undefined && tick.selection.since >= patience)
  }
