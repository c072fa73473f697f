/** `fork`: a new run that begins where another was, with other settings. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as JsonFile from "../files/JsonFile.ts"
import * as Manifest from "../runs/folder/Manifest.ts"
import * as RunFolder from "../runs/folder/RunFolder.ts"
import * as Config from "../runs/trial/Config.ts"
import * as Trial from "../runs/trial/Trial.ts"
import * as Checkpoint from "../runtime/run/Checkpoint.ts"
import * as Run from "../runtime/run/Run.ts"
import * as Computing from "./Computing.ts"
import * as Launch from "./launch/Launch.ts"
import * as Load from "./launch/Load.ts"
import * as Options from "./Options.ts"

/** Settings of two runs that are not the same, each with both values. */
const differing = (then: Config.Entries, now: Config.Entries): NonNullable<Manifest.Manifest["parent"]>["changed"] =>
  Object.fromEntries(
    [...new Set([...Object.keys(then), ...Object.keys(now)])].flatMap((key) => {
      const [from, to] = [then[key]?.value ?? null, now[key]?.value ?? null]
      return JSON.stringify(from) === JSON.stringify(to) ? [] : [[key, { from, to }] as const]
    })
  )

/** `tapweight fork`. */
export const fork = (programs: Load.Programs) =>
  Command.make(
    "fork",
    {
      run: Options.run,
      at: Flag.Int("at").pipe(
        Flag.withDescription("The tick to begin at, of which there is a checkpoint (the newest one where absent)"),
        Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
        Flag.optional
      ),
      set: Options.settings.set,
      ...Options.goingOn
    },
    Effect.fnUntraced(
      function* (options) {
        const path = yield* Path.Path
        const parent = yield* RunFolder.resolve(options.runs, options.run)
        const refuse = (reason: string) =>
          new Trial.TrialError({ reason: `run ${parent.id} cannot be forked: ${reason}` })
        if ((yield* RunFolder.trials(parent)).length > 0) {
          return yield* refuse("it has several trials, which may start from what others ended with. Start a new run")
        }
        const manifest = yield* Manifest.read(parent)
        const loaded = yield* Option.match(options.program, {
          onNone: () => Load.recorded(programs, parent.id, manifest.program.files),
          onSome: (source) => Load.load(programs, source)
        })
        const roots = { runs: path.resolve(options.runs), parent: path.resolve(parent.path) }
        yield* Launch.goTo(manifest.cwd)
        const entries = yield* JsonFile.readSealed(path.join(roots.parent, "config.json"), Config.Entries)
        const resolved = yield* Config.resolve(loaded.program.config, { stored: entries, overrides: options.set })
        const ready = yield* Launch.ready(loaded, resolved.value, yield* Computing.precision(parent, manifest))
        const [planned, ...others] = ready.planned
        const [before, ...more] = Object.values(manifest.program.problems)
        if (before === undefined || others.length + more.length > 0) return yield* refuse("it runs several problems")
        const { computing } = yield* Computing.resumed(parent, manifest, options)
        yield* Effect.gen(function* () {
          const directory = path.join(roots.parent, "checkpoints")
          const wrote = { program: before.fingerprint, seed: manifest.seeds.root }
          // What the forked problem would begin with: a checkpoint of other variables or shapes is refused.
          const like = yield* Run.start(planned.problem, resolved.value.seed)
          const found = yield* Option.match(options.at, {
            onNone: () => Checkpoint.load(directory, wrote, like),
            onSome: (tick) => Checkpoint.loadAt(directory, tick, wrote, like)
          })
          const { tick } = found.manifest
          if (resolved.value.ticks <= tick) {
            return yield* refuse(`it would begin at tick ${tick} and has ${resolved.value.ticks}: say -s ticks=N`)
          }
          const now = Config.entries(loaded.program.config, resolved)
          const created = yield* Launch.makeFolder(roots.runs, loaded, resolved, ready.planned, computing, {
            run: parent.id,
            tick,
            changed: differing(entries, now)
          })
          const own = { version: 1, tick, attempt: 0, seed: resolved.value.seed, extra: {} } as const
          const program = planned.fingerprints.program
          yield* Checkpoint.save(path.join(created.folder.path, "checkpoints"), { ...own, program }, found.state)
          yield* Launch.saying(options.quiet)(
            `run ${created.folder.path}  from tick ${tick} of ${parent.id}  engine ${Options.named(computing)}`
          )
          yield* Launch.finish(created, loaded, ready, 1, options)
        }).pipe(Effect.provide(Options.engineLayer(computing.engine, computing)))
      },
      Effect.scoped,
      Launch.hushed
    )
  ).pipe(Command.withDescription("Starts a new run from a checkpoint of another, with changed settings"))
