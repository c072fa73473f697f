import { hash } from "node:crypto"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import type { Problem } from "../../dsl/Problem.ts"
import { whole } from "../../dsl/errors/Numbers.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import { reveal } from "../../dsl/Concealed.ts"
import type * as Split from "../../dsl/Split.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import type { Var } from "../../dsl/Var.ts"
import * as Checkpoint from "../../runtime/run/Checkpoint.ts"
import { Engine, StepError } from "../../engines/Engine.ts"
import { fingerprints } from "../../compiler/Fingerprint.ts"
import * as Looks from "../../runtime/plan/Looks.ts"
import * as Plan from "../../runtime/plan/Plan.ts"
import * as Wiring from "../../runtime/plan/Wiring.ts"
import * as Run from "../../runtime/run/Run.ts"
import * as Safetensors from "../../files/tensors/Safetensors.ts"
import { initialVars } from "../../runtime/step/State.ts"
import * as Watch from "../../runtime/run/Watch.ts"
import * as JsonFile from "../../files/JsonFile.ts"
import * as RegularFile from "../../files/RegularFile.ts"
import type { ClaimError } from "../folder/Claim.ts"
import { Costs } from "../folder/Costs.ts"
import * as Records from "../folder/Records.ts"
import type { RunFolder } from "../folder/RunFolder.ts"
import * as TickRecords from "../folder/TickRecords.ts"

/** A trial that is asked for what it cannot give. */
export class TrialError extends Schema.TaggedError<TrialError>()("TrialError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return this.reason
  }
}

/** Fails once what is run is another process's. */
export type Fence = Effect.Effect<void, JsonFile.RunFileError | ClaimError>

/** How a problem is run into a folder. */
export interface Options<V extends Var.Any, E, R, E2 = never, R2 = never> {
  readonly problem: Problem<V, E, R>
  readonly ticks: number
  readonly seed: number
  /** Ticks between checkpoints; a tenth of the run by default. */
  readonly checkpointEvery?: number
  /**
   * Ticks between those at which the run says where hypergradients come from, how well solves converged, what updates did and what
   * levels cost; 0 for never. Where absent so many that it adds at most two in a hundred gradient evaluations (`Looks.every`).
   */
  readonly diagnosticsEvery?: number
  /** Validation on the way; with `select` the best tick's values are what the trial gives, not the last one's. */
  readonly validation?: {
    readonly every: number
    /** Rows scored. */
    readonly rows: number
    readonly score: (tick: Run.Tick<Var.Named<V>>) => Effect.Effect<Watch.Scores, E2, R2>
    readonly select?: { readonly metric: string; readonly mode: "max" | "min"; readonly patience?: number }
  }
  /** Asked before anything is written but a record. */
  readonly fence?: Fence
  /** Called after each tick. */
  readonly onTick?: (tick: Watch.Selected) => Effect.Effect<void>
}

/** What a finished trial gives; `H` is what the problem's variables hold, by name. */
export interface Outcome<out H = Run.HostVars> {
  readonly tick: number
  readonly vars: H
  readonly selection: Watch.Selection
  /**
   * Opens the test part of a split and scores it by `vars`: there is no other way into it, and no outcome before a trial has
   * ended and selected. Fails with a `TrialError` where this trial has opened that part before.
   */
  readonly test: <A, B, E, R>(
    part: Split.Test<A>,
    score: (part: A, vars: H) => Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E | TrialError, R>
}

/** Folders of the trials that have opened a test part. */
const openings = new WeakMap<Split.Test<unknown>, Set<string>>()

const testing =
  <H>(folder: RunFolder, vars: H): Outcome<H>["test"] =>
  <A, B, E, R>(part: Split.Test<A>, score: (part: A, vars: H) => Effect.Effect<B, E, R>) =>
    Effect.suspend((): Effect.Effect<B, E | TrialError, R> => {
      const known = openings.get(part) ?? new Set()
      if (known.has(folder.path)) {
        const reason = `${folder.path} has opened this test part before: score a finished trial on test data once`
        return Effect.fail(new TrialError({ reason }))
      }
      openings.set(part, known.add(folder.path))
      return score(reveal(part), vars)
    })

const Done = Schema.Struct({
  program: Schema.String,
  seed: Schema.Int,
  ticks: Schema.Int,
  tick: Schema.Int,
  selection: Watch.Selection,
  /** SHA-256 of the files of weights, by name. */
  weights: Schema.Record(Schema.String, Schema.String)
})

const endOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) ? "done" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"

