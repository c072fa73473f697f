/** Commands that take a sweep by its name: `sweep status`, `cancel`, `retry`, `report`, `rebuild`. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Gathering from "../../runs/statistics/Gathering.ts"
import * as ReportFile from "../../runs/report/ReportFile.ts"
import * as Standing from "../../runs/statistics/Standing.ts"
import * as SweepFolder from "../../runs/sweep/SweepFolder.ts"
import * as StandingText from "../../runs/view/StandingText.ts"
import * as Launch from "../launch/Launch.ts"
import * as Options from "../Options.ts"
import * as DatabaseFlags from "./database/DatabaseFlags.ts"
import * as Following from "./Following.ts"
import { SweepError } from "./SweepError.ts"
import * as SweepText from "./SweepText.ts"
import { chosen } from "./Chosen.ts"
import { inDatabase } from "./database/Loading.ts"
import { statesOf } from "./States.ts"

const nameArgument = Argument.String("sweep").pipe(Argument.withDescription("A sweep by its name"))

const isName = (name: string): boolean => /^[a-z0-9-]{1,64}$/.test(name)
const noSuch = (runs: string, name: string) =>
  new SweepError({ sweep: name, reason: `there is none of this name in ${runs}`, failed: false })

/** A sweep that was started, by its name. */
const known = Effect.fnUntraced(function* (runs: string, name: string) {
  const folder = yield* SweepFolder.pathOf((yield* Path.Path).resolve(runs), name)
  const file = isName(name) ? yield* SweepFolder.read(folder) : undefined
  if (file === undefined) return yield* noSuch(runs, name)
  return { folder, file }
})

export const status = Command.make(
  "status",
  {
    sweep: nameArgument,
    watch: Flag.Boolean("watch").pipe(
      Flag.withAlias("w"),
      Flag.withDescription("Says it again whenever it has changed, until nothing is queued or running"),
      Flag.withDefault(false)
    ),
    db: DatabaseFlags.db,
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ db, format, runs, sweep, watch }) {
    if (Option.isSome(db)) return yield* (yield* inDatabase).status(db.value.url, sweep, format, watch)
    yield* Following.say(
      Effect.gen(function* () {
        const { file, folder } = yield* known(runs, sweep)
        const states = yield* statesOf(folder, file)
        return { text: SweepText.status(sweep, states), json: states, states: states.map(({ state }) => state) }
      }),
      format,
      watch
    )
  })
).pipe(Command.withDescription("How many runs of a sweep are done, running, queued, failed, cancelled"))

export const cancel = Command.make(
  "cancel",
  {
    sweep: nameArgument,
    trial: Flag.String("trial").pipe(
      Flag.withDescription("Only this run of it, by its id or a unique beginning of it"),
      Flag.optional
    ),
    now: Flag.Boolean("now").pipe(
      Flag.withDescription("Kills what runs: it goes on from its last checkpoint when the sweep is started"),
      Flag.withDefault(false)
    ),
    db: DatabaseFlags.db,
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ db, format, now, runs, sweep, trial }) {
    if (Option.isSome(db))
      return yield* (yield* inDatabase).cancel(db.value.url, sweep, Option.getOrUndefined(trial), now, format)
    const { file, folder } = yield* known(runs, sweep)
    const entry = Option.isSome(trial) ? yield* chosen(sweep, file.entries, trial.value) : undefined
    yield* SweepFolder.cancel(entry === undefined ? folder : SweepFolder.runFolder(folder, file, entry).path, now)
    const what = entry === undefined ? "cancelled" : `${entry.id} is cancelled`
    yield* Launch.print(
      format,
      `sweep ${sweep}: ${what}; what runs ${now ? "is killed" : "saves a checkpoint and stops"}. Start it to go on`,
      { sweep, trial: entry?.id ?? null, now }
    )
  })
).pipe(Command.withDescription("Stops a sweep: what runs saves a checkpoint, and what is queued is not begun"))

export const retry = Command.make(
  "retry",
  { sweep: nameArgument, db: DatabaseFlags.db, runs: Options.runs, format: Options.format },
  Effect.fnUntraced(function* ({ db, format, runs, sweep }) {
    if (Option.isSome(db)) return yield* (yield* inDatabase).retry(db.value.url, sweep, format)
    const { file, folder } = yield* known(runs, sweep)
    const failed = (yield* statesOf(folder, file)).filter(({ state }) => state === "failed")
    for (const { entry } of failed) SweepFolder.note(SweepFolder.runFolder(folder, file, entry), null, true)
    yield* Launch.print(format, `sweep ${sweep}: ${failed.length} failed runs are queued again. Start it to run them`, {
      sweep,
      queued: failed.length
    })
  })
).pipe(Command.withDescription("Forgives what failed, so that the next start tries it again"))

export const report = Command.make(
  "report",
  {
    sweep: nameArgument,
    metric: Flag.String("metric").pipe(Flag.withDescription("The metric, where runs score several"), Flag.optional),
    baseline: Flag.String("baseline").pipe(Flag.withDescription("The method compared with"), Flag.optional),
    output: Flag.String("output").pipe(
      Flag.withAlias("o"),
      Flag.withDescription("A file: what is compared, curves and settings as one page of HTML"),
      Flag.optional
    ),
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ baseline: asked, format, metric, output, runs, sweep }) {
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
    const warnings = missing === 0 ? [] : [`${missing} of ${states.length} runs are not done`]
    if (Option.isSome(output)) {
      const page = { title: `sweep ${sweep}`, folders: done, standings: [standings], warnings }
      yield* ReportFile.writeSeveral(page, (yield* Path.Path).resolve(output.value))
    }
    yield* Launch.print(format, [...warnings, StandingText.text(standings)].join("\n"), standings)
  })
).pipe(Command.withDescription("The done runs of a sweep side by side: paired by seed, exact, corrected"))

export const rebuild = Command.make(
  "rebuild",
  { sweep: nameArgument, db: DatabaseFlags.db, pool: DatabaseFlags.pool, runs: Options.runs, format: Options.format },
  Effect.fnUntraced(function* ({ db, format, pool, runs, sweep }) {
    if (Option.isNone(db)) {
      const reason = "into which database? Name it in TAPWEIGHT_DB, or with --db"
      return yield* new SweepError({ sweep, reason, failed: false })
    }
    if (!isName(sweep)) return yield* noSuch(runs, sweep)
    yield* (yield* inDatabase).rebuild(db.value.url, sweep, runs, pool, format)
  })
).pipe(
  Command.withDescription(
    "Makes a sweep's rows in a database from its run folders, and its file beside these from the rows: what each lacks"
  )
)
