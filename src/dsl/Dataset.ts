import * as Effect from "effect/Effect"
import { type Pipeable, Prototype } from "effect/Pipeable"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as tf from "@tensorflow/tfjs-core"
import * as ExitCode from "./errors/ExitCode.ts"
import { whole } from "./errors/Numbers.ts"
import * as NdArray from "./values/NdArray.ts"
import * as Seed from "./values/Seed.ts"
import type { Host, Tree } from "./values/Tree.ts"

/** Data that cannot be read, or is not what its dataset declares. The message says what, where, and what to change. */
export class DataError extends Schema.TaggedError<DataError>()("DataError", {
  dataset: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `dataset '${this.dataset}': ${this.reason}`
  }
}

/** One field of a batch: element type and shape, the batch axis included. */
export interface Field<out T extends tf.Tensor = tf.Tensor> {
  readonly dtype: "float32" | "int32"
  readonly shape: ReadonlyArray<number>
  readonly "~tensor"?: T
}

const field =
  (dtype: "float32" | "int32") =>
  <const S extends ReadonlyArray<number>>(shape: S): Field<NdArray.TensorOf<S>> => ({ dtype, shape })

/** A float32 field of this shape. */
export const float32 = field("float32")
/** An int32 field of this shape: token ids, labels, noise keys. */
export const int32 = field("int32")

/** Declared fields by name. */
export type Fields = { readonly [name: string]: Field }
/** The batch that declared fields make. */
export type BatchOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

/** Draws batch `index`: a function of (seed, index) and nothing else, so that a run can be resumed at any tick. */
export type Sampler<B, E = never> = (seed: Seed.Seed, index: number) => Effect.Effect<Host<B>, E>

/** A batch as a dataset hands it over, before it is held against the declared fields. */
export type HostBatch = { readonly [name: string]: NdArray.NdArray }

/** Batches addressed by (seed, index). `open` acquires what drawing them needs, once per run, in the run's scope. */
export interface Dataset<out B extends Tree, out E = never, out R = never> extends Pipeable {
  readonly name: string
  readonly fields: Fields
  readonly open: Effect.Effect<(seed: Seed.Seed, index: number) => Effect.Effect<HostBatch, E>, E, R | Scope.Scope>
  /** What batches are drawn by in place of the level's name: levels that take datasets of one such name draw the same. */
  readonly draws?: string
  /** How many batches all its rows make, each row in one, where its first batches are these. */
  readonly epoch?: number
  /** How many different batches there are, where it is a finite sum of them; then a field `term` numbers them, unless there is one. */
  readonly terms?: number
  readonly "~B": () => B
  readonly "~E": () => E
  readonly "~R": () => R
}

export declare namespace Dataset {
  /** Any dataset. */
  export type Any = Dataset<Tree, unknown, unknown>
}

/**
 * A dataset from its declared fields and a way to open it.
 *
 * ```ts
 * const noise = Dataset.make("noise", {
 *   fields: { x: Dataset.float32([4]) },
 *   open: Effect.succeed((seed, index) =>
 *     Effect.succeed({ x: NdArray.float32([4], Seed.normal(Seed.fold(seed, index), 4)) })
 *   )
 * })
 * const level = Level.minimize(Var.make("w", Init.zeros([4])), {
 *   data: noise,
 *   optimizer: Optimizer.sgd(0.1),
 *   objective: ({ w }, { x }) => tf.sum(tf.squaredDifference(w, x))
 * })
 * level.data.fields["x"]?.shape // => [4]
 * ```
 */
export const make = <const F extends Fields, E = never, R = never>(
  name: string,
  spec: {
    readonly fields: F
    readonly open: Effect.Effect<Sampler<BatchOf<F>, E>, E, R>
    readonly epoch?: number
  }
): Dataset<BatchOf<F>, E, Exclude<R, Scope.Scope>> => Object.assign(Object.create(Prototype), { name, ...spec })

type Columns = { readonly [name: string]: NdArray.NdArray }
type ColumnBatch<C extends Columns> = { readonly [K in keyof C]: C[K] extends NdArray.NdArray<infer T> ? T : never }

const countRows = (name: string, columns: Columns): Effect.Effect<number, DataError> => {
  const lengths = Object.entries(columns).map(([key, column]) => [key, column.shape[0] ?? 0] as const)
  const first = lengths[0]
  if (first === undefined) return Effect.fail(new DataError({ dataset: name, reason: "it has no columns" }))
  const odd = lengths.find(([, length]) => length !== first[1])
  if (odd !== undefined) {
    const reason = `column '${first[0]}' has ${first[1]} rows and column '${odd[0]}' has ${odd[1]}: give them equal length`
    return Effect.fail(new DataError({ dataset: name, reason }))
  }
  return Effect.succeed(first[1])
}