/** Everything of a trial that can be known before it starts. */
const prepare = Effect.fnUntraced(function* <V extends Var.Any>(
  folder: RunFolder,
  problem: Problem<V, unknown, unknown>,
  seed: number
) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const plan = yield* Effect.fromResult(Plan.make(problem))
  const { bytes, program } = fingerprints(problem, plan)
  const host = initialVars(problem, Seed.make(seed))
  const at = (name: string) => path.join(folder.path, name)
  /** Writes values, and gives their SHA-256. */
  const save = Effect.fnUntraced(function* (name: string, vars: Run.HostVars) {
    const bytes = Safetensors.encode(Tree.hostEntries(vars))
    yield* JsonFile.replace(at(name), bytes)
    return hash("sha256", bytes)
  })
  const read = Effect.fnUntraced(function* (name: string, sha256: string | undefined) {
    const bytes = yield* RegularFile.read(at(name))
    if (hash("sha256", bytes) !== sha256) {
      const reason = "it is damaged: its SHA-256 is not the one that it was written with. Run into a new folder"
      return yield* new JsonFile.RunFileError({ file: at(name), reason })
    }
    const decoded = Safetensors.decode(bytes)
    if (Result.isFailure(decoded)) {
      return yield* new JsonFile.RunFileError({ file: at(name), reason: decoded.failure.message })
    }
    const { tensors } = decoded.success
    const missing = Tree.hostEntries(host).find(([name, like]) => tensors.get(name)?.shape.join() !== like.shape.join())
    if (missing !== undefined) {
      const reason = `it holds no '${missing[0]}' of shape [${missing[1].shape.join(", ")}]: run into a new folder`
      return yield* new JsonFile.RunFileError({ file: at(name), reason })
    }
    // What is read back has the structure of the initial values: the problem's variables by name.
    return Tree.mapHost(host, (_, path) => tensors.get(path)!) as Run.HostVars<Var.Named<V>>
  })
  /** The newest usable checkpoint; none where nothing was saved yet. */
  const resumed = Effect.gen(function* () {
    const directory = at("checkpoints")
    if (!(yield* Effect.mapError(fs.exists(directory), JsonFile.because(directory)))) return undefined
    if ((yield* Checkpoint.listed(directory)).length === 0) return undefined
    return yield* Checkpoint.load(directory, { program, seed }, yield* Run.start(problem, seed))
  })
  return { at, bytes, plan, program, read, resumed, save }
})

/**
 * Runs a problem into a folder: a record of every tick, checkpoints, the selected and the last values. Started again on
 * the same folder it goes on from the newest usable checkpoint, and ends with the bytes of an undisturbed run; a trial
 * that has ended is not run again. With more ticks one that has ended goes on from its newest checkpoint, to the bytes of
 * an undisturbed longer run; that is refused where there would be others.
 */
