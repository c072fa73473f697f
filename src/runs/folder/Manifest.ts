import { hash } from "node:crypto"
// Effect has no service that tells what machine this is.
import * as os from "node:os"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as JsonFile from "../../files/JsonFile.ts"
import type { RunFolder } from "./RunFolder.ts"

const { Array, Int, NullOr, Number, Record, String, Struct } = Schema

/** The commit a run started from. `changed` names what differed from it; `patch` is the SHA-256 of `git.patch`. */
export const Git = Struct({
  commit: String,
  branch: NullOr(String),
  dirty: Schema.Boolean,
  changed: Array(String),
  patch: NullOr(String)
})

/** One data set: where it is from, what was read and dropped, how it was split, under which licence. */
export const Data = Struct({
  name: String,
  version: NullOr(String),
  sha256: NullOr(String),
  read: Int,
  dropped: Array(Struct({ reason: String, rows: Int })),
  split: Struct({ rule: String, rows: Record(String, Int) }),
  licence: String,
  source: String
})

/** Data and weights that a run reads. */
export const Inputs = Struct({
  data: Array(Data),
  weights: Array(Struct({ file: String, sha256: String, licence: String }))
})
export type Inputs = typeof Inputs.Type

/** What only the caller knows of a run. */
export const Given = Struct({
  /** The fingerprint of each problem by name, beside that of what each of its levels computes, and the SHA-256 of the files they came from. */
  program: Struct({
    problems: Record(String, Struct({ fingerprint: String, levels: Record(String, String) })),
    files: Record(String, String)
  }),
  /** The run that this one was forked from: at which tick, and which settings are others. */
  parent: Schema.optionalKey(
    Struct({
      run: String,
      tick: Int,
      changed: Record(String, Struct({ from: Schema.Json, to: Schema.Json }))
    })
  ),
  versions: Record(String, String),
  seeds: Struct({ root: Int, algorithm: String, levels: Record(String, Schema.Tuple([Int, Int])) }),
  ...Inputs.fields,
  engine: Struct({
    provider: String,
    threads: Int,
    /** The file of a PJRT plugin, as it was named. */
    plugin: Schema.optionalKey(String),
    /** What levels compute in that state nothing; absent where in float32. */
    precision: Schema.optionalKey(String),
    /** How many devices share each batch, where it was said, and whether they share the optimizers' state. */
    devices: Schema.optionalKey(Int),
    shardOptimizer: Schema.optionalKey(Schema.Boolean),
    /** What computes, by parts with a version each, where that does not come with the package. */
    runtime: Schema.optionalKey(Record(String, String))
  })
})

/** `manifest.json`: what is needed to say what a run was, and to repeat it. */
export const Manifest = Struct({
  version: Schema.Literal(1),
  run: String,
  ...Given.fields,
  git: NullOr(Git),
  hardware: Struct({ cpu: String, cores: Int, memory: Number, platform: String }),
  scheduler: Record(String, String),
  argv: Array(String),
  /** Where the run began: relative paths in its settings start here. */
  cwd: Schema.optionalKey(String),
  env: Record(String, String)
})
export type Manifest = typeof Manifest.Type

/** What a run computed with, for people. */
export const computing = ({ devices = 1, provider, threads }: Manifest["engine"]): string =>
  `${provider}, threads ${threads}${devices === 1 ? "" : `, devices ${devices}`}`

const maxPatch = 1024 * 1024

const run = Effect.fnUntraced(function* (cwd: string, ...args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner
  // The lock is only to save work; taking it would disturb whoever commits meanwhile.
  const handle = yield* spawner.spawn(ChildProcess.make("git", ["--no-optional-locks", ...args], { cwd }))
  let size = 0
  const chunks = yield* handle.stdout.pipe(
    Stream.takeWhile((chunk) => (size += chunk.length) <= maxPatch),
    Stream.runCollect
  )
  return { bytes: Buffer.concat(chunks), whole: size <= maxPatch }
}, Effect.scoped)

/**
 * The state of the git checkout around a folder, and its uncommitted changes as a patch if that has at most 1 MiB.
 * `undefined` where there is no checkout, no commit, or no git.
 */