const pick = <C extends Columns>(columns: C, indices: ArrayLike<number>): Host<ColumnBatch<C>> =>
  Object.fromEntries(Object.entries(columns).map(([key, column]) => [key, NdArray.rows(column, indices)])) as never

/** Row numbers of batch `index` when `rows` are visited in a fresh permutation each epoch, an incomplete last batch dropped. */
export const epochRows = (rows: number, batch: number): ((seed: Seed.Seed, index: number) => Int32Array) => {
  const perEpoch = Math.floor(rows / batch)
  let cached: { readonly key: string; readonly order: Int32Array } | undefined
  return (seed, index) => {
    const epoch = Math.floor(index / perEpoch)
    const key = `${seed.key.join()}:${epoch}`
    if (cached?.key !== key) cached = { key, order: Seed.permutation(Seed.fold(seed, epoch), rows) }
    const start = (index % perEpoch) * batch
    return cached.order.slice(start, start + batch)
  }
}

/** {@link epochRows}, or a `DataError` where there are fewer rows than one batch. */
export const epochs = (
  name: string,
  rows: number,
  batch: number
): Effect.Effect<ReturnType<typeof epochRows>, DataError> => {
  if (!Number.isInteger(batch) || batch < 1) {
    return Effect.fail(new DataError({ dataset: name, reason: `batch is ${batch}: give a whole number of at least 1` }))
  }
  if (rows >= batch) return Effect.succeed(epochRows(rows, batch))
  const reason = `it has ${rows} rows, fewer than one batch of ${batch}: add rows or make the batch smaller`
  return Effect.fail(new DataError({ dataset: name, reason }))
}

/**
 * Mini-batches of rows held in memory, visited in a fresh permutation each epoch (an incomplete last batch is dropped).
 * Fails with a `DataError` when opened if columns differ in length or hold fewer rows than one batch.
 *
 * ```ts
 * const rows = Dataset.fromRows("rows", { x: NdArray.float32([3, 2], [1, 2, 3, 4, 5, 6]) }, { batch: 2 })
 * rows.fields.x?.shape // => [2, 2]
 * const draw = await Effect.runPromise(Effect.scoped(rows.open))
 * const batch = await Effect.runPromise(draw(Seed.make(1), 0))
 * batch["x"]?.data.length // => 4
 * ```
 */
export const fromRows = <const C extends Columns>(
  name: string,
  columns: C,
  options: { readonly batch: number }
): Dataset<ColumnBatch<C>, DataError> => {
  const { batch } = options
  const fields = Object.fromEntries(
    Object.entries(columns).map(([key, c]) => [key, { dtype: c.dtype, shape: [batch, ...c.shape.slice(1)] }])
  )
  const open = countRows(name, columns).pipe(
    Effect.flatMap((rows) => epochs(name, rows, batch)),
    Effect.map((order) => (seed: Seed.Seed, index: number) => Effect.sync(() => pick(columns, order(seed, index))))
  )
  const rows = Object.values(columns)[0]?.shape[0] ?? 0
  const epoch = batch >= 1 && rows >= batch ? { epoch: Math.floor(rows / batch) } : {}
  return make(name, { fields, open, ...epoch } as never) as never
}

/** The field that numbers the batches of a {@link finite} sum. */
export const term = "term"

/**
 * The first `batches` batches of a dataset over and over, each epoch in a fresh order: the finite sum that `Variance.saga` keeps a table
 * of and `Variance.sarah` goes through as a whole. Of {@link fromRows} all batches of an epoch where `batches` is absent, so that each batch
 * has the same rows, and the same noise, each time. A field `term` says which batch it is, an int32 number from 0.
 *
 * Throws a `RangeError` where `batches` is no whole number of at least 1, is more than the dataset has, or is absent and not known; and
 * where there is a field `term`.
 *
 * ```ts
 * const rows = Dataset.fromRows("rows", { x: NdArray.float32([6], [1, 2, 3, 4, 5, 6]) }, { batch: 2 })
 * Dataset.finite(rows).terms // => 3
 * Dataset.finite(rows, { batches: 4 }) // => throws "has 3"
 * ```
 */
