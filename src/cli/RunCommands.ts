/** Commands that look at runs, and change none. */
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as JsonFile from "../files/JsonFile.ts"
import * as Printable from "../files/Printable.ts"
import * as FolderLock from "../runs/folder/FolderLock.ts"
import * as LastRecords from "../runs/folder/LastRecords.ts"
import * as Manifest from "../runs/folder/Manifest.ts"
import * as Records from "../runs/folder/Records.ts"
import * as ResultFile from "../runs/folder/ResultFile.ts"
import * as RunFolder from "../runs/folder/RunFolder.ts"
import * as Status from "../runs/folder/Status.ts"
import * as Export from "../runs/export/Export.ts"
import * as Gathering from "../runs/statistics/Gathering.ts"
import * as Paired from "../runs/statistics/Paired.ts"
import * as Scored from "../runs/statistics/Scored.ts"
import * as Standing from "../runs/statistics/Standing.ts"
import * as ReportFile from "../runs/report/ReportFile.ts"
import * as Config from "../runs/trial/Config.ts"
import { trialFolder } from "../runs/trial/Session.ts"
import { Follower } from "../runs/watch/Follower.ts"
import * as RecordText from "../runs/view/RecordText.ts"
import * as RunText from "../runs/view/RunText.ts"
import * as StandingText from "../runs/view/StandingText.ts"
import { CheckError } from "./Check.ts"
import * as Launch from "./launch/Launch.ts"
import * as Options from "./Options.ts"
import { watch } from "./Watch.ts"

/** Everything of a run that its folder tells in few words; what cannot be read is told in its place. */
const summaryOf = Effect.fnUntraced(function* (folder: RunFolder.RunFolder) {
  const status = yield* Effect.result(Status.read(folder))
  const manifest = yield* Effect.result(Manifest.read(folder))
  return RunText.summary(folder, status, manifest)
})

const ls = Command.make(
  "ls",
  {
    program: Argument.String("program").pipe(Argument.withDescription("Only runs of this program"), Argument.optional),
    last: Flag.Int("last").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("The newest so many (20 where absent)"),
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
      Flag.withDefault(20)
    ),
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ format, last, program, runs }) {
    const all = yield* RunFolder.list(runs)
    const own = Option.match(program, {
      onNone: () => all,
      onSome: (name) => all.filter((run) => run.program === name)
    })
    const summaries = yield* Effect.forEach(own.slice(-last), summaryOf)
    const now = DateTime.toEpochMillis(yield* DateTime.now)
    yield* Launch.print(format, RunText.list(summaries, now), summaries)
    const hidden = own.length - summaries.length
    if (hidden > 0 && format === "text")
      yield* Console.error(`${hidden} older ones: say --last ${own.length} to see all`)
  })
).pipe(Command.withDescription("Lists runs, the newest last"))

const show = Command.make(
  "show",
  { run: Options.run, runs: Options.runs, format: Options.format },
  Effect.fnUntraced(function* ({ format, run, runs }) {
    const folder = yield* RunFolder.resolve(runs, run)
    const summary = yield* summaryOf(folder)
    const manifest = yield* Manifest.read(folder)
    const entries = yield* JsonFile.readSealed((yield* Path.Path).join(folder.path, "config.json"), Config.Entries)
    const result = yield* ResultFile.read(folder)
    yield* Launch.print(format, RunText.text(summary, manifest, entries, result), {
      ...summary,
      manifest,
      config: entries,
      result: result ?? null
    })
  })
).pipe(Command.withDescription("What a run is, how far, and what it said"))

const settings = Command.make(
  "show",
  { run: Options.run, runs: Options.runs, format: Options.format },
  Effect.fnUntraced(function* ({ format, run, runs }) {
    const folder = yield* RunFolder.resolve(runs, run)
    const entries = yield* JsonFile.readSealed((yield* Path.Path).join(folder.path, "config.json"), Config.Entries)
    yield* Launch.print(format, RunText.settings(entries), entries)
  })
).pipe(Command.withDescription("A run's settings, each with where its value came from"))

const config = Command.make("config").pipe(
  Command.withDescription("Settings of runs"),
  Command.withSubcommands([settings])
)

const tail = Command.make(
  "tail",
  {
    run: Options.run,
    last: Flag.Int("last").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("The last so many records (10 where absent)"),
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
      Flag.withDefault(10)
    ),
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Goes on with what the run writes, until it ends"),
      Flag.withDefault(false)
    ),
    trial: Flag.String("trial").pipe(
      Flag.withDescription("A trial of a run that has several, by its name"),
      Flag.withDefault("")
    ),
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ follow, format, last, run, runs, trial }) {
    const whole = yield* RunFolder.resolve(runs, run)
    const trials = yield* RunFolder.trials(whole)
    if (trial !== "" ? !trials.includes(trial) : trials.length > 0) {
      const reason = trial === "" ? "it has several trials: say --trial and one of" : "it has no such trial, but"
      return yield* new RunFolder.RunFolderError({ selector: run, reason, candidates: trials })
    }
    const path = yield* Path.Path
    const folder = trialFolder(whole, trial)
    const print = (records: ReadonlyArray<Records.Record>) =>
      Effect.forEach(
        records,
        (record) => Console.log(Printable.inline(format === "json" ? Records.line(record) : RecordText.line(record))),
        { discard: true }
      )
    // Asked before reading, so that what a run writes before it ends is seen.
    let going = yield* FolderLock.isHeld(whole.path)
    const { ends, records } = yield* LastRecords.read(folder, last)
    yield* print(records)
    if (!follow) return
    const followers = new Map<number, Follower>()
    for (;;) {
      for (const attempt of yield* Records.attempts(folder)) {
        const file = path.join(folder.path, `metrics-${attempt}.ndjson`)
        const follower = followers.get(attempt) ?? new Follower(file, ends.get(attempt))
        followers.set(attempt, follower)
        for (let more = true; more;) {
          const found = follower.next()
          more = found.more
          yield* print(found.records)
        }
      }
      if (!going) return
      yield* Effect.sleep("500 millis")
      going = yield* FolderLock.isHeld(whole.path)
    }
  })
).pipe(Command.withDescription("The last records of a run, and with --follow those to come"))

