import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "../runs/trial/Config.ts"
import * as JsonFile from "../files/JsonFile.ts"
import * as Printable from "../files/Printable.ts"
import * as Manifest from "../runs/folder/Manifest.ts"
import type * as PlanFile from "../runs/folder/PlanFile.ts"
import * as Records from "../runs/folder/Records.ts"
import * as ResultFile from "../runs/folder/ResultFile.ts"
import * as RunFolder from "../runs/folder/RunFolder.ts"
import * as Computing from "./Computing.ts"
import { doctor } from "./doctor/Doctor.ts"
import { fork } from "./Fork.ts"
import { diagnose, verify } from "./Hypergradients.ts"
import * as Launch from "./launch/Launch.ts"
import * as Expected from "./launch/Expected.ts"
import * as Load from "./launch/Load.ts"
import * as Options from "./Options.ts"
import * as Plans from "./Plans.ts"
import * as Tie from "./launch/Tie.ts"
import { runCommands } from "./RunCommands.ts"
import { runner } from "./sweep/database/RunnerCommand.ts"
import { sweepCommand } from "./sweep/SweepCommands.ts"

const run = (programs: Load.Programs) =>
  Command.make(
    "run",
    {
      program: Options.program(Object.keys(programs)),
      ...Options.settings,
      engine: Options.engine,
      threads: Options.threads,
      plugin: Options.plugin,
      devices: Options.devices,
      shardOptimizer: Options.shardOptimizer,
      into: Flag.String("into").pipe(
        Flag.withDescription("The run's own folder: begun if it is not there, gone on with if it is not done"),
        Flag.optional
      ),
      tied: Flag.Boolean("tied").pipe(
        Flag.withDescription(
          "Stops with a checkpoint when standard input ends, as TERM does: whoever started it is gone"
        ),
        Flag.withDefault(false)
      ),
      ...Expected.flags,
      precision: Options.precision,
      runs: Options.runs,
      format: Options.format,
      quiet: Options.quiet
    },
    Effect.fnUntraced(
      function* (options) {
        if (options.tied) yield* Tie.tied(options.beats)
        const loaded = yield* Load.load(programs, options.program)
        yield* Option.match(options.into, {
          onNone: () => Launch.start(loaded, options),
          onSome: (folder) => Launch.into(loaded, folder, options)
        })
      },
      Effect.scoped,
      Launch.hushed
    )
  ).pipe(
    Command.withDescription("Runs a program into a new run folder and prints its result"),
    Command.withExamples([
      { command: "tapweight run program.ts", description: "The program that the file exports by default" },
      {
        command: "tapweight run program.ts -s ticks=200",
        description: "One setting overridden"
      }
    ])
  )

