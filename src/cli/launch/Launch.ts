import { existsSync, realpathSync } from "node:fs"
import { createRequire } from "node:module"
import * as Arr from "effect/Array"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as References from "effect/References"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as Precision from "../../dsl/Precision.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Config from "../../runs/trial/Config.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import * as Printable from "../../files/Printable.ts"
import * as Claim from "../../runs/folder/Claim.ts"
import * as FolderLock from "../../runs/folder/FolderLock.ts"
import * as Manifest from "../../runs/folder/Manifest.ts"
import * as PlanFile from "../../runs/folder/PlanFile.ts"
import type * as Program from "../../runs/Program.ts"
import * as ReportFile from "../../runs/report/ReportFile.ts"
import * as Records from "../../runs/folder/Records.ts"
import * as ResultFile from "../../runs/folder/ResultFile.ts"
import * as RunFolder from "../../runs/folder/RunFolder.ts"
import * as Status from "../../runs/folder/Status.ts"
import * as Trial from "../../runs/trial/Trial.ts"
import { Engine } from "../../engines/Engine.ts"
import { execute } from "./Execute.ts"
import * as Expected from "./Expected.ts"
import * as Load from "./Load.ts"
import * as Options from "../Options.ts"
import * as Plans from "../Plans.ts"
import * as Progress from "./Progress.ts"

/** Settings every program has, among its own. */
export type Settings = Program.Settings["Type"]

/** A run that is still going on somewhere. */
export class LiveError extends Schema.TaggedError<LiveError>()("LiveError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.live
  }
  override get message(): string {
    return this.reason
  }
}

/**
 * Holds a run's folder for this process: two in one folder would write over each other. With a claim it is held until a later claim
 * is made, too.
 */
export const hold = Effect.fnUntraced(function* (
  folder: RunFolder.RunFolder,
  claim: Option.Option<number> = Option.none()
) {
  const lock = yield* FolderLock.hold(folder.path).pipe(
    Effect.catchIf(
      ({ kind }) => kind === "Held",
      () =>
        Effect.gen(function* () {
          const status = yield* Effect.orElseSucceed(Status.read(folder), () => undefined)
          const where = status?.state === "running" ? ` as process ${status.pid} on ${status.host}` : ""
          const reason = `run ${folder.id} is going on${where}: wait for it, or stop it first`
          return yield* new LiveError({ reason })
        })
    )
  )
  if (Option.isSome(claim)) yield* Claim.take(folder.path, claim.value)
  yield* RunFolder.tidy(folder)
  return Option.match(claim, {
    onNone: () => lock,
    onSome: (own) => ({ intact: Effect.andThen(Claim.current(folder.path, own), lock.intact) })
  })
})

/**
 * Goes to the folder where a run began, from which its settings name files, if that lies under the present one: a run folder
 * from elsewhere does not choose where its program works. Otherwise stays, and says so.
 */
export const goTo = Effect.fnUntraced(function* (folder: string | undefined) {
  const here = process.cwd()
  if (folder === undefined || !existsSync(folder) || realpathSync(folder) === here) return
  if (yield* Effect.orElseSucceed(Load.within(here, folder), () => false)) return process.chdir(folder)
  yield* Effect.logWarning(`the run began in ${folder}; relative paths of its settings now start in ${here}`)
})

/** Settings as the command line gives them. */
export interface Given {
  readonly set: ReadonlyArray<string>
  readonly preset: Option.Option<string>
  readonly config: Option.Option<string>
}

/** The settings of a run: defaults, preset, file and overrides laid over each other. */
export const resolve = Effect.fnUntraced(function* (loaded: Load.Loaded, given: Given) {
  return yield* Config.resolve(loaded.program.config, {
    overrides: given.set,
    preset: Option.getOrUndefined(given.preset),
    file: Option.getOrUndefined(given.config)
  })
})

/** A program whose data are at hand, with the plan of each of its problems. */
export interface Ready {
  readonly planned: Arr.NonEmptyReadonlyArray<Plans.Planned<unknown, Load.Services>>
  readonly run: Program.Prepared<unknown, Load.Services>["run"]
}