export const finite = <B extends Tree, E, R>(
  self: Dataset<B, E, R>,
  options: { readonly batches?: number } = {}
): Dataset<B, E, R> => {
  const terms = options.batches ?? self.epoch
  if (terms === undefined) {
    throw new RangeError(`Dataset.finite: '${self.name}' does not say how many batches it has; give batches`)
  }
  whole("Dataset.finite: batches", terms, 1)
  if (self.epoch !== undefined && terms > self.epoch) {
    throw new RangeError(`Dataset.finite: batches is ${terms}, but '${self.name}' has ${self.epoch}`)
  }
  if (term in self.fields) throw new RangeError(`Dataset.finite: '${self.name}' has a field '${term}'; rename it`)
  const open = Effect.map(self.open, (draw) => {
    let cached: { readonly key: string; readonly order: Int32Array } | undefined
    return (seed: Seed.Seed, index: number) => {
      const epoch = Math.floor(index / terms)
      const key = `${seed.key.join()}:${epoch}`
      if (cached?.key !== key)
        cached = { key, order: Seed.permutation(Seed.fold(Seed.fold(seed, "terms"), epoch), terms) }
      const chosen = cached.order[index % terms]!
      return Effect.map(draw(seed, chosen), (batch) => ({ ...batch, [term]: NdArray.int32([], [chosen]) }))
    }
  })
  return Object.assign(Object.create(Prototype), self, { fields: { ...self.fields, [term]: int32([]) }, open, terms })
}

/**
 * Both batches at once, for an objective that reads two kinds of data: the fields of `first` and of `second`. Throws a
 * `RangeError` where they share a field.
 *
 * ```ts
 * const support = Dataset.constant("support", { a: NdArray.float32([1], [1]) })
 * const query = Dataset.constant("query", { b: NdArray.float32([1], [2]) })
 * Object.keys(Dataset.join("both", support, query).fields) // => ["a", "b"]
 * ```
 */
export const join = <B1 extends Tree, E1, R1, B2 extends Tree, E2, R2>(
  name: string,
  first: Dataset<B1, E1, R1>,
  second: Dataset<B2, E2, R2>
): Dataset<B1 & B2, E1 | E2, R1 | R2> => {
  const shared = Object.keys(first.fields).find((field) => field in second.fields)
  if (shared !== undefined) {
    throw new RangeError(`Dataset.join '${name}': both '${first.name}' and '${second.name}' have a field '${shared}'`)
  }
  const open = Effect.map(
    Effect.all([first.open, second.open]),
    ([one, other]) =>
      (seed: Seed.Seed, index: number) =>
        Effect.map(
          Effect.all([one(Seed.fold(seed, first.name), index), other(Seed.fold(seed, second.name), index)]),
          ([a, b]) => ({ ...a, ...b })
        )
  )
  return make(name, { fields: { ...first.fields, ...second.fields }, open } as never) as never
}

/** The same batch every time: full-batch training, evaluation, closed-form checks. */
export const constant = <const C extends Columns>(name: string, columns: C): Dataset<ColumnBatch<C>> => {
  const fields = Object.fromEntries(
    Object.entries(columns).map(([key, c]) => [key, { dtype: c.dtype, shape: c.shape }])
  )
  return make(name, { fields, open: Effect.succeed(() => Effect.succeed(columns)), terms: 1 } as never) as never
}

/**
 * The same batch, at the same index, for every level that takes it: the support and the query of one task, each level
 * reading its own fields. Without it each level draws for itself. A level's index counts its own updates: where levels
 * differ in these, see {@link reindexed}.
 */
export const shared = <B extends Tree, E, R>(self: Dataset<B, E, R>): Dataset<B, E, R> =>
  Object.assign(Object.create(Prototype), self, { draws: self.name })

/**
 * The batch at `of(index)` in place of the one at `index`, which counts a level's own updates from 0: `(i) => Math.floor(i / 5)`
 * stays with a batch for five updates, `(i) => i % 3` goes round among three. A `DataError` says where `of` gives
 * something else than a whole number of at least 0.
 *
 * ```ts
 * const rows = Dataset.fromRows("rows", { x: NdArray.float32([4], [1, 2, 3, 4]) }, { batch: 1 })
 * Dataset.reindexed(rows, (index) => Math.floor(index / 5)).fields // => { x: { dtype: "float32", shape: [1] } }
 * ```
 */
export const reindexed = <B extends Tree, E, R>(
  self: Dataset<B, E, R>,
  of: (index: number) => number
): Dataset<B, E | DataError, R> => {
  const open = Effect.map(self.open, (sample) => (seed: Seed.Seed, index: number) => {
    const other = of(index)
    if (Number.isSafeInteger(other) && other >= 0) return sample(seed, other)
    const reason = `reindexed gives ${other} for index ${index}: give a whole number of at least 0`
    return Effect.fail(new DataError({ dataset: self.name, reason }))
  })
  const { epoch: _, terms: __, ...rest } = self
  return Object.assign(Object.create(Prototype), rest, { open })
}

/** A dataset for objectives that read no data. */
export const none: Dataset<{}> = constant("none", {})
