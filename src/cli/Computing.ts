/** What a run that goes on computes with: what it began with, and what the command line says instead. */
import { realpathSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { Engine, EngineError } from "../engines/Engine.ts"
import * as Plugin from "../engines/xla/pjrt/Plugin.ts"
import * as JsonFile from "../files/JsonFile.ts"
import type { Manifest } from "../runs/folder/Manifest.ts"
import type { RunFolder } from "../runs/folder/RunFolder.ts"
import * as Load from "./launch/Load.ts"
import * as Options from "./Options.ts"

/** What the command line says; where it says nothing, a run goes on as it began. */
export interface Said {
  readonly engine: Option.Option<Options.EngineName>
  readonly threads: Option.Option<number>
  readonly plugin: Option.Option<string>
  readonly devices: Option.Option<number>
  readonly shardOptimizer: boolean
}

const refuse = (reason: string) => new EngineError({ kind: "Refused", engine: "xla", tick: null, reason })

/**
 * The plugin that a manifest names, under the present directory or where a plugin is looked for anyway: a run folder may come from
 * anywhere, and does not choose what code runs.
 */
const recorded = Effect.fnUntraced(function* (folder: RunFolder, plugin: string) {
  const anyway = yield* Effect.option(Plugin.find(undefined))
  const real = yield* Effect.option(Effect.try(() => realpathSync(plugin)))
  const same = Option.isSome(real) && Option.isSome(anyway) && realpathSync(anyway.value.path) === real.value
  if (same || (yield* Effect.orElseSucceed(Load.within(".", plugin), () => false))) return plugin
  const reason = `run ${folder.id} began with the plugin ${plugin}, but a run folder does not choose what code runs: name it with --plugin FILE`
  return yield* refuse(reason)
})

const engineOf = Effect.fnUntraced(function* (folder: RunFolder, manifest: Manifest) {
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Options.Recorded)(manifest.engine),
    JsonFile.because((yield* Path.Path).join(folder.path, "manifest.json"))
  )
})

/** The precision that a run began with: in another it would be another program. */
export const precision = (folder: RunFolder, manifest: Manifest) =>
  Effect.map(engineOf(folder, manifest), ({ precision }) => Option.fromUndefinedOr(precision))

/** The engine of a run that goes on, with its options. */
export const resumed = Effect.fnUntraced(function* (folder: RunFolder, manifest: Manifest, said: Said) {
  const { devices, plugin, precision, provider, runtime, shardOptimizer, threads } = yield* engineOf(folder, manifest)
  const engine = Option.getOrElse(said.engine, () => provider)
  const goesOn = engine === provider
  const own = goesOn && Options.isCompiled(engine) ? Option.some(threads) : Option.none<number>()
  const named = Option.isNone(said.plugin) && goesOn && plugin !== undefined
  const computing: Options.Computing = {
    engine,
    threads: Option.orElse(said.threads, () => own),
    precision: Option.fromUndefinedOr(precision),
    devices: Option.orElse(said.devices, () => (goesOn ? Option.fromUndefinedOr(devices) : Option.none())),
    // On a number of devices that is said anew, as that says.
    shardOptimizer: said.shardOptimizer || (goesOn && Option.isNone(said.devices) && shardOptimizer === true),
    plugin: named ? Option.some(yield* recorded(folder, plugin)) : said.plugin
  }
  return { computing, runtime: goesOn ? runtime : undefined }
})

/** What of a runtime is not as it was, for people. */
const differences = (then: Runtime, now: Runtime): string | undefined => {
  const parts = [...new Set([...Object.keys(then), ...Object.keys(now)])].filter((part) => then[part] !== now[part])
  return parts.length === 0
    ? undefined
    : parts.map((part) => `${part} ${then[part] ?? "none"}, now ${now[part] ?? "none"}`).join("; ")
}

type Runtime = NonNullable<Engine["Service"]["runtime"]>

/**
 * Holds the engine at hand against what a run began with: another build rounds otherwise. One that the command line names is
 * taken, and said; one that is only found is refused.
 */
export const held = Effect.fnUntraced(function* (folder: RunFolder, then: Runtime | undefined, said: Said) {
  const { runtime: now } = yield* Engine
  const apart = then === undefined || now === undefined ? undefined : differences(then, now)
  if (apart === undefined) return
  const what = `the plugin is not what run ${folder.id} began with (${apart}), so that its numbers may be rounded otherwise`
  if (Option.isSome(said.plugin)) return yield* Effect.logWarning(what)
  return yield* refuse(`${what}: name the one it began with, or accept this one, with --plugin FILE`)
})
