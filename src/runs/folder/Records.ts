import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { because, RunFileError } from "../../files/JsonFile.ts"
import * as RegularFile from "../../files/RegularFile.ts"
import type { RunFolder } from "./RunFolder.ts"

const { Int, Number, optionalKey, String, Struct } = Schema
const numbers = Schema.Array(Number)
/** `k` is the outer step, `w` the seconds since the attempt began, `tick` the level's own count. */
const where = { k: Int, level: String }

/** Opens an attempt: from its `from` on, what earlier attempts wrote no longer counts. */
export const Head = Struct({
  t: Schema.tag("head"),
  v: Schema.Literal(1),
  run: String,
  attempt: Int,
  from: Int,
  at: Schema.DateTimeUtc
})
/** One update of one level. `wait` is how much of `w` the attempt has spent waiting for data, in seconds. */
export const Step = Struct({
  t: Schema.tag("step"),
  ...where,
  w: Number,
  wait: optionalKey(Number),
  tick: Int,
  loss: Number,
  parts: optionalKey(Schema.Record(String, Number)),
  gnorm: optionalKey(Number),
  /** Where the tick was looked at: the learning rates by group (the empty name where there is one), norms of the change and of the
   * gradient as the optimizer takes it, where it clips or decays. */
  rates: optionalKey(Schema.Record(String, Number)),
  moved: optionalKey(Number),
  taken: optionalKey(Number),
  /** Of a level in float16: what its loss was multiplied by, and whether the update was skipped. */
  scale: optionalKey(Number),
  skipped: optionalKey(Schema.Boolean)
})
/** The tradeoff weights after a step. */
export const Lambda = Struct({
  t: Schema.tag("lambda"),
  ...where,
  w: Number,
  names: Schema.Array(String),
  beta: numbers,
  lambda: numbers,
  entropy: Number
})
/**
 * A hypergradient: its norm, each path's norm and cosine with the whole, and each linear solve. `share` is the part of the whole that
 * lies along it: shares and that of the direct part add up to one. A residual that was not measured is `null` and never left out, so
 * that it is seen to be missing; `ok` is absent where the solver does not say whether its solve is sound.
 */
export const Hyper = Struct({
  t: Schema.tag("hyper"),
  ...where,
  norm: Number,
  direct: Number,
  parts: Schema.Array(Struct({ via: Schema.Array(String), norm: Number, cos: Number, share: optionalKey(Number) })),
  solves: Schema.Array(
    Struct({
      level: String,
      solver: String,
      residual: Schema.NullOr(Number),
      /** The least curvature along the solve; not positive where it is singular or indefinite. */
      curvature: optionalKey(Number),
      ok: optionalKey(Schema.Boolean)
    })
  )
})
/**
 * What a level has cost since its last such record: `turns` turns of `evaluations` gradients each, as the plan counts them, and the
 * time of one, `null` before there is one to tell; `bytes` are those of the state that it carries. Of time alone, as `w` is, is
 * nothing here that two runs have in common.
 */
export const Cost = Struct({
  t: Schema.tag("cost"),
  ...where,
  w: Number,
  turns: Int,
  ms: Schema.NullOr(Number),
  evaluations: Number,
  bytes: Schema.NullOr(Number)
})
/** Memory of the process, in bytes: what it holds, the most that it held, what of it is JavaScript's; and arrays with the engine. */
export const Memory = Struct({
  t: Schema.tag("memory"),
  k: Int,
  w: Number,
  resident: Number,
  peak: Number,
  heap: Number,
  arrays: Int
})
/** Metrics on a split. There is no test split here: it is scored once, in `result.json`. */
export const Eval = Struct({
  t: Schema.tag("eval"),
  ...where,
  split: Schema.Literals(["train", "validation"]),
  n: Int,
  metrics: Schema.Record(String, Number)
})
/** A checkpoint was written, at this path inside the run folder. */
export const Ckpt = Struct({ t: Schema.tag("ckpt"), k: Int, path: String })
/** The attempt's end. An attempt that was killed has none; exit codes are in `status.json`. */
export const End = Struct({
  t: Schema.tag("end"),
  state: Schema.Literals(["done", "failed", "interrupted"])
})

