/** A sweep's file read, and each of its runs by its id. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as Precision from "../../dsl/Precision.ts"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import * as Config from "../../runs/trial/Config.ts"
import * as Sweep from "../../runs/sweep/Sweep.ts"
import type { SweepFile } from "../../runs/sweep/SweepFolder.ts"
import * as Expected from "../launch/Expected.ts"
import * as Launch from "../launch/Launch.ts"
import * as Load from "../launch/Load.ts"

/** Loads the sweep that a file exports by default. */
const load = Effect.fnUntraced(function* (file: string) {
  const path = yield* Path.Path
  const url = yield* Effect.orDie(path.toFileUrl(path.resolve(file)))
  const module = yield* Effect.tryPromise({
    try: () => import(url.href) as Promise<{ readonly default?: unknown }>,
    catch: (cause) => Sentence.causedBy(new Load.ProgramError({ program: file, reason: Sentence.of(cause) }), cause)
  })
  if (!Sweep.isSweep(module.default)) {
    const reason = "its default export is no sweep: export default Sweep.make({ … })"
    return yield* new Load.ProgramError({ program: file, reason })
  }
  return module.default
})

/**
 * What a sweep's file asks for. Every combination of settings is resolved and its problems are planned once, so that a setting
 * which is none is an error before anything runs; a run's id is a hash of that, its settings and its seed.
 */
export const asked = Effect.fnUntraced(function* (
  programs: Load.Programs,
  file: string,
  precision: Option.Option<Precision.Name> = Option.none()
) {
  const path = yield* Path.Path
  const sweep = yield* load(file)
  const source = /^\.\.?[/\\]/.test(sweep.program)
    ? path.join(path.dirname(path.resolve(file)), sweep.program)
    : sweep.program
  const loaded = yield* Load.load(programs, source)
  const fingerprints = new Map<Sweep.Settings, ReturnType<typeof Launch.fingerprintsOf>>()
  const first = sweep.seeds[0]!
  const resolve = (settings: Sweep.Settings, seed: number) =>
    Config.resolve(loaded.program.config, {
      overrides: [...Object.entries(settings).map(Sweep.override), `seed=${seed}`]
    })
  const all = Sweep.settings(sweep)
  for (const settings of all) {
    const { value } = yield* resolve(settings, first)
    const { planned } = yield* Effect.scoped(Launch.ready(loaded, value, precision))
    fingerprints.set(settings, Launch.fingerprintsOf(planned))
  }
  const entries = yield* Effect.forEach(
    sweep.seeds.flatMap((seed) => all.map((settings) => ({ settings, seed }))),
    ({ seed, settings }) =>
      Effect.map(resolve(settings, seed), (resolved) => {
        const values = Object.entries(Config.entries(loaded.program.config, resolved)).map(([key, { value }]) => [
          key,
          value
        ])
        const program = fingerprints.get(settings)!
        return {
          id: Expected.short(JSON.stringify([JSON.stringify(program), values])),
          settings,
          seed,
          levels: Expected.written({ seed: first, hash: Expected.hash(program) })
        }
      })
  )
  const distinct = new Map(entries.map((entry) => [entry.id, entry]))
  return {
    sweep,
    file: { version: 1, name: sweep.name, program: loaded.source, entries: [...distinct.values()] } satisfies SweepFile
  }
})
