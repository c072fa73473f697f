import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { Problem } from "../dsl/Problem.ts"
import * as Seed from "../dsl/Seed.ts"
import { fingerprint } from "../runtime/Fingerprint.ts"
import * as Plan from "../runtime/Plan.ts"
import * as PlanText from "../runtime/PlanText.ts"
import * as Verify from "../runtime/Verify.ts"
import * as Config from "../runs/Config.ts"
import * as JsonFile from "../runs/JsonFile.ts"
import * as Manifest from "../runs/Manifest.ts"
import * as Records from "../runs/Records.ts"
import * as RunFolder from "../runs/RunFolder.ts"
import { execute, stored } from "./Execute.ts"
import * as Load from "./Load.ts"
import * as Options from "./Options.ts"
import * as Progress from "./Progress.ts"

type Settings = { readonly [key: string]: unknown; readonly seed: number }

/** A check that was asked for and did not hold. */
export class CheckError extends Schema.TaggedError<CheckError>()("CheckError", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

interface Given {
  readonly set: ReadonlyArray<string>
  readonly preset: Option.Option<string>
  readonly config: Option.Option<string>
}

const resolve = Effect.fnUntraced(function* (loaded: Load.Loaded, given: Given) {
  const resolved = yield* Config.resolve(loaded.program.config, {
    overrides: given.set,
    preset: Option.getOrUndefined(given.preset),
    file: Option.getOrUndefined(given.config)
  })
  return resolved as Config.Resolved<Settings>
})

const problemOf = (loaded: Load.Loaded, settings: Settings) =>
  (loaded.program.problem(settings) as Effect.Effect<Problem.Any, unknown, never>).pipe(
    // A program is made of plain constructors, which throw a plain sentence for a bad value.
    Effect.catchDefect((cause) =>
      Effect.fail(
        new Load.ProgramError({
          program: loaded.source,
          reason: cause instanceof Error ? cause.message : String(cause)
        })
      )
    )
  )

const print = (format: "text" | "json", text: string, json: unknown) =>
  Console.log(format === "json" ? JSON.stringify(json) : text)

const saying = (quiet: boolean) => (text: string) => (quiet ? Effect.void : Console.error(text))

const version = "0.1.0"

const prepare = Effect.fnUntraced(function* (
  root: string,
  loaded: Load.Loaded,
  resolved: Config.Resolved<Settings>,
  engine: string
) {
  const path = yield* Path.Path
  const problem = yield* problemOf(loaded, resolved.value)
  const plan = yield* Effect.fromResult(Plan.make(problem))
  const folder = yield* RunFolder.create(root, loaded.program.name)
  const seed = Seed.make(resolved.value.seed)
  const entries = Config.entries(loaded.program.config, resolved as never)
  yield* JsonFile.write(path.join(folder.path, "config.json"), Config.Entries, entries)
  yield* JsonFile.write(path.join(folder.path, "plan.json"), Plan.Plan, plan)
  yield* JsonFile.replace(path.join(folder.path, "plan.txt"), new TextEncoder().encode(`${PlanText.text(plan)}\n`))
  yield* Manifest.write(folder, process.cwd(), {
    program: { fingerprint: fingerprint(problem, plan), levels: {}, files: { [loaded.source]: loaded.sha256 } },
    versions: { tapweight: version },
    seeds: {
      root: resolved.value.seed,
      algorithm: "threefry2x32-20",
      levels: Object.fromEntries(
        plan.levels.map((level) => [
          level.name,
          [...Seed.fold(Seed.fold(seed, "data"), level.name).key] as [number, number]
        ])
      )
    },
    data: [],
    weights: [],
    engine: { provider: engine, threads: 1, gpu: null },
    parent: null
  })
  return folder
})

const finish = Effect.fnUntraced(function* (
  folder: RunFolder.RunFolder,
  loaded: Load.Loaded,
  settings: Settings,
  attempt: number,
  options: { readonly engine: Options.EngineName; readonly quiet: boolean; readonly format: "text" | "json" }
) {
  const say = saying(options.quiet)
  const display = options.quiet ? Progress.quiet : Progress.forStream(process.stderr)
  const said = yield* execute(folder, loaded.program, settings, display, say, attempt).pipe(
    Effect.provide(Options.engineLayer(options.engine)),
    Effect.onInterrupt(() => say(`\nstopped; go on with:  tapweight resume ${folder.path}`))
  )
  yield* print(options.format, said.text, { run: folder.path, result: said.result })
  yield* say(`\nsaved in ${folder.path}`)
})

const run = Command.make(
  "run",
  {
    program: Options.program,
    ...Options.settings,
    engine: Options.engine,
    runs: Options.runs,
    format: Options.format,
    quiet: Options.quiet
  },
  Effect.fnUntraced(function* (options) {
    const loaded = yield* Load.load(options.program)
    const resolved = yield* resolve(loaded, options)
    const folder = yield* prepare(options.runs, loaded, resolved, options.engine)
    yield* saying(options.quiet)(`run ${folder.path}  seed ${resolved.value.seed}  engine ${options.engine}`)
    yield* finish(folder, loaded, resolved.value, 1, options)
  })
).pipe(
  Command.withDescription("Runs a program into a new run folder and prints its result"),
  Command.withExamples([
    { command: "tapweight run brown", description: "TapWeight on the Brown corpus" },
    {
      command: "tapweight run examples/01-hyperparameters.ts -s ticks=200",
      description: "A program file, one setting overridden"
    }
  ])
)

const resume = Command.make(
  "resume",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription("A run: its folder, its id or a unique part of it, or @latest")
    ),
    program: Argument.String("program").pipe(
      Argument.withDescription("The program, where it is no longer where the run was started from"),
      Argument.optional
    ),
    engine: Flag.optional(Options.engineFlag),
    runs: Options.runs,
    format: Options.format,
    quiet: Options.quiet
  },
  Effect.fnUntraced(function* (options) {
    const path = yield* Path.Path
    const folder = yield* RunFolder.resolve(options.runs, options.run)
    const manifest = yield* Manifest.read(folder)
    const source = Option.getOrElse(options.program, () => Object.keys(manifest.program.files)[0]!)
    const loaded = yield* Load.load(source)
    const entries = yield* JsonFile.read(path.join(folder.path, "config.json"), Config.Entries)
    const overrides = Object.entries(entries).map(
      ([key, { value }]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
    )
    const resolved = (yield* Config.resolve(loaded.program.config, { overrides })) as Config.Resolved<Settings>
    const problem = yield* problemOf(loaded, resolved.value)
    const plan = yield* Effect.fromResult(Plan.make(problem))
    if (fingerprint(problem, plan) !== manifest.program.fingerprint) {
      const reason = `it is not the program that run ${folder.id} was started with: its levels, objectives, data fields or shapes have changed. Restore it, or start a new run`
      return yield* new Load.ProgramError({ program: source, reason })
    }
    const engine = Option.getOrElse(options.engine, () => manifest.engine.provider as Options.EngineName)
    const attempt = ((yield* Records.attempts(folder)).at(-1) ?? 1) + 1
    const done = yield* stored(folder)
    if (done !== undefined) {
      yield* print(options.format, done.text, { run: folder.path, result: done.result })
      return yield* saying(options.quiet)(`\nrun ${folder.id} was done already`)
    }
    yield* saying(options.quiet)(`resume ${folder.path}  seed ${resolved.value.seed}  engine ${engine}`)
    yield* finish(folder, loaded, resolved.value, attempt, { ...options, engine })
  })
).pipe(Command.withDescription("Goes on with a run that was stopped, from its newest usable checkpoint"))

