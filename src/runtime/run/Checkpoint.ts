import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import { whole } from "../../dsl/errors/Numbers.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Disk from "../../files/Disk.ts"
import * as RegularFile from "../../files/RegularFile.ts"
import * as Safetensors from "../../files/tensors/Safetensors.ts"

const Found = Schema.Struct({ name: Schema.String, reason: Schema.String })

/** A checkpoint that was looked at and not used, and why. */
export type Found = typeof Found.Type

/** No checkpoint could be written, or none can be used; in the latter case each one found is listed with its reason. */
export class CheckpointError extends Schema.TaggedError<CheckpointError>()("CheckpointError", {
  directory: Schema.String,
  reason: Schema.String,
  found: Schema.Array(Found)
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    const list = this.found.map(({ name, reason }) => `\n  ${name}: ${reason}`)
    return `checkpoints in ${this.directory}: ${this.reason}${list.join("")}`
  }
}

const Natural = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** What is saved beside the tensors: which run and tick they belong to, and whatever else must be resumed. */
export const Manifest = Schema.Struct({
  version: Schema.Literal(1),
  tick: Natural,
  attempt: Natural,
  seed: Schema.Int,
  program: Schema.String,
  extra: Schema.JsonObject
})
export type Manifest = typeof Manifest.Type
const ManifestText = Schema.fromJsonString(Manifest)

const Sealed = Schema.Struct({ size: Natural, sha256: Schema.String })
const Seal = Schema.fromJsonString(Schema.Struct({ "state.safetensors": Sealed, "state.json": Sealed }))
const decoder = new TextDecoder()

/** The run that a checkpoint must belong to. */
export interface Expected {
  readonly program: string
  readonly seed: number
}

/** A verified checkpoint, and the newer ones that were passed over to reach it. */
export interface Loaded<H extends Tree.HostTree> {
  readonly name: string
  readonly manifest: Manifest
  readonly state: H
  readonly skipped: ReadonlyArray<Found>
}

interface Named {
  readonly name: string
  readonly tick: number
  readonly attempt: number
}

const nameOf = (tick: number, attempt: number): string => `${String(tick).padStart(8, "0")}-a${attempt}`

/**
 * Newest first. A later attempt replaces whatever an earlier one wrote, even at higher ticks: it may have begun again
 * from before them.
 */
const list = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const names = (yield* fs.exists(directory)) ? yield* fs.readDirectory(directory) : []
  return names
    .flatMap((name): ReadonlyArray<Named> => {
      const match = /^(\d{8,})-a(\d+)$/.exec(name)
      return match === null ? [] : [{ name, tick: Number(match[1]), attempt: Number(match[2]) }]
    })
    .sort((a, b) => b.attempt - a.attempt || b.tick - a.tick)
})

const sync = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  yield* (yield* fs.open(directory)).sync
}, Effect.scoped)

const writeSynced = Effect.fnUntraced(function* (file: string, bytes: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const handle = yield* fs.open(file, { flag: "w" })
  yield* handle.writeAll(bytes)
  yield* handle.sync
}, Effect.scoped)

/** Renames before it removes: a removal that is cut short must not leave half a checkpoint under its name. */
const discard = Effect.fnUntraced(function* (directory: string, name: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const aside = path.join(directory, `.tmp-discarded-${name}`)
  yield* fs.rename(path.join(directory, name), aside)
  yield* fs.remove(aside, { recursive: true })
})

const writeFolder = Effect.fnUntraced(function* (folder: string, manifest: Manifest, state: Tree.HostTree) {
  const path = yield* Path.Path
  const files = {
    "state.safetensors": Safetensors.encode(Tree.hostEntries(state)),
    "state.json": new TextEncoder().encode(yield* Schema.encodeEffect(ManifestText)(manifest))
  }
  yield* (yield* FileSystem.FileSystem).makeDirectory(folder)
  for (const [name, bytes] of Object.entries(files)) yield* writeSynced(path.join(folder, name), bytes)
  const seal = (bytes: Uint8Array) => ({ size: bytes.length, sha256: hash("sha256", bytes) })
  const complete = yield* Schema.encodeEffect(Seal)({
    "state.safetensors": seal(files["state.safetensors"]),
    "state.json": seal(files["state.json"])
  })
  yield* writeSynced(path.join(folder, "COMPLETE"), new TextEncoder().encode(complete))
  yield* sync(folder)
})