const compare = Command.make(
  "compare",
  {
    run: Options.run,
    others: Argument.String("run").pipe(Argument.withDescription("More runs"), Argument.variadic()),
    metric: Flag.String("metric").pipe(Flag.withDescription("The metric, where runs score several"), Flag.optional),
    split: Flag.Literals("split", ["validation", "test"]).pipe(
      Flag.withDescription("Scored on which rows (test, where there are such scores)"),
      Flag.optional
    ),
    baseline: Flag.String("baseline").pipe(
      Flag.withDescription("The method that the others are compared with; the first where absent"),
      Flag.optional
    ),
    require: Flag.String("require").pipe(
      Flag.withDescription("Exits with 3 unless this method is better on every task at a corrected p of 0.05"),
      Flag.optional
    ),
    force: Options.force,
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* (options) {
    const selectors = [...new Set([options.run, ...options.others])]
    const folders = yield* Effect.forEach(selectors, (selector) => RunFolder.resolve(options.runs, selector))
    const gathered = yield* Gathering.gather(folders, options.force)
    const { baseline, scores } = yield* Gathering.choose(gathered.scores, {
      metric: Option.getOrUndefined(options.metric),
      split: Option.getOrUndefined(options.split),
      baseline: Option.getOrUndefined(options.baseline)
    })
    const standings = Standing.of(scores, baseline)
    const warned = gathered.warnings.map((warning) => `compared by force: ${warning}`)
    const text = [...warned, StandingText.text(standings)].join("\n")
    yield* Launch.print(options.format, text, { runs: gathered.runs, warnings: gathered.warnings, ...standings })
    if (Option.isNone(options.require)) return
    const method = options.require.value
    const missed = standings.tasks.filter((task) => !Standing.isBetter(task, method, standings.better, Paired.level))
    if (missed.length > 0) {
      const where = missed.map(({ task }) => task).join(", ")
      const reason = `'${method}' is not better than '${baseline}' at a corrected p of ${Paired.level} on ${where}`
      return yield* new CheckError({ reason })
    }
  })
).pipe(
  Command.withDescription("Methods side by side by the scores of finished runs: paired, exact, corrected"),
  Command.withExamples([
    { command: "tapweight compare molecules@latest --baseline finetune", description: "All methods of one comparison" },
    { command: "tapweight compare k3f9 m2x0", description: "Two runs; methods are told apart by settings that differ" }
  ])
)

const report = Command.make(
  "report",
  {
    run: Options.run,
    others: Argument.String("run").pipe(
      Argument.withDescription("More runs, finished ones, beside the first on one page"),
      Argument.variadic()
    ),
    output: Flag.String("output").pipe(
      Flag.withAlias("o"),
      Flag.withDescription("The file (report.html, in the run's folder where it is one, where absent)"),
      Flag.optional
    ),
    force: Options.force,
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ force, format, others, output, run, runs }) {
    const path = yield* Path.Path
    const selectors = [...new Set([run, ...others])]
    const folders = yield* Effect.forEach(selectors, (selector) => RunFolder.resolve(runs, selector))
    const [folder] = folders
    if (folders.length > 1) {
      const { scores, warnings } = yield* Gathering.gather(folders, force)
      const file = yield* ReportFile.writeSeveral(
        { title: `${folders.length} runs`, folders, standings: Scored.standings(scores), warnings },
        path.resolve(Option.getOrElse(output, () => "report.html"))
      )
      return yield* Launch.print(format, file, { runs: folders.map(({ path }) => path), report: file })
    }
    const file = yield* ReportFile.write(
      folder!,
      Option.match(output, { onNone: () => undefined, onSome: path.resolve })
    )
    yield* Launch.print(format, file, { run: folder!.path, report: file })
  })
).pipe(
  Command.withDescription(
    "Writes a run, or several beside one another, as one page of HTML, which needs nothing else to be read"
  )
)

const exported = Command.make(
  "export",
  {
    run: Options.run,
    to: Flag.Literals("to", ["csv", "parquet", "tensorboard", "card"]).pipe(
      Flag.withDescription("Every number a row (csv, parquet), TensorBoard's event files, or a model card"),
      Flag.withDefault("csv")
    ),
    output: Flag.String("output").pipe(
      Flag.withAlias("o"),
      Flag.withDescription("The file, or TensorBoard's folder (in the run's folder where absent)"),
      Flag.optional
    ),
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ format, output, run, runs, to }) {
    const path = yield* Path.Path
    const folder = yield* RunFolder.resolve(runs, run)
    const file = yield* Export.write(
      folder,
      to,
      Option.match(output, { onNone: () => undefined, onSome: path.resolve })
    )
    yield* Launch.print(format, file, { run: folder.path, exported: file })
  })
).pipe(Command.withDescription("Writes a run for other programs"))

/** Commands for looking at runs. */
export const runCommands = [ls, show, tail, compare, report, watch, exported, config] as const