export const readGit = Effect.fnUntraced(
  function* (cwd: string) {
    const head = (yield* run(cwd, "rev-parse", "HEAD", "--abbrev-ref", "HEAD")).bytes.toString().split("\n")
    if (!/^[0-9a-f]{40,64}$/.test(head[0]!)) return undefined
    const status = (yield* run(cwd, "status", "--porcelain")).bytes.toString()
    const changed = status.split("\n").flatMap((line) => (line === "" ? [] : line.slice(3)))
    const diff = yield* run(cwd, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD")
    const patch = diff.whole && diff.bytes.length > 0 ? diff.bytes : undefined
    const git: typeof Git.Type = {
      commit: head[0]!,
      branch: head[1] === "HEAD" ? null : head[1]!,
      dirty: changed.length > 0,
      changed,
      patch: patch === undefined ? null : hash("sha256", patch)
    }
    return { git, patch }
  },
  Effect.orElseSucceed(() => undefined)
)

const schedulerNames = ["SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "POD_NAME"]
const environmentNames = ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "NODE_OPTIONS", "UV_THREADPOOL_SIZE", "CI", "TZ"]

const pick = (names: ReadonlyArray<string>): { readonly [name: string]: string } =>
  Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))

/**
 * Writes `manifest.json`, and `git.patch` beside it: what the caller gives and what can be seen from here (checkout
 * around `cwd`, machine, scheduler, command line, a few environment variables by name, never the whole environment).
 * Fails where the run already has a manifest.
 */
export const write = Effect.fnUntraced(function* (folder: RunFolder, cwd: string, given: typeof Given.Type) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const file = path.join(folder.path, "manifest.json")
  if (yield* Effect.mapError(fs.exists(file), JsonFile.because(file))) {
    return yield* new JsonFile.RunFileError({ file, reason: "a manifest is written once: start a new run" })
  }
  const checkout = yield* readGit(cwd)
  if (checkout?.patch !== undefined) yield* JsonFile.replace(path.join(folder.path, "git.patch"), checkout.patch)
  const manifest: Manifest = {
    version: 1,
    run: folder.id,
    ...given,
    versions: { node: process.versions.node, ...given.versions },
    git: checkout?.git ?? null,
    hardware: {
      cpu: os.cpus()[0]?.model ?? "unknown",
      cores: os.availableParallelism(),
      memory: os.totalmem(),
      platform: `${os.platform()} ${os.arch()} ${os.release()}`
    },
    scheduler: pick(schedulerNames),
    argv: process.argv,
    cwd,
    env: pick(environmentNames)
  }
  // Last, so that a folder without one is no run yet.
  yield* JsonFile.writeSealed(file, Manifest, manifest)
  return manifest
})

/** Reads `manifest.json`. */
export const read = Effect.fnUntraced(function* (folder: RunFolder) {
  return yield* JsonFile.readSealed((yield* Path.Path).join(folder.path, "manifest.json"), Manifest)
})

/**
 * Adds what a run reads to its manifest. A run that goes on is held against what it began with: fails with a
 * `RunFileError` that names what is another file now.
 */
export const inputs = Effect.fnUntraced(function* (folder: RunFolder, { data, weights }: Inputs) {
  const file = (yield* Path.Path).join(folder.path, "manifest.json")
  const before = yield* read(folder)
  if (before.data.length + before.weights.length === 0) {
    return yield* JsonFile.writeSealed(file, Manifest, { ...before, data, weights })
  }
  const states = (of: Inputs) => [
    ...of.data.map(({ name, sha256, source, version }) => ({
      what: `data set '${name}' (${source})`,
      state: `SHA-256 ${sha256}${version === null ? "" : `, ${version}`}`
    })),
    ...of.weights.map(({ file, sha256 }) => ({ what: `weights ${file}`, state: `SHA-256 ${sha256}` }))
  ]
  const began = states(before)
  for (const [i, { state, what }] of states({ data, weights }).entries()) {
    const then = began[i]?.state ?? "none"
    if (state === then) continue
    const reason = `${what} is not what the run began with (${then}; now ${state}): restore it, or start a new run`
    return yield* new JsonFile.RunFileError({ file, reason })
  }
})