export const run = Effect.fnUntraced(function* <V extends Var.Any, E, R, E2 = never, R2 = never>(
  folder: RunFolder,
  options: Options<V, E, R, E2, R2>
) {
  type Tick = Run.Tick<Var.Named<V>>
  const { fence = Effect.void, problem, seed, ticks } = options
  whole("Trial.run: ticks", ticks, 1)
  whole("Trial.run: checkpointEvery", options.checkpointEvery ?? 1, 1)
  whole("Trial.run: validation.every", options.validation?.every ?? 1, 1)
  const fs = yield* FileSystem.FileSystem
  yield* Effect.mapError(fs.makeDirectory(folder.path, { recursive: true }), JsonFile.because(folder.path))
  const { at, bytes, plan, program, read, resumed, save } = yield* prepare(folder, problem, seed)
  const late = Plan.idle(plan, options.ticks)
  if (late !== undefined) return yield* late
  const select = options.validation?.select
  const given = Effect.fnUntraced(function* (done: typeof Done.Type) {
    type Vars = Run.HostVars<Var.Named<V>>
    const name = select === undefined ? "final.safetensors" : "best.safetensors"
    const vars = (yield* read(name, done.weights[name])) as Vars
    const { selection, tick } = done
    return { tick, vars, selection, test: testing(folder, vars) } satisfies Outcome<Vars> as Outcome<Vars>
  })
  if (yield* Effect.orElseSucceed(fs.exists(at("done.json")), () => false)) {
    const done = yield* JsonFile.readSealed(at("done.json"), Done)
    const refuse = (reason: string) =>
      new JsonFile.RunFileError({ file: at("done.json"), reason: `${reason}: run into a new folder` })
    if (done.program !== program || done.seed !== seed) return yield* refuse("it is the end of another program or seed")
    // One that had stopped early would have stopped there as well.
    if (done.ticks === ticks || (done.ticks < ticks && done.tick < done.ticks)) return yield* given(done)
    if (done.ticks > ticks) return yield* refuse(`it is the end of a longer run, of ${done.ticks} ticks`)
    if (select !== undefined && done.ticks % options.validation!.every !== 0) {
      const scored = `${done.ticks} ticks end between two scores of ${options.validation!.every} ticks`
      return yield* refuse(`${scored}, and the one taken there would not be taken in a longer run`)
    }
  }

  const from = yield* resumed
  const attempt = ((yield* Records.attempts(folder)).at(-1) ?? 0) + 1
  const writer = yield* Records.writer(folder, { attempt, from: from?.manifest.tick ?? 0, at: yield* DateTime.now })
  for (const { name, reason } of from?.skipped ?? [])
    yield* Effect.logWarning(`checkpoint ${name} passed over: ${reason}`)
  const started = yield* Clock.currentTimeMillis
  const variables = plan.levels
    .flatMap(({ buffers, variable }) => (buffers === undefined ? [variable] : [variable, buffers]))
    .concat(plan.fixed)
  const names = Wiring.elements(problem)

  const checkpoint = Effect.fnUntraced(function* (tick: Watch.Selected) {
    const manifest = {
      version: 1,
      tick: tick.index,
      attempt,
      seed,
      program,
      extra: { selection: tick.selection, weights }
    } as const
    yield* fence
    const name = yield* Checkpoint.save(at("checkpoints"), manifest, yield* tick.snapshot)
    yield* writer.append({ t: "ckpt", k: tick.index, path: `checkpoints/${name}` })
  })
  const every = options.checkpointEvery ?? Math.max(1, Math.ceil(ticks / 10))
  const saved = Schema.decodeUnknownOption(Watch.Selection)(from?.manifest.extra["selection"])
  /** What was saved, by name, at this attempt or before it. */
  let weights = Option.getOrElse(
    Schema.decodeUnknownOption(Done.fields.weights)(from?.manifest.extra["weights"]),
    () => ({})
  )
  const keep = Effect.fnUntraced(function* (name: string, vars: Run.HostVars) {
    yield* fence
    weights = { ...weights, [name]: yield* save(name, vars) }
  })
  let last: { readonly tick: number; readonly selection: Watch.Selection } = {
    tick: from?.manifest.tick ?? 0,
    selection: saved._tag === "Some" ? saved.value : Watch.nothing
  }
  const engine = yield* Engine
  const looks = options.diagnosticsEvery ?? Looks.every(plan)
  const costs = new Costs(plan, bytes)
  const each = Effect.fnUntraced(function* (tick: Watch.Selected<Run.Tick>) {
    const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000
    costs.add(tick)
    yield* writer.append(...TickRecords.of(plan, tick, seconds, names))
    if (looks > 0 && (tick.index % looks === 0 || tick.index === ticks)) {
      const memory = TickRecords.memory(tick.index, seconds, yield* engine.live)
      yield* writer.append(...costs.take(tick.index, seconds), memory)
    }
    if (tick.scores !== undefined) {
      const level = plan.levels.at(-1)!.name
      const rows = options.validation!.rows
      yield* writer.append({ t: "eval", k: tick.index, level, split: "validation", n: rows, metrics: tick.scores })
    }
    if (tick.improved) yield* keep("best.safetensors", yield* tick.read(variables))
    if (tick.index % every === 0 && tick.index < ticks) yield* checkpoint(tick)
    if (tick.index === ticks) yield* keep("final.safetensors", yield* tick.read(variables))
    last = { tick: tick.index, selection: tick.selection }
    if (options.onTick !== undefined) yield* options.onTick(tick)
  })
  const validation = options.validation
  const score = (tick: Tick) =>
    Effect.flatMap(validation!.score(tick), (scores) => {
      if (select === undefined || select.metric in scores) return Effect.succeed(scores)
      const found = Object.keys(scores).join(", ")
      return Effect.fail(
        new TrialError({ reason: `there is no score '${select.metric}' to select by: there is ${found}` })
      )
    })
  const scored = <E3, R3>(
    stream: Stream.Stream<Tick, E3, R3>
  ): Stream.Stream<Watch.Scored<Tick>, E2 | E3 | TrialError, R2 | R3> =>
    validation === undefined
      ? Stream.map(stream, (tick) => ({ ...tick, scores: undefined }))
      : Watch.scoring({ every: validation.every, last: ticks, score })(stream)
  const patience = select?.patience
  const stopped = () => patience !== undefined && last.selection.since >= patience
  const watched = <E3, R3>(stream: Stream.Stream<Tick, E3, R3>) =>
    stream.pipe(
      scored,
      Watch.selecting({ metric: select?.metric ?? "", mode: select?.mode ?? "min", from: last.selection }),
      Watch.into(each)
    )
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path | R2>()
  const work = watched(
    Run.ticks(problem, {
      ticks,
      seed,
      diagnosticsEvery: looks,
      ...(from === undefined ? {} : { from: { tick: from.manifest.tick, state: from.state } }),
      onInterrupt: (tick) =>
        // The interruption may fall between a tick and its recording, which is then done here.
        (tick.index === last.tick ? Effect.void : Stream.runDrain(watched(Stream.make(tick)))).pipe(
          Effect.andThen(checkpoint({ ...tick, scores: undefined, selection: last.selection, improved: false })),
          Effect.provideContext(context),
          Effect.catch((error) => Effect.logError(`no checkpoint at tick ${tick.index}: ${String(error)}`))
        )
    })
  ).pipe(patience === undefined ? (stream) => stream : Watch.stoppingAfter(patience), Stream.runDrain)
  // Nothing is said to be done that has no best values to give.
  const selected = Effect.suspend(() => {
    if (select === undefined || last.selection.best !== null) return Effect.void
    const reason = `no score '${select.metric}' was finite, of ${last.selection.since}: try a smaller learning rate`
    return Effect.fail(new StepError({ kind: "NonFinite", tick: last.tick, level: plan.levels.at(-1)!.name, reason }))
  })
  // A run that had stopped early, and was killed before it could say so, must not train on.
  yield* Effect.andThen(stopped() ? Effect.void : work, selected).pipe(
    Effect.onExit((exit) => Effect.ignore(writer.append({ t: "end", state: endOf(exit) })))
  )
  const done: typeof Done.Type = { program, seed, ticks, ...last, weights }
  yield* fence
  yield* JsonFile.writeSealed(at("done.json"), Done, done)
  return yield* given(done)
}, Effect.scoped)