const cannotWrite = (directory: string, name: string) => (error: PlatformError | Schema.SchemaError) =>
  new CheckpointError({
    directory,
    reason: `${name} cannot be written: ${Disk.said(error)}`,
    found: []
  })

/**
 * Writes a checkpoint that is there whole or not at all, however the process ends, then removes all but the newest
 * `keep` (2 by default) and those at the `pinned` ticks. Returns its name.
 *
 * ```ts
 * const state = { w: NdArray.float32([2], [1, 2]) }
 * const of = { program: "mine", seed: 0 }
 * const saved = Effect.gen(function* () {
 *   yield* Checkpoint.save(".cache/checkpoints", { version: 1, tick: 10, attempt: 1, ...of, extra: {} }, state)
 *   return yield* Checkpoint.load(".cache/checkpoints", of, state)
 * })
 * const { name } = await Effect.runPromise(Effect.provide(saved, NodeServices.layer))
 * name // => "00000010-a1"
 * ```
 */
export const save = Effect.fnUntraced(function* (
  directory: string,
  manifest: Manifest,
  state: Tree.HostTree,
  options: { readonly keep?: number; readonly pinned?: ReadonlyArray<number> } = {}
) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const { keep = 2, pinned = [] } = options
  whole("Checkpoint.save: keep", keep, 1)
  const name = nameOf(manifest.tick, manifest.attempt)
  const temporary = path.join(directory, `.tmp-${name}`)
  const remove = (entry: string) => fs.remove(path.join(directory, entry), { recursive: true, force: true })
  const writing = Effect.gen(function* () {
    // Not with the folders above it: where a run's folder was taken away, none is to appear in its place.
    if (!(yield* fs.exists(directory))) yield* fs.makeDirectory(directory)
    const entries = yield* fs.readDirectory(directory)
    yield* Effect.forEach(
      entries.filter((entry) => entry.startsWith(".tmp-")),
      remove
    )
    yield* writeFolder(temporary, manifest, state)
    if (entries.includes(name)) yield* discard(directory, name)
    yield* fs.rename(temporary, path.join(directory, name))
    yield* sync(directory)
    for (const old of (yield* list(directory)).slice(keep)) {
      if (!pinned.includes(old.tick)) yield* discard(directory, old.name)
    }
    return name
  })
  return yield* writing.pipe(
    // A full disk must not stay full of what could not be written.
    Effect.onError(() => Effect.ignore(fs.remove(temporary, { recursive: true, force: true }))),
    Effect.mapError(cannotWrite(directory, name))
  )
})

const verify = Effect.fnUntraced(function* (folder: string) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const at = (name: string) => path.join(folder, name)
  const missing = (name: string) =>
    Effect.filterOrFail(
      Effect.orElseSucceed(fs.exists(at(name)), () => true),
      (exists) => exists,
      () => `${name} is missing`
    )
  const readFile = (name: string, most: number) =>
    Effect.andThen(
      missing(name),
      Effect.mapError(RegularFile.read(at(name), most), ({ reason }) => `${name}: ${reason}`)
    )
  const seal = yield* Effect.mapError(
    Schema.decodeEffect(Seal)(decoder.decode(yield* readFile("COMPLETE", 2 ** 16))),
    () => "COMPLETE is damaged"
  )
  const sealed = Effect.fnUntraced(function* (name: keyof typeof seal) {
    const { sha256, size } = seal[name]
    yield* missing(name)
    const length = yield* Effect.mapError(RegularFile.size(at(name)), ({ reason }) => `${name}: ${reason}`)
    if (length !== size) return yield* Effect.fail(`${name} has ${length} bytes, COMPLETE says ${size}`)
    const bytes = yield* readFile(name, size)
    if (hash("sha256", bytes) !== sha256) return yield* Effect.fail(`${name} is damaged: its SHA-256 is not COMPLETE's`)
    return bytes
  })
  const text = decoder.decode(yield* sealed("state.json"))
  const manifest = yield* Effect.mapError(
    Schema.decodeEffect(ManifestText)(text),
    (error) => `state.json is of no version that is known here: ${error.message}`
  )
  return { manifest, tensors: sealed("state.safetensors") }
})