/** Prepares a program, once, for the scope in which it is planned, verified or run. */
export const ready = Effect.fnUntraced(function* (
  { program, source }: Load.Loaded,
  settings: Settings,
  precision: Option.Option<Precision.Name> = Option.none()
) {
  const rounded = Option.isSome(precision) ? { precision: Precision.named(precision.value) } : {}
  const { problems, run } = yield* program.prepare(settings, rounded).pipe(
    // A program is made of plain constructors, which throw a plain sentence for a bad value.
    Effect.catchDefect((cause) =>
      Effect.fail(Sentence.causedBy(new Load.ProgramError({ program: source, reason: Sentence.of(cause) }), cause))
    )
  )
  const planned = yield* Plans.of(problems)
  if (!Arr.isReadonlyArrayNonEmpty(planned)) {
    return yield* new Load.ProgramError({ program: source, reason: "it states no problem: list those that it runs" })
  }
  return { planned, run } satisfies Ready as Ready
})

/** A result on standard output. */
export const print = (format: "text" | "json", text: string, json: unknown) =>
  // What is written out so in JSON means the same as before.
  Console.log(Printable.lines(format === "json" ? JSON.stringify(json) : text))

/** Words beside the result, on standard error. */
export const saying = (quiet: boolean) => (text: string) => (quiet ? Effect.void : Console.error(Printable.lines(text)))

/** Logs nothing below a warning where it is to be quiet. */
export const hushed = <A, E, R>(effect: Effect.Effect<A, E, R>, { quiet }: { readonly quiet: boolean }) =>
  quiet ? Effect.provideService(effect, References.MinimumLogLevel, "Warn") : effect

const packaged = createRequire(import.meta.url)("../../../package.json") as {
  readonly version: string
  readonly dependencies: { readonly [name: string]: string }
}

/** The package's version. */
export const version = packaged.version

type Fingerprints = Manifest.Manifest["program"]["problems"]

/** The fingerprints of problems, by name. */
export const fingerprintsOf = (planned: ReadonlyArray<Plans.Planned>): Fingerprints =>
  Object.fromEntries(
    planned.map(({ fingerprints: { levels, program }, name }) => [name, { fingerprint: program, levels }] as const)
  )

/** What has changed between two sets of fingerprints, with its verb; undefined where nothing has. */
export const changed = (then: Fingerprints, now: Fingerprints): string | undefined => {
  const names = [...new Set([...Object.keys(then), ...Object.keys(now)])]
  const name = names.find((one) => then[one]?.fingerprint !== now[one]?.fingerprint)
  if (name === undefined) return undefined
  const [before, after] = [then[name], now[name]]
  const among = names.length === 1 ? "" : ` of problem '${name}'`
  if (before === undefined || after === undefined) return `the problems that it runs ('${name}' is one of either) have`
  const other = Object.keys(after.levels).filter((level) => after.levels[level] !== before.levels[level])
  return other.length === 0
    ? `the plan, data fields or constants${among} have`
    : `what ${other.join(", ")}${among} computes has`
}

/** Refuses a program whose levels compute something else than whoever asks for the run expects. */
const refuseOther = Effect.fnUntraced(function* (
  loaded: Load.Loaded,
  given: Given & Pick<Options.Computing, "precision">,
  prepared: Ready,
  { seed }: Settings,
  expected: Expected.Levels
) {
  const own = Expected.hash(fingerprintsOf(prepared.planned))
  if (own === expected.hash) return
  // Constants may be drawn with the seed: what is expected was worked out with one for all of a sweep's runs.
  if (seed !== expected.seed) {
    const { value } = yield* resolve(loaded, { ...given, set: [...given.set, `seed=${expected.seed}`] })
    const { planned } = yield* Effect.scoped(ready(loaded, value, given.precision))
    if (Expected.hash(fingerprintsOf(planned)) === expected.hash) return
  }
  return yield* new Expected.OtherError({ program: loaded.source })
})