/** Every record of `metrics-N.ndjson` (format 1). NaN and infinities are written as strings. */
export const Record = Schema.Union([Head, Step, Lambda, Hyper, Cost, Memory, Eval, Ckpt, End])
export type Record = typeof Record.Type
const Json = Schema.toCodecJson(Record)
const Line = Schema.fromJsonString(Json)
const encode = Schema.encodeEffect(Line)
const decode = Schema.decodeUnknownResult(Json)
const utf8 = new TextDecoder("utf-8", { fatal: true })
const known: ReadonlySet<unknown> = new Set(Record.members.map((member) => member.fields.t.schema.literal))

/** A record as `metrics-N.ndjson` has it, without the end of its line. */
export const line: (record: Record) => string = Schema.encodeSync(Line)

const fileOf = (folder: RunFolder, attempt: number) =>
  Effect.map(Path.Path, (path) => path.join(folder.path, `metrics-${attempt}.ndjson`))

/** Appends records; each call is one write of whole lines, so a killed process loses none that it had appended. */
export interface Writer {
  readonly append: (
    ...records: ReadonlyArray<Exclude<Record, { readonly t: "head" }>>
  ) => Effect.Effect<void, RunFileError>
}

/**
 * Opens the file of a new attempt and writes its head. Fails where the attempt already has a file: each has one writer.
 */
export const writer = Effect.fnUntraced(function* (
  folder: RunFolder,
  head: Pick<typeof Head.Type, "attempt" | "from" | "at">
) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fileOf(folder, head.attempt)
  const handle = yield* fs
    .open(file, { flag: "ax" })
    .pipe(
      Effect.mapError((error) =>
        error.reason._tag === "AlreadyExists"
          ? new RunFileError({ file, reason: "this attempt has already written: take the next number" })
          : because(file)(error)
      )
    )
  // Whether the last write may have left half a line, on which no record is to be continued.
  let torn = false
  const write = Effect.fnUntraced(function* (records: ReadonlyArray<Record>) {
    const lines = yield* Effect.mapError(
      Effect.forEach(records, (record) => encode(record)),
      because(file)
    )
    const text = `${torn ? "\n" : ""}${lines.map((line) => `${line}\n`).join("")}`
    torn = true
    yield* Effect.mapError(handle.writeAll(new TextEncoder().encode(text)), because(file))
    torn = false
  })
  yield* write([{ t: "head", v: 1, run: folder.id, ...head }])
  yield* Effect.addFinalizer(() => Effect.ignore(handle.sync))
  return { append: (...records) => write(records) } satisfies Writer as Writer
})

/** The numbers of the attempts that have written, in order. */
export const attempts = Effect.fnUntraced(function* (folder: RunFolder) {
  const fs = yield* FileSystem.FileSystem
  const names = yield* Effect.mapError(fs.readDirectory(folder.path), because(folder.path))
  return names
    .flatMap((name) => /^metrics-(\d+)\.ndjson$/.exec(name)?.[1] ?? [])
    .map(globalThis.Number)
    .sort((a, b) => a - b)
})

const maxLine = 1024 * 1024

/** A line of a file of records; undefined for half a line, and for a record of a later version. */
export const parse = (line: Uint8Array): Result.Result<Record | undefined, string> => {
  if (line.length > maxLine) return Result.fail(`a line of ${line.length} bytes, expected at most ${maxLine}`)
  let value: { readonly t?: unknown } | null
  try {
    value = JSON.parse(utf8.decode(line)) as typeof value
  } catch {
    // Half of a line, whose writer was killed or had no room.
    return Result.succeed(undefined)
  }
  // A later version may write records that this one has no use for.
  if (!known.has(value?.t)) return Result.succeed(undefined)
  return Result.mapError(decode(value), (error) => error.message)
}