const describe = ({ dtype, shape }: NdArray.NdArray): string => `${dtype} [${shape.join(", ")}]`

const restore = <H extends Tree.HostTree>(
  tensors: ReadonlyMap<string, NdArray.NdArray>,
  like: H
): Result.Result<H, string> => {
  const wanted = new Map(Tree.hostEntries(like))
  for (const [path, leaf] of wanted) {
    const found = tensors.get(path)
    if (found === undefined) return Result.fail(`the problem has a tensor '${path}', the checkpoint has none`)
    if (describe(found) !== describe(leaf)) {
      return Result.fail(`'${path}' is ${describe(found)}, the problem wants ${describe(leaf)}`)
    }
  }
  const extra = [...tensors.keys()].find((path) => !wanted.has(path))
  if (extra !== undefined) return Result.fail(`the checkpoint has a tensor '${extra}', the problem has none`)
  return Result.succeed(Tree.mapHost(like, (_, path) => tensors.get(path)!))
}

const read = Effect.fnUntraced(function* <H extends Tree.HostTree>(
  folder: string,
  named: Named,
  expected: Expected,
  like: H
) {
  const { manifest, tensors } = yield* verify(folder)
  const { program, seed } = manifest
  if (nameOf(manifest.tick, manifest.attempt) !== named.name) {
    return yield* Effect.fail(`it was written as ${nameOf(manifest.tick, manifest.attempt)}: give it its name back`)
  }
  if (program !== expected.program) {
    return yield* Effect.fail(
      `it belongs to program ${program}, not to ${expected.program}: use the program that wrote it`
    )
  }
  if (seed !== expected.seed) {
    return yield* Effect.fail(`it belongs to seed ${seed}, not to ${expected.seed}: use the seed that wrote it`)
  }
  const decoded = yield* Effect.fromResult(
    Result.mapError(Safetensors.decode(yield* tensors), (error) => error.message)
  )
  return { manifest, state: yield* Effect.fromResult(restore(decoded.tensors, like)) }
})

const firstUsable = Effect.fnUntraced(function* <H extends Tree.HostTree>(
  directory: string,
  candidates: ReadonlyArray<Named>,
  expected: Expected,
  like: H
) {
  const path = yield* Path.Path
  const skipped: Array<Found> = []
  for (const named of candidates) {
    const result = yield* Effect.result(read(path.join(directory, named.name), named, expected, like))
    if (Result.isSuccess(result)) return { ...result.success, name: named.name, skipped } satisfies Loaded<H>
    skipped.push({ name: named.name, reason: result.failure })
  }
  const reason = skipped.length === 0 ? "there is none" : "none can be used"
  return yield* new CheckpointError({ directory, reason: `${reason}; start the run again`, found: skipped })
})

/** The checkpoints in a directory by tick and attempt, newest first; whether they can be used is not looked at. */
export const listed = (directory: string) =>
  Effect.mapError(
    list(directory),
    (error) => new CheckpointError({ directory, reason: `cannot be listed: ${Disk.said(error)}`, found: [] })
  )

/**
 * The newest checkpoint that is undamaged, belongs to this program and seed, and has the paths, dtypes and shapes of
 * `like`. Newer ones that do not are passed over and named in `skipped`; when none is left the error names them all.
 */
export const load = Effect.fnUntraced(function* <H extends Tree.HostTree>(
  directory: string,
  expected: Expected,
  like: H
) {
  return yield* firstUsable(directory, yield* listed(directory), expected, like)
})

/** As {@link load}, at this tick only; of several attempts that reached it, the last. */
export const loadAt = Effect.fnUntraced(function* <H extends Tree.HostTree>(
  directory: string,
  tick: number,
  expected: Expected,
  like: H
) {
  const all = yield* listed(directory)
  const candidates = all.filter((named) => named.tick === tick)
  if (candidates.length === 0) {
    const found = all.map(({ name }) => ({ name, reason: "another tick" }))
    return yield* new CheckpointError({ directory, reason: `there is none at tick ${tick}`, found })
  }
  return yield* firstUsable(directory, candidates, expected, like)
})