const plan = Command.make(
  "plan",
  {
    program: Options.program,
    ...Options.settings,
    format: Flag.Literals("format", ["text", "json", "mermaid"]).pipe(
      Flag.withDescription("Text for people, JSON for scripts, or a Mermaid flowchart"),
      Flag.withDefault("text")
    )
  },
  Effect.fnUntraced(function* (options) {
    const loaded = yield* Load.load(options.program)
    const { value } = yield* resolve(loaded, options)
    const made = Plan.make(yield* problemOf(loaded, value))
    if (Result.isFailure(made)) return yield* made.failure
    const text = { text: PlanText.text, mermaid: PlanText.mermaid, json: (p: Plan.Plan) => JSON.stringify(p) }[
      options.format
    ]
    yield* Console.log(text(made.success))
  })
).pipe(Command.withDescription("Prints how a program will run: order, periods, sweeps, cost; runs nothing"))

const verify = Command.make(
  "verify",
  {
    program: Options.program,
    ...Options.settings,
    engine: Options.engine,
    format: Options.format,
    level: Flag.String("level").pipe(
      Flag.withDescription("The level whose gradient is checked; the top one where absent"),
      Flag.optional
    ),
    directions: Flag.Int("directions").pipe(Flag.withDescription("Directions to compare along"), Flag.withDefault(8)),
    solve: Flag.Int("solve").pipe(
      Flag.withDescription("Ticks given to the levels below to solve their problems"),
      Flag.withDefault(200)
    ),
    radius: Flag.Finite("radius").pipe(Flag.withDescription("Step of the central difference"), Flag.withDefault(0.01)),
    require: Flag.Finite("require").pipe(
      Flag.withDescription("Exits with 3 if the relative error is above this"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* (options) {
    const loaded = yield* Load.load(options.program)
    const { value } = yield* resolve(loaded, options)
    const problem = yield* problemOf(loaded, value)
    const found = yield* Verify.verify(problem as never, {
      seed: value.seed,
      directions: options.directions,
      solveTicks: options.solve,
      radius: options.radius,
      ...(Option.isSome(options.level) ? { level: options.level.value } : {})
    }).pipe(Effect.provide(Options.engineLayer(options.engine)))
    yield* print(options.format, Verify.text(found), found)
    if (Option.isSome(options.require) && !(found.relativeError <= options.require.value)) {
      return yield* new CheckError({
        reason: `relative error ${found.relativeError} is above ${options.require.value}`
      })
    }
  })
).pipe(Command.withDescription("Compares a program's hypergradient with central differences of the re-solved problem"))

/** The command line. */
export const tapweight = Command.make("tapweight").pipe(
  Command.withDescription("Multi-level optimization as a typed language: run, plan, resume and verify programs"),
  Command.withSubcommands([run, plan, resume, verify])
)

/** Runs the command line. */
export const main = Command.run(tapweight, { version })
