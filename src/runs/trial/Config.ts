import * as Effect from "effect/Effect"
import { hasProperty, isObject } from "effect/Predicate"
import * as Result from "effect/Result"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as JsonFile from "../../files/JsonFile.ts"

/** A setting that is unknown or has the wrong type. The message says which, where it came from and what was expected. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  key: Schema.String,
  origin: Schema.String,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return `config '${this.key}' (${this.origin}): ${this.reason}`
  }
}

type DeepPartial<T> =
  T extends ReadonlyArray<unknown> ? T : T extends object ? { readonly [K in keyof T]?: DeepPartial<T[K]> } : T
type Settings = Schema.Struct<{ readonly [key: string]: Schema.ConstraintCodec<unknown, unknown> }>

/** Settings of an experiment: their schema, a value for each, and named sets of other values. */
export interface Config<S extends Settings> {
  readonly schema: S
  readonly defaults: S["Type"]
  readonly presets: { readonly [name: string]: DeepPartial<S["Type"]> }
}

/** Where a value came from: `default`, `preset NAME`, `file PATH` or `-s`. */
export type Origins = { readonly [path: string]: string }

/** Settings with the origin of each. */
export interface Resolved<T> {
  readonly value: T
  readonly origins: Origins
}

/** What `config.json` holds: each setting by its dotted path. */
export const Entries = Schema.Record(Schema.String, Schema.Struct({ value: Schema.Json, origin: Schema.String }))
export type Entries = typeof Entries.Type

/**
 * A configuration. Nested structs are addressed by dotted paths; every other schema is one setting.
 *
 * ```ts
 * const config = Config.make({
 *   schema: Schema.Struct({ ...Program.common, rate: Schema.Finite }),
 *   defaults: { seed: 0, ticks: 100, rate: 0.1 }
 * })
 * const { value } = await Effect.runPromise(
 *   Effect.provide(Config.resolve(config, { overrides: ["rate=0.5"] }), NodeServices.layer)
 * )
 * value // => { seed: 0, ticks: 100, rate: 0.5 }
 * ```
 */
export const make = <S extends Settings>(spec: {
  readonly schema: S
  readonly defaults: S["Type"]
  readonly presets?: { readonly [name: string]: DeepPartial<S["Type"]> }
}): Config<S> => ({ presets: {}, ...spec })

type Leaf = Schema.ConstraintCodec<unknown, unknown>

const leavesOf = (schema: Leaf, prefix = ""): ReadonlyArray<readonly [path: string, leaf: Leaf]> =>
  hasProperty(schema, "fields")
    ? Object.entries(schema.fields as Settings["fields"]).flatMap(([key, field]) =>
        leavesOf(field, prefix === "" ? key : `${prefix}.${key}`)
      )
    : [[prefix, schema]]

const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

const didYouMean = (word: string, candidates: ReadonlyArray<string>): string => {
  const ranked = candidates
    // `lr` should find `finetune.lr`, however long the way to it.
    .map((candidate) => ({ candidate, d: candidate.endsWith(`.${word}`) ? 1 : distance(word, candidate) }))
    .sort((a, b) => a.d - b.d)
  const best = ranked[0]
  return best !== undefined && best.d <= Math.max(2, word.length / 3)
    ? `did you mean '${best.candidate}'?`
    : `there are ${candidates.join(", ")}`
}

interface Assignment {
  readonly path: string
  readonly leaf: Leaf
  readonly value: unknown
}

type Leaves = ReadonlyMap<string, Leaf>

const unknownKey = (leaves: Leaves, key: string, origin: string): ConfigError => {
  const inside = [...leaves.keys()].filter((path) => path.startsWith(`${key}.`))
  const reason =
    inside.length > 0
      ? `it is a group, expected one setting of it: ${inside.join(", ")}`
      : `there is no such setting; ${didYouMean(key, [...leaves.keys()])}`
  return new ConfigError({ key, origin, reason })
}

const flatten = (
  leaves: Leaves,
  layer: object,
  origin: string,
  prefix = ""
): Result.Result<ReadonlyArray<Assignment>, ConfigError> =>
  Result.gen(function* () {
    const out: Array<Assignment> = []
    for (const [key, value] of Object.entries(layer)) {
      const path = prefix === "" ? key : `${prefix}.${key}`
      const leaf = leaves.get(path)
      if (leaf !== undefined) out.push({ path, leaf, value })
      else if (isObject(value) && [...leaves.keys()].some((other) => other.startsWith(`${path}.`))) {
        out.push(...(yield* flatten(leaves, value, origin, path)))
      } else return yield* Result.fail(unknownKey(leaves, path, origin))
    }
    return out
  })

const expecting = (key: string, origin: string, found: unknown) => (error: { readonly message: string }) =>
  new ConfigError({ key, origin, reason: `found ${JSON.stringify(found)}: ${error.message}` })

// A key within a value that no schema knows would go unheard.
const strict = { onExcessProperty: "error" } as const