/** Writes into the folder of a new run what is written down before it starts. */
const fill = Effect.fnUntraced(function* (
  folder: RunFolder.RunFolder,
  loaded: Load.Loaded,
  resolved: Config.Resolved<Settings>,
  planned: ReadonlyArray<Plans.Planned>,
  computing: Options.Computing,
  parent?: Manifest.Manifest["parent"]
) {
  const path = yield* Path.Path
  const problems = fingerprintsOf(planned)
  const seed = Seed.make(resolved.value.seed)
  const entries = Config.entries(loaded.program.config, resolved)
  const plans = Plans.written(planned)
  const { runtime } = yield* Engine
  yield* JsonFile.writeSealed(path.join(folder.path, "config.json"), Config.Entries, entries)
  yield* PlanFile.write(folder, plans)
  yield* JsonFile.replace(path.join(folder.path, "plan.txt"), new TextEncoder().encode(`${Plans.forms.text(plans)}\n`))
  yield* Manifest.write(folder, process.cwd(), {
    program: { problems, files: { [loaded.source]: loaded.sha256 } },
    ...(parent === undefined ? {} : { parent }),
    versions: { tapweight: version, ...packaged.dependencies },
    seeds: {
      root: resolved.value.seed,
      algorithm: "threefry2x32-20",
      levels: Object.fromEntries(
        planned
          .flatMap(({ plan }) => plan.levels)
          .map((level) => [level.name, [...Seed.fold(Seed.fold(seed, "data"), level.name).key] as [number, number]])
      )
    },
    data: [],
    weights: [],
    engine: {
      provider: computing.engine,
      threads: Options.threadsOf(computing),
      ...(Option.isSome(computing.plugin) ? { plugin: computing.plugin.value } : {}),
      ...(Option.isSome(computing.precision) ? { precision: computing.precision.value } : {}),
      ...(Option.isSome(computing.devices) ? { devices: computing.devices.value } : {}),
      ...(computing.shardOptimizer ? { shardOptimizer: true } : {}),
      ...(runtime === undefined ? {} : { runtime })
    }
  })
})

/** Makes the folder of a new run, with what it is written down before it starts. */
export const makeFolder = Effect.fnUntraced(function* (
  root: string,
  loaded: Load.Loaded,
  ...given: typeof fill extends (folder: RunFolder.RunFolder, loaded: Load.Loaded, ...given: infer Given) => unknown
    ? Given
    : never
) {
  return yield* RunFolder.create(root, loaded.program.name, (folder) => fill(folder, loaded, ...given))
})

/** Only a run that is one trial can be made longer: of several, some start from what others ended with. */
export const refuseShorter = Effect.fnUntraced(function* (
  folder: RunFolder.RunFolder,
  entries: Config.Entries,
  ticks: number
) {
  const path = yield* Path.Path
  const refuse = (reason: string) =>
    new Trial.TrialError({ reason: `run ${folder.id} cannot be made ${ticks} ticks long: ${reason}` })
  if (existsSync(path.join(folder.path, "trials"))) {
    return yield* refuse("it has several trials, which may start from what others ended with. Start a new run")
  }
  const before = entries["ticks"]?.value
  if (typeof before === "number" && before > ticks) return yield* refuse(`it has ${before}. Give more, or none`)
})

/** Writes a longer run's settings in place of its shorter self's, whose result is no longer the run's. */
export const lengthen = Effect.fnUntraced(function* (
  folder: RunFolder.RunFolder,
  { program }: Load.Loaded,
  resolved: Config.Resolved<Settings>
) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const result = path.join(folder.path, "result.json")
  yield* JsonFile.writeSealed(
    path.join(folder.path, "config.json"),
    Config.Entries,
    Config.entries(program.config, resolved)
  )
  yield* Effect.mapError(fs.remove(result, { force: true }), JsonFile.because(result))
})

const waysOf = (ways: { readonly [way: string]: number }): string =>
  Object.entries(ways)
    .flatMap(([way, count]) => (count === 0 ? [] : [`${count} for ${way}`]))
    .join(", ") || "none"

