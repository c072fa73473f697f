/** `tapweight sweep …`. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import * as Status from "../../runs/folder/Status.ts"
import * as Gathering from "../../runs/statistics/Gathering.ts"
import * as Standing from "../../runs/statistics/Standing.ts"
import * as SweepFolder from "../../runs/sweep/SweepFolder.ts"
import * as StandingText from "../../runs/view/StandingText.ts"
import * as Launch from "../launch/Launch.ts"
import type * as Load from "../launch/Load.ts"
import * as Options from "../Options.ts"
import { asked } from "./Asked.ts"
import * as Pool from "./Pool.ts"
import * as Scripts from "./Scripts.ts"
import * as SweepText from "./SweepText.ts"

/** A sweep that is not what it was taken for, or some of whose runs failed. */
export class SweepError extends Schema.TaggedError<SweepError>()("SweepError", {
  sweep: Schema.String,
  reason: Schema.String,
  failed: Schema.Boolean
}) {
  override get [errorExitCode](): number {
    return this.failed ? ExitCode.failed : ExitCode.usage
  }
  override get message(): string {
    return `sweep '${this.sweep}': ${this.reason}`
  }
}

const fileArgument = Argument.String("sweep").pipe(Argument.withDescription("A file whose default export is a sweep"))
const nameArgument = Argument.String("sweep").pipe(Argument.withDescription("A sweep by its name"))

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

/** A sweep that was started, by its name. */
const known = Effect.fnUntraced(function* (runs: string, name: string) {
  const folder = yield* SweepFolder.pathOf((yield* Path.Path).resolve(runs), name)
  const valid = /^[a-z0-9-]{1,64}$/.test(name)
  const file = valid ? yield* SweepFolder.read(folder) : undefined
  if (file === undefined) {
    return yield* new SweepError({ sweep: name, reason: `there is none of this name in ${runs}`, failed: false })
  }
  return { folder, file }
})

/** Every run's state, and what a failed one said. */
const statesOf = Effect.fnUntraced(function* (folder: string, file: SweepFolder.SweepFile) {
  return yield* Effect.forEach(file.entries, (entry) =>
    Effect.gen(function* () {
      const run = SweepFolder.runFolder(folder, file, entry)
      const state = yield* SweepFolder.stateOf(folder, run)
      const status = state === "failed" ? yield* Effect.result(Status.read(run)) : undefined
      const note = status !== undefined && Result.isSuccess(status) ? status.success.error : null
      return { entry, state, note }
    })
  )
})

const plan = (programs: Load.Programs) =>
  Command.make(
    "plan",
    { sweep: fileArgument, format: Options.format },
    Effect.fnUntraced(function* ({ format, sweep }) {
      const { file } = yield* asked(programs, sweep)
      yield* Launch.print(format, SweepText.plan(file.name, file.entries), file)
    })
  ).pipe(Command.withDescription("What a sweep would run, and what so many seeds can show; runs nothing"))

const start = (programs: Load.Programs) =>
  Command.make(
    "start",
    {
      sweep: fileArgument,
      local: Flag.Int("local").pipe(
        Flag.withDescription("So many runs at a time on this machine (1 where absent)"),
        Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 256 }))),
        Flag.withDefault(1)
      ),
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
      const { file, sweep } = yield* asked(programs, options.sweep)
      const folder = yield* SweepFolder.pathOf(path.resolve(options.runs), sweep.name)
      const { entries, fresh } = yield* SweepFolder.add(folder, file)
      const cwd = process.cwd()
      const job = { name: sweep.name, file: options.sweep, runs: options.runs, count: entries.length, cwd }
      if (options.slurm) return yield* Launch.print("text", Scripts.slurm(job), null)
      if (Option.isSome(options.k8s))
        return yield* Launch.print("text", Scripts.kubernetes(job, options.k8s.value), null)
      yield* Launch.saying(false)(`sweep ${sweep.name}: ${entries.length} runs, ${fresh} new, in ${folder}`)
      yield* SweepFolder.cancel(folder, false)
      yield* Pool.run(folder, file, { program: file.program, args: argsOf(options) }, file.entries, options.local)
      const states = yield* statesOf(folder, file)
      yield* Launch.print(options.format, SweepText.status(sweep.name, states), states)
      const failed = states.filter(({ state }) => state === "failed").length
      if (failed > 0) return yield* new SweepError({ sweep: sweep.name, reason: `${failed} runs failed`, failed: true })
    })
  ).pipe(
    Command.withDescription(
      "Runs a sweep here, one process a run; what is done is not run again, what was stopped goes on"
    )
  )