const readAttempt = Effect.fnUntraced(function* (file: string) {
  const bytes = yield* RegularFile.read(file)
  const records: Array<Record> = []
  let start = 0
  // What follows the last line end was torn by a crash: it costs one record.
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
    const parsed = parse(bytes.subarray(start, end))
    if (Result.isFailure(parsed)) return yield* new RunFileError({ file, reason: `byte ${start}: ${parsed.failure}` })
    if (parsed.success !== undefined) records.push(parsed.success)
    start = end + 1
  }
  return records
})

/** What two records of one step may not have in common. */
const kindOf = (record: Exclude<Record, { readonly t: "head" | "ckpt" | "end" }>): string => {
  return `${record.t} ${"level" in record ? record.level : ""}${record.t === "eval" ? ` ${record.split} ${Object.keys(record.metrics).join()}` : ""}`
}

/** Where each record belongs: at its step, and what is of none, or of a checkpoint, after what it was written after. */
const placesOf = (records: ReadonlyArray<Record>): Float64Array => {
  const places = new Float64Array(records.length)
  let place = -Infinity
  for (const [i, record] of records.entries()) {
    if ("k" in record && record.t !== "ckpt") place = record.k
    if (record.t === "end") place = Infinity
    places[i] = record.t === "head" ? -Infinity : place
  }
  return places
}

/** The records of an attempt in the order of steps, each once, however its file came to hold them. */
const settled = (records: ReadonlyArray<Record>): ReadonlyArray<Record> => {
  const places = placesOf(records)
  const straight = places.every((place, i) => i === 0 || places[i - 1]! <= place)
  const order = straight ? undefined : [...places.keys()].sort((a, b) => Math.sign(places[a]! - places[b]!) || a - b)
  const ordered = order === undefined ? records : order.map((i) => records[i]!)
  let step = NaN
  const kinds = new Set<string>()
  return ordered.filter((record) => {
    if (!("k" in record) || record.t === "ckpt") return true
    if (record.k !== step) kinds.clear()
    step = record.k
    const kind = kindOf(record)
    return kinds.has(kind) ? false : (kinds.add(kind), true)
  })
}

/** All records of a run as its files hold them, an attempt each. */
const perAttempt = Effect.fnUntraced(function* (folder: RunFolder) {
  const all: Array<ReadonlyArray<Record>> = []
  for (const attempt of yield* attempts(folder)) all.push(yield* readAttempt(yield* fileOf(folder, attempt)))
  return all
})

/**
 * The records of a run that count, attempt after attempt, each once and in the order of steps. Those of an earlier attempt beyond
 * where a later one began were replaced by it; one whose head was torn began where its records do.
 */
export const history = Effect.fnUntraced(function* (folder: RunFolder) {
  const all = yield* perAttempt(folder)
  let until = Infinity
  for (let i = all.length - 1; i >= 0; i--) {
    const records = all[i]!
    const limit = until
    const headed = records.some(({ t }) => t === "head")
    for (const record of records) {
      if (record.t === "head") until = Math.min(until, record.from)
      else if (!headed && "k" in record) until = Math.min(until, record.k - 1)
    }
    all[i] = settled(records.filter((record) => !("k" in record) || record.k <= limit))
  }
  return { records: all.flat(), attempts: all.length }
})

/** The records of a run that count, as {@link history}, or, with `allAttempts`, all that its files hold, as they hold them. */
export const read = (folder: RunFolder, options: { readonly allAttempts?: boolean } = {}) =>
  options.allAttempts === true
    ? Effect.map(perAttempt(folder), (all) => all.flat())
    : Effect.map(history(folder), ({ records }) => records)

/**
 * The seconds that the ticks of these records took, and how many of them were spent waiting for data. Each attempt counts from
 * its own beginning; ticks that a later attempt did again count once where {@link read} left the earlier ones out.
 */
export const seconds = (records: ReadonlyArray<Record>): { readonly training: number; readonly waiting: number } => {
  let [training, waiting] = [0, 0]
  let before = { w: 0, wait: 0 }
  for (const record of records) {
    if (record.t === "head") before = { w: 0, wait: 0 }
    if (record.t !== "step") continue
    const { w, wait = 0 } = record
    training += w - before.w
    waiting += wait - before.wait
    before = { w, wait }
  }
  return { training, waiting }
}