const resume = (programs: Load.Programs) =>
  Command.make(
    "resume",
    {
      run: Options.run,
      ticks: Flag.Int("ticks").pipe(
        Flag.withDescription("Makes the run longer: the tick that it goes on to, whether or not it had ended"),
        Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
        Flag.optional
      ),
      changed: Flag.Boolean("changed").pipe(
        Flag.withDescription("Accepts a program file that has changed since the run was started"),
        Flag.withDefault(false)
      ),
      ...Options.goingOn
    },
    Effect.fnUntraced(
      function* (options) {
        const path = yield* Path.Path
        const found = yield* RunFolder.resolve(options.runs, options.run)
        const folder = { ...found, path: path.resolve(found.path) }
        const done = yield* ResultFile.read(folder)
        if (done !== undefined && Option.isNone(options.ticks)) {
          yield* Launch.print(options.format, done.text, { run: folder.path, result: done.result })
          return yield* Launch.saying(options.quiet)(`\nrun ${folder.id} was done already`)
        }
        const lock = yield* Launch.hold(folder)
        const manifest = yield* Manifest.read(folder)
        const loaded = yield* Option.match(options.program, {
          onNone: () => Load.recorded(programs, folder.id, manifest.program.files),
          onSome: (source) => Load.load(programs, source)
        })
        const { source } = loaded
        yield* Launch.goTo(manifest.cwd)
        const entries = yield* JsonFile.readSealed(path.join(folder.path, "config.json"), Config.Entries)
        const overrides = Option.match(options.ticks, { onNone: () => [], onSome: (ticks) => [`ticks=${ticks}`] })
        const resolved = yield* Config.resolve(loaded.program.config, { stored: entries, overrides })
        if (Option.isSome(options.ticks)) yield* Launch.refuseShorter(folder, entries, options.ticks.value)
        const ready = yield* Launch.ready(loaded, resolved.value, yield* Computing.precision(folder, manifest))
        const change = Launch.changed(manifest.program.problems, Launch.fingerprintsOf(ready.planned))
        if (change !== undefined) {
          const reason = Option.match(options.ticks, {
            onNone: () =>
              `it is not the program that run ${folder.id} was started with: ${change} changed. Restore it, or start a new run`,
            onSome: (ticks) =>
              `run ${folder.id} cannot be made ${ticks} ticks long: ${change} changed, by its length or since it was started. Start a new run`
          })
          return yield* new Load.ProgramError({ program: source, reason })
        }
        const { computing, runtime } = yield* Computing.resumed(folder, manifest, options)
        const hash = Object.values(manifest.program.files)[0]!
        if (hash !== loaded.sha256 && !options.changed) {
          const reason = `its file is not the one that run ${folder.id} was started with: what its functions compute may have changed. Restore it, start a new run, or say --changed if the change makes no difference`
          return yield* new Load.ProgramError({ program: source, reason })
        }
        // Inside the engine, so that one that cannot start, or is another, changes nothing.
        yield* Effect.gen(function* () {
          yield* Computing.held(folder, runtime, options)
          if (Option.isSome(options.ticks)) yield* Launch.lengthen(folder, loaded, resolved)
          const attempt = ((yield* Records.attempts(folder)).at(-1) ?? 1) + 1
          yield* Launch.saying(options.quiet)(
            `resume ${folder.path}  seed ${resolved.value.seed}  engine ${Options.named(computing)}`
          )
          yield* Launch.finish({ folder, lock }, loaded, ready, attempt, options)
        }).pipe(Effect.provide(Options.engineLayer(computing.engine, computing)))
      },
      Effect.scoped,
      Launch.hushed
    )
  ).pipe(Command.withDescription("Goes on with a run that was stopped, from its newest usable checkpoint"))

const plan = (programs: Load.Programs) =>
  Command.make(
    "plan",
    {
      program: Options.program(Object.keys(programs)),
      ...Options.settings,
      precision: Options.precision,
      devices: Options.devices,
      shardOptimizer: Options.shardOptimizer,
      format: Flag.Literals("format", ["text", "json", "mermaid"]).pipe(
        Flag.withDescription("Text for people, JSON for scripts, or a Mermaid flowchart"),
        Flag.withDefault("text")
      )
    },
    Effect.fnUntraced(function* (options) {
      const print = (plans: PlanFile.Plans) => Console.log(Printable.lines(Plans.forms[options.format](plans)))
      if (options.program.endsWith(".json")) return yield* print(yield* Plans.ofFile(options.program))
      const loaded = yield* Load.load(programs, options.program)
      const { value } = yield* Launch.resolve(loaded, options)
      const { planned } = yield* Launch.ready(loaded, value, options.precision)
      yield* print(Plans.written(planned))
      if (options.format === "text" && Option.isSome(options.devices))
        yield* Console.log(Printable.lines(yield* Plans.shared(planned, options.devices.value, options.shardOptimizer)))
      const uncompiled = Plans.uncompiled(planned)
      if (uncompiled !== undefined) yield* Effect.logWarning(`no compiled engine runs it: ${uncompiled.message}`)
    }, Effect.scoped)
  ).pipe(
    Command.withDescription(
      "Prints how each problem of a program, or a wiring in a .json file, will run: order, periods, sweeps, cost; runs nothing"
    )
  )

/** What every command line offers. */
export const commands = (programs: Load.Programs) =>
  [
    run(programs),
    plan(programs),
    resume(programs),
    fork(programs),
    verify(programs),
    diagnose(programs),
    doctor,
    ...runCommands,
    sweepCommand(programs),
    runner(programs)
  ] as const