const exec = (programs: Load.Programs) =>
  Command.make(
    "exec",
    {
      sweep: fileArgument,
      index: Flag.Int("index").pipe(
        Flag.withDescription("Which of the sweep's runs, from 0"),
        Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
      ),
      ...computing,
      runs: Options.runs
    },
    Effect.fnUntraced(function* (options) {
      const { file, sweep } = yield* asked(programs, options.sweep)
      const folder = yield* SweepFolder.pathOf((yield* Path.Path).resolve(options.runs), sweep.name)
      const { entries } = yield* SweepFolder.add(folder, file)
      const entry = entries[options.index]
      if (entry === undefined) {
        const reason = `it has ${entries.length} runs, and none of index ${options.index}`
        return yield* new SweepError({ sweep: sweep.name, reason, failed: false })
      }
      const state = yield* Pool.runEntry(folder, file, { program: file.program, args: argsOf(options) }, entry)
      yield* Launch.print("text", `${entry.id} ${state}`, null)
      if (state === "failed") {
        return yield* new SweepError({ sweep: sweep.name, reason: `run ${entry.id} failed`, failed: true })
      }
    })
  ).pipe(Command.withDescription("Runs one of a sweep's runs, as a job of an array does"))

const status = Command.make(
  "status",
  { sweep: nameArgument, runs: Options.runs, format: Options.format },
  Effect.fnUntraced(function* ({ format, runs, sweep }) {
    const { file, folder } = yield* known(runs, sweep)
    const states = yield* statesOf(folder, file)
    yield* Launch.print(format, SweepText.status(sweep, states), states)
  })
).pipe(Command.withDescription("How many runs of a sweep are done, running, queued, failed, cancelled"))

const cancel = Command.make(
  "cancel",
  { sweep: nameArgument, runs: Options.runs },
  Effect.fnUntraced(function* ({ runs, sweep }) {
    const { folder } = yield* known(runs, sweep)
    yield* SweepFolder.cancel(folder, true)
    yield* Launch.print(
      "text",
      `sweep ${sweep}: cancelled; what runs saves a checkpoint and stops. Start it to go on`,
      null
    )
  })
).pipe(Command.withDescription("Stops a sweep: what runs saves a checkpoint, and what is queued is not begun"))

const retry = Command.make(
  "retry",
  { sweep: nameArgument, runs: Options.runs },
  Effect.fnUntraced(function* ({ runs, sweep }) {
    const { file, folder } = yield* known(runs, sweep)
    const failed = (yield* statesOf(folder, file)).filter(({ state }) => state === "failed")
    for (const { entry } of failed) SweepFolder.note(SweepFolder.runFolder(folder, file, entry), null, true)
    yield* Launch.print(
      "text",
      `sweep ${sweep}: ${failed.length} failed runs are queued again. Start it to run them`,
      null
    )
  })
).pipe(Command.withDescription("Forgives what failed, so that the next start tries it again"))

const report = Command.make(
  "report",
  {
    sweep: nameArgument,
    metric: Flag.String("metric").pipe(Flag.withDescription("The metric, where runs score several"), Flag.optional),
    baseline: Flag.String("baseline").pipe(Flag.withDescription("The method compared with"), Flag.optional),
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ baseline: asked, format, metric, runs, sweep }) {
    const { file, folder } = yield* known(runs, sweep)
    const states = yield* statesOf(folder, file)
    const done = states
      .filter(({ state }) => state === "done")
      .map(({ entry }) => SweepFolder.runFolder(folder, file, entry))
    if (done.length === 0) {
      return yield* new SweepError({ sweep, reason: "no run of it is done", failed: false })
    }
    const gathered = yield* Gathering.gather(done, false)
    const { baseline, scores } = yield* Gathering.choose(gathered.scores, {
      metric: Option.getOrUndefined(metric),
      split: undefined,
      baseline: Option.getOrUndefined(asked)
    })
    const standings = Standing.of(scores, baseline)
    const missing = states.length - done.length
    const text = [
      ...(missing === 0 ? [] : [`${missing} of ${states.length} runs are not done`]),
      StandingText.text(standings)
    ]
    yield* Launch.print(format, text.join("\n"), standings)
  })
).pipe(Command.withDescription("The done runs of a sweep side by side: paired by seed, exact, corrected"))

/** The command and its subcommands. */
export const sweepCommand = (programs: Load.Programs) =>
  Command.make("sweep").pipe(
    Command.withDescription("One program with many settings and seeds"),
    Command.withSubcommands([plan(programs), start(programs), exec(programs), status, cancel, retry, report])
  )