/** Runs a program in its folder, shows progress, and prints what it says. */
export const finish = Effect.fnUntraced(function* (
  { folder, lock }: RunFolder.Created,
  { program }: Load.Loaded,
  { run }: Ready,
  attempt: number,
  options: { readonly quiet: boolean; readonly format: "text" | "json" }
) {
  const say = saying(options.quiet)
  const display = options.quiet ? Progress.quiet : Progress.forStream(process.stderr)
  const said = yield* execute(folder, lock, program.name, run, display, attempt).pipe(
    Effect.onInterrupt(() => say(`\nstopped; go on with:  tapweight resume ${folder.path}`))
  )
  const { ways } = yield* Engine
  if (ways !== undefined) yield* say(`\nfunctions compiled: ${waysOf(yield* ways)}`)
  yield* print(options.format, said.text, { run: folder.path, result: said.result })
  // The run is done: what a page cannot show takes nothing from it.
  const report = options.quiet
    ? undefined
    : yield* Effect.catch(ReportFile.write(folder), (error) =>
        Effect.as(Effect.logWarning(`no report: ${error.message}`), undefined)
      )
  yield* say(`\nsaved in ${folder.path}${report === undefined ? "" : `\nto look at: ${report}`}`)
})

/** Runs a program into a new run folder and prints its result. */
export const start = Effect.fnUntraced(function* (
  loaded: Load.Loaded,
  options: Given &
    Options.Computing & {
      readonly runs: string
      readonly format: "text" | "json"
      readonly quiet: boolean
    }
) {
  const resolved = yield* resolve(loaded, options)
  const prepared = yield* ready(loaded, resolved.value, options.precision).pipe(
    Effect.onInterrupt(() =>
      saying(options.quiet)("\nstopped before the run began: what was worked out is cached, so run the same again")
    )
  )
  const refused = Plans.refused(prepared.planned, options.engine)
  if (refused !== undefined) return yield* refused
  // Inside the engine, so that one that cannot start leaves no folder behind.
  yield* Effect.gen(function* () {
    const created = yield* makeFolder(options.runs, loaded, resolved, prepared.planned, options)
    yield* saying(options.quiet)(
      `run ${created.folder.path}  seed ${resolved.value.seed}  engine ${Options.named(options)}`
    )
    yield* finish(created, loaded, prepared, 1, options)
  }).pipe(Effect.scoped, Effect.provide(Options.engineLayer(options.engine, options)))
}, Effect.scoped)

/**
 * Runs a program in a folder of a given name: begins, goes on, or gives what is stored, whichever it takes. Two that start it at
 * once do not both run: the second fails with a `LiveError`.
 */
export const into = Effect.fnUntraced(function* (
  loaded: Load.Loaded,
  location: string,
  options: Given &
    Options.Computing & {
      readonly format: "text" | "json"
      readonly quiet: boolean
      readonly claim: Option.Option<number>
      readonly expect: Option.Option<Expected.Levels>
    }
) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const absolute = path.resolve(location)
  const folder = { id: path.basename(absolute), program: loaded.program.name, path: absolute }
  yield* Effect.mapError(fs.makeDirectory(absolute, { recursive: true }), JsonFile.because(absolute))
  const lock = yield* hold(folder, options.claim)
  const done = yield* ResultFile.read(folder)
  if (done !== undefined) return yield* print(options.format, done.text, { run: folder.path, result: done.result })
  const resolved = yield* resolve(loaded, options)
  const prepared = yield* ready(loaded, resolved.value, options.precision)
  if (Option.isSome(options.expect)) yield* refuseOther(loaded, options, prepared, resolved.value, options.expect.value)
  const refused = Plans.refused(prepared.planned, options.engine)
  if (refused !== undefined) return yield* refused
  yield* Effect.gen(function* () {
    const begun = existsSync(path.join(absolute, "manifest.json"))
    if (begun) {
      const { program } = yield* Manifest.read(folder)
      const change = changed(program.problems, fingerprintsOf(prepared.planned))
      if (change !== undefined) {
        const reason = `it is not the program that ${absolute} was begun with: ${change} changed. Restore it, or run elsewhere`
        return yield* new Load.ProgramError({ program: loaded.source, reason })
      }
    } else yield* fill(folder, loaded, resolved, prepared.planned, options)
    const attempt = begun ? ((yield* Records.attempts(folder)).at(-1) ?? 1) + 1 : 1
    yield* saying(options.quiet)(`run ${absolute}  seed ${resolved.value.seed}  engine ${Options.named(options)}`)
    yield* finish({ folder, lock }, loaded, prepared, attempt, options)
  }).pipe(Effect.provide(Options.engineLayer(options.engine, options)))
}, Effect.scoped)
