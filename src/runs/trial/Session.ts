/** What a program may use while it runs: its run folder, and trials in it. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import type { Var } from "../../dsl/Var.ts"
import { EngineError, StepError } from "../../engines/Engine.ts"
import type * as JsonFile from "../../files/JsonFile.ts"
import * as Wiring from "../../runtime/plan/Wiring.ts"
import type { Selected } from "../../runtime/run/Watch.ts"
import * as Manifest from "../folder/Manifest.ts"
import type { RunFolder } from "../folder/RunFolder.ts"
import * as Trial from "./Trial.ts"

/** One tick of one trial, as whoever watches the run is told. */
export interface TrialTick {
  readonly trial: string
  readonly tick: Selected
  readonly ticks: number
  /** Names of the tradeoff weights that a level reports as `lambda`, by level. */
  readonly weights: { readonly [level: string]: ReadonlyArray<string> }
}

/** What a program may use while it runs. */
export interface Session {
  readonly folder: RunFolder
  /** Notes in the manifest what the run reads; refuses to go on with other data or weights than it began with. */
  readonly inputs: (
    found: Manifest.Inputs
  ) => Effect.Effect<void, JsonFile.RunFileError, FileSystem.FileSystem | Path.Path>
  /**
   * Runs a problem into `trials/<name>` of the run folder, or into the folder itself where the name is empty. Fails with a
   * `TrialError` where the run has had a trial of this name.
   */
  readonly trial: <V extends Var.Any, E, R, E2 = never, R2 = never>(
    name: string,
    options: Omit<Trial.Options<V, E, R, E2, R2>, "onTick" | "fence">
  ) => ReturnType<typeof Trial.run<V, E, R, E2, R2>>
  /** As `trial`, of a trial that is asked for more than once: run the first time, and read from then on. */
  readonly shared: Session["trial"]
}

/** Where a trial of a run lies: `trials/<name>`, or the run's own folder where the name is empty. */
export const trialFolder = (folder: RunFolder, name: string): RunFolder =>
  name === "" ? folder : { ...folder, path: `${folder.path}/trials/${name}` }

/** The error of a trial says which one, where several are run. */
const ofTrial = <E>(name: string, error: E): E | StepError | EngineError => {
  if (error instanceof StepError) {
    return Sentence.causedBy(new StepError({ ...error, reason: `${error.reason} (trial ${name})` }), error)
  }
  if (error instanceof EngineError) return new EngineError({ ...error, reason: `${error.reason} (trial ${name})` })
  return error
}

/** A session in a folder; `watch` hears of every tick, and `fence` fails once the folder is no longer this process's to write. */
export const make = (
  folder: RunFolder,
  watch: (tick: TrialTick) => Effect.Effect<void>,
  fence: Trial.Fence = Effect.void
): Session => {
  const names = new Set<string>()
  const run: Session["trial"] = (name, options) =>
    Trial.run(trialFolder(folder, name), {
      ...options,
      fence,
      onTick: (tick) => watch({ trial: name, tick, ticks: options.ticks, weights: Wiring.elements(options.problem) })
    }).pipe(Effect.mapError((error) => (name === "" ? error : ofTrial(name, error))))
  const once: Session["trial"] = (name, options) =>
    Effect.suspend(() => {
      if (!names.has(name)) {
        names.add(name)
        return run(name, options)
      }
      const reason = `this run has a trial '${name}' already, and would give its result: name the second one otherwise, or ask for both by session.shared`
      return Effect.fail(new Trial.TrialError({ reason }))
    })
  return {
    folder,
    inputs: (found) => Manifest.inputs(folder, found),
    trial: once,
    shared: (name, options) => {
      names.add(name)
      return run(name, options)
    }
  }
}
