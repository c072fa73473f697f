/** Commands that take a sweep's file: `sweep plan`, `start`, `exec`. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as SweepFolder from "../../runs/sweep/SweepFolder.ts"
import * as Launch from "../launch/Launch.ts"
import type * as Load from "../launch/Load.ts"
import * as Options from "../Options.ts"
import { asked } from "./Asked.ts"
import * as DatabaseFlags from "./database/DatabaseFlags.ts"
import * as Pool from "./Pool.ts"
import * as Scripts from "./Scripts.ts"
import { SweepError } from "./SweepError.ts"
import * as SweepText from "./SweepText.ts"
import { inDatabase } from "./database/Loading.ts"
import { statesOf } from "./States.ts"

const fileArgument = Argument.String("sweep").pipe(Argument.withDescription("A file whose default export is a sweep"))
/** What every run of a sweep computes with. */
const computing = {
  engine: Options.engine,
  threads: Options.threads,
  plugin: Options.plugin,
  precision: Options.precision,
  devices: Options.devices,
  shardOptimizer: Options.shardOptimizer
}
const argsOf = (options: Options.Computing): ReadonlyArray<string> => {
  const given = (flag: string, value: Option.Option<string | number>) =>
    Option.match(value, { onNone: () => [], onSome: (some) => [flag, `${some}`] })
  return [
    "--engine",
    options.engine,
    ...given("--threads", options.threads),
    ...given("--plugin", options.plugin),
    ...given("--precision", options.precision),
    ...given("--devices", options.devices),
    ...(options.shardOptimizer ? ["--shard-optimizer"] : [])
  ]
}

export const plan = (programs: Load.Programs) =>
  Command.make(
    "plan",
    { sweep: fileArgument, format: Options.format },
    Effect.fnUntraced(function* ({ format, sweep }) {
      const { file } = yield* asked(programs, sweep)
      yield* Launch.print(format, SweepText.plan(file.name, file.entries), file)
    })
  ).pipe(Command.withDescription("What a sweep would run, and what so many seeds can show; runs nothing"))

export const start = (programs: Load.Programs) =>
  Command.make(
    "start",
    {
      sweep: fileArgument,
      local: Flag.Int("local").pipe(
        Flag.withDescription(
          "So many runs at a time on this machine (1 where absent), whether or not there is a database"
        ),
        Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 256 }))),
        Flag.optional
      ),
      db: DatabaseFlags.db,
      pool: DatabaseFlags.pool,
      slurm: Flag.Boolean("slurm").pipe(
        Flag.withDescription("Prints an array job for SLURM, and runs nothing"),
        Flag.withDefault(false)
      ),
      k8s: Flag.String("k8s").pipe(
        Flag.withMetavar("image"),
        Flag.withDescription("Prints an indexed job for Kubernetes, and runs nothing"),
        Flag.optional
      ),
      ...computing,
      runs: Options.runs,
      format: Options.format
    },
    Effect.fnUntraced(function* (options) {
      const path = yield* Path.Path
      const { file, sweep } = yield* asked(programs, options.sweep, options.precision)
      const refuse = (reason: string) => new SweepError({ sweep: sweep.name, reason, failed: false })
      const printed = options.slurm || Option.isSome(options.k8s)
      const named = printed || Option.isSome(options.local) ? Option.none() : options.db
      if (Option.isNone(named) && Option.exists(options.db, ({ flag }) => flag))
        return yield* refuse("--db hands its runs to runners: leave it out, or --local, --slurm and --k8s")
      if (Option.isSome(named) && Option.isSome(options.plugin))
        return yield* refuse("--plugin is a file of one machine: name it to each runner in TAPWEIGHT_PJRT_PLUGIN")
      const folder = yield* SweepFolder.pathOf(path.resolve(options.runs), sweep.name)
      const args = argsOf(options)
      const before = (yield* SweepFolder.read(folder))?.args?.join(" ")
      if (before !== undefined && before !== args.join(" "))
        yield* Effect.logWarning(
          `it was started with ${before} before: what is done stays as it is, and is compared with what ${args.join(" ")} computes`
        )
      const { entries, fresh } = yield* SweepFolder.add(folder, { ...file, args })
      if (Option.isSome(named)) {
        const { start } = yield* inDatabase
        return yield* start(named.value.url, file, args, options.pool, options.format)
      }
      const cwd = process.cwd()
      const job = { name: sweep.name, file: options.sweep, runs: options.runs, args, count: entries.length, cwd }
      if (options.slurm) return yield* Launch.print("text", Scripts.slurm(job), null)
      if (Option.isSome(options.k8s))
        return yield* Launch.print("text", Scripts.kubernetes(job, options.k8s.value), null)
      yield* Launch.saying(false)(`sweep ${sweep.name}: ${entries.length} runs, ${fresh} new, in ${folder}`)
      const folders = file.entries.map((entry) => SweepFolder.runFolder(folder, file, entry).path)
      for (const cancelled of [folder, ...folders]) yield* SweepFolder.uncancel(cancelled)
      yield* Pool.run(
        folder,
        file,
        { program: file.program, args },
        file.entries,
        Option.getOrElse(options.local, () => 1)
      )
      const states = yield* statesOf(folder, file)
      yield* Launch.print(options.format, SweepText.status(sweep.name, states), states)
      const failed = states.filter(({ state }) => state === "failed").length
      if (failed > 0) return yield* new SweepError({ sweep: sweep.name, reason: `${failed} runs failed`, failed: true })
    })
  ).pipe(
    Command.withDescription(
      "Runs a sweep here, one process a run, or hands its runs to a database's runners; what is done is not run again, what was stopped goes on"
    )
  )

export const exec = (programs: Load.Programs) =>
  Command.make(
    "exec",
    {
      sweep: fileArgument,
      index: Flag.Int("index").pipe(
        Flag.withDescription("Which of the sweep's runs, from 0"),
        Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
      ),
      ...computing,
      runs: Options.runs,
      format: Options.format
    },
    Effect.fnUntraced(function* (options) {
      const { file, sweep } = yield* asked(programs, options.sweep, options.precision)
      const folder = yield* SweepFolder.pathOf((yield* Path.Path).resolve(options.runs), sweep.name)
      const { entries } = yield* SweepFolder.add(folder, file)
      const entry = entries[options.index]
      if (entry === undefined) {
        const reason = `it has ${entries.length} runs, and none of index ${options.index}`
        return yield* new SweepError({ sweep: sweep.name, reason, failed: false })
      }
      const state = yield* Pool.runEntry(folder, file, { program: file.program, args: argsOf(options) }, entry)
      yield* Launch.print(options.format, `${entry.id} ${state}`, { id: entry.id, state })
      if (state === "failed") {
        return yield* new SweepError({ sweep: sweep.name, reason: `run ${entry.id} failed`, failed: true })
      }
    })
  ).pipe(Command.withDescription("Runs one of a sweep's runs, as a job of an array does"))