/** Decodes every value of a layer of JSON. */
const decodeJson = (
  layer: ReadonlyArray<Assignment>,
  origin: string
): Result.Result<ReadonlyArray<Assignment>, ConfigError> =>
  Result.all(
    layer.map(({ leaf, path, value }) =>
      Result.mapBoth(Schema.decodeUnknownResult(Schema.toCodecJson(leaf), strict)(value), {
        onSuccess: (decoded) => ({ path, leaf, value: decoded }),
        onFailure: expecting(path, origin, value)
      })
    )
  )

/** Text that is quoted stays quoted: only what is no string is read as JSON. */
const parseJson = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "string" ? text : value
  } catch {
    return text
  }
}

const override = (leaves: Leaves, text: string): Result.Result<Assignment, ConfigError> => {
  const at = text.indexOf("=")
  const [path, right] = [text.slice(0, at), text.slice(at + 1)]
  if (at < 1) return Result.fail(new ConfigError({ key: text, origin: "-s", reason: "expected key=value" }))
  const leaf = leaves.get(path)
  if (leaf === undefined) return Result.fail(unknownKey(leaves, path, "-s"))
  const decode = Schema.decodeUnknownResult(Schema.toCodecJson(leaf), strict)
  // A value that looks like JSON may still be meant as text: `name=123`.
  const json = parseJson(right)
  const decoded = Result.orElse(decode(json), (error) => Result.mapError(decode(right), () => error))
  return Result.mapBoth(decoded, {
    onSuccess: (value) => ({ path, leaf, value }),
    onFailure: expecting(path, "-s", json)
  })
}

const build = (schema: Leaf, values: ReadonlyMap<string, unknown>, prefix = ""): unknown => {
  if (!hasProperty(schema, "fields")) return values.get(prefix)
  const out: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(schema.fields as Settings["fields"])) {
    const path = prefix === "" ? key : `${prefix}.${key}`
    if (values.has(path) || hasProperty(field, "fields")) out[key] = build(field, values, path)
  }
  return out
}

const readFile = (file: string) =>
  Effect.mapError(
    JsonFile.read(file, Schema.JsonObject),
    ({ reason }) => new ConfigError({ key: "*", origin: `file ${file}`, reason })
  )

/** What is laid over the defaults, in this order. */
export interface Layers {
  readonly preset?: string | undefined
  readonly file?: string | undefined
  /** `path=value`, split at the first `=`: JSON where the setting is no string, plain text where it is. */
  readonly overrides?: ReadonlyArray<string>
  /** What an earlier run's `config.json` holds, origins and all; laid before the overrides. */
  readonly stored?: Entries
}

/** Default < preset < file < `-s`: the value of every setting and where it came from. */
export const resolve = Effect.fnUntraced(function* <S extends Settings>(config: Config<S>, layers: Layers = {}) {
  const leaves: Leaves = new Map(leavesOf(config.schema))
  const values = new Map<string, unknown>()
  const origins: Record<string, string> = {}
  const lay = (layer: ReadonlyArray<Assignment>, origin: string) => {
    for (const { path, value } of layer) {
      values.set(path, value)
      origins[path] = origin
    }
  }
  lay(yield* Effect.fromResult(flatten(leaves, config.defaults as object, "default")), "default")
  if (layers.preset !== undefined) {
    const origin = `preset ${layers.preset}`
    if (!Object.hasOwn(config.presets, layers.preset)) {
      const reason = `there is no such preset; ${didYouMean(layers.preset, Object.keys(config.presets))}`
      return yield* new ConfigError({ key: "*", origin, reason })
    }
    lay(yield* Effect.fromResult(flatten(leaves, config.presets[layers.preset]!, origin)), origin)
  }
  if (layers.file !== undefined) {
    const origin = `file ${layers.file}`
    const layer = Result.flatMap(flatten(leaves, yield* readFile(layers.file), origin), (flat) =>
      decodeJson(flat, origin)
    )
    lay(yield* Effect.fromResult(layer), origin)
  }
  for (const [path, { origin, value }] of Object.entries(layers.stored ?? {})) {
    const leaf = leaves.get(path)
    if (leaf === undefined)
      return yield* new ConfigError({ key: path, origin: "config.json", reason: "there is no such setting any more" })
    lay(yield* Effect.fromResult(decodeJson([{ leaf, path, value }], origin)), origin)
  }
  for (const text of layers.overrides ?? []) lay([yield* Effect.fromResult(override(leaves, text))], "-s")
  const value = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Schema.toType(config.schema))(build(config.schema, values)),
    (error) => new ConfigError({ key: "*", origin: "all together", reason: error.message })
  )
  return { value, origins } satisfies Resolved<S["Type"]> as Resolved<S["Type"]>
})

/** Resolved settings as `config.json` holds them. */
export const entries = <S extends Settings>(config: Config<S>, { origins, value }: Resolved<S["Type"]>): Entries => {
  const leaves: Leaves = new Map(leavesOf(config.schema))
  const flat = Result.getOrThrow(flatten(leaves, value as object, "resolved"))
  return Object.fromEntries(
    flat.map(({ leaf, path, value }) => [
      path,
      { value: Schema.encodeUnknownSync(Schema.toCodecJson(leaf))(value) as Schema.Json, origin: origins[path]! }
    ])
  )
}
