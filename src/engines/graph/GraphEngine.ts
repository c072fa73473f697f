/** The engine on a backend: a function is recorded once for each form of what it is called with. */
import * as Effect from "effect/Effect"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import type * as Tree from "../../dsl/values/Tree.ts"
import { outsideOf } from "../../runtime/step/Numbering.ts"
import { StepFailure } from "../../runtime/step/Evaluation.ts"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import { CompileError, type Engine, EngineError, type Failure } from "../Engine.ts"
import { collect, deviceOf, formOf, heldBy, hostOf, leavesOf, typesOf, wordsOf } from "../Handles.ts"
import type { Numbers } from "../Packed.ts"
import type { Backend, Loaded } from "./Backend.ts"
import { record } from "./Recording.ts"
import * as Sequence from "./Sequence.ts"

type Function = (...args: ReadonlyArray<never>) => readonly [Tree.Tree, Tree.Tree]

/** A function that one form is known of, and what it is called with. */
type Calling = (device: object, batch: unknown) => Effect.Effect<readonly [never, Tree.Host<never>], Failure>

/** How an engine is made of a backend. */
export interface Options {
  /** E.g. `compiled/cpu`. */
  readonly name: string
  /** Whether several steps go in one request. */
  readonly sequences: boolean
}

/** An engine whose arrays and functions a backend holds. */
export const make = <L extends Loaded>(backend: Backend<L>, { name, sequences }: Options): Engine["Service"] => {
  const failed = (cause: unknown): Failure =>
    cause instanceof CompileError || cause instanceof StepFailure || cause instanceof EngineError
      ? cause
      : new EngineError({ kind: "Threw", engine: backend.name, tick: null, reason: Sentence.of(cause) })

  const load = (f: Function, names: ReadonlyArray<string>, args: ReadonlyArray<unknown>): Effect.Effect<L, Failure> =>
    Effect.flatMap(Effect.try({ try: () => record(f, names, args), catch: failed }), backend.load)

  const run = (loaded: L, arrays: ReadonlyArray<Numbers>, held: ReadonlyArray<number>, consume: boolean) =>
    Effect.flatMap(backend.run([{ loaded, arrays }], held, consume), ({ error, kept, sent }) =>
      error === undefined
        ? Effect.succeed([deviceOf(loaded.kept, kept), hostOf(loaded.sent, sent)] as const)
        : Effect.fail(error)
    )

  const release = (device: object) => backend.release(heldBy(device).handles)

  /** The forms of one function, made when they are first needed. */
  const specialized = (f: Function) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Map<string, L>()),
        (forms) => Effect.forEach([...forms.values()], backend.unload, { discard: true })
      ),
      (forms): Sequence.Specialized<L> => {
        let latest: { readonly form: string; readonly loaded: L } | undefined
        return {
          find: (form, batch, found) => {
            if (latest?.form === form && collect(latest.loaded.batch, batch, found)) return latest.loaded
            const loaded = forms.get(`${form} | ${formOf(batch)}`)
            if (loaded === undefined) return undefined
            latest = { form, loaded }
            found.length = 0
            collect(loaded.batch, batch, found)
            return loaded
          },
          load: (device, form, batch) =>
            Effect.tap(load(f, ["state", "batch"], [device, batch]), (loaded) =>
              Effect.sync(() => forms.set(`${form} | ${formOf(batch)}`, loaded))
            )
        }
      }
    )

  const arraysOf = (host: unknown): ReadonlyArray<Numbers> =>
    leavesOf<{ readonly data: Numbers }>(host).map(({ data }) => data)

  const calling =
    ({ find, load: loading }: Sequence.Specialized<L>, owns: boolean): Calling =>
    (device, batch) => {
      const { form, handles } = heldBy(device)
      const arrays: Array<Numbers> = []
      const loaded = find(form, batch, arrays)
      const checked = (found: L, given: ReadonlyArray<Numbers>): ReturnType<Calling> => {
        const failure = outsideOf(found.numberings, given)
        if (failure === undefined) return run(found, given, handles, owns)
        return owns ? Effect.andThen(release(device), Effect.fail(failure)) : Effect.fail(failure)
      }
      if (loaded !== undefined) return checked(loaded, arrays)
      const made = loading(device, form, batch)
      // The state is taken over whatever happens, so nothing may come between.
      return Effect.uninterruptible(
        Effect.flatMap(owns ? Effect.tapError(made, () => release(device)) : made, (found) =>
          checked(found, arraysOf(batch))
        )
      )
    }

  return {
    name,
    compile: (step) =>
      Effect.map(
        specialized(step as never),
        (forms) => new Sequence.CompiledStep(backend, forms, calling(forms, true) as never)
      ),
    ...(sequences
      ? { sequences: { run: Sequence.make(backend), bytes: (device) => 4 * wordsOf(leavesOf(device)) } }
      : {}),
    observe: (f) =>
      Effect.map(
        specialized(((state: never, batch: never) => [[], f(state, batch)]) as never),
        (forms) => (state, batch) => Effect.map(calling(forms, false)(state, batch), ([, metrics]) => metrics as never)
      ),
    start: (f, input) =>
      Effect.acquireUseRelease(
        load(((given: never) => [f(given), []]) as never, ["input"], [input]),
        (loaded) => Effect.map(run(loaded, arraysOf(input), [], false), ([state]) => state),
        backend.unload
      ),
    upload: (host) =>
      Effect.suspend(() => {
        const tree = typesOf(host)
        return Effect.map(backend.upload(leavesOf<LeafType>(tree), arraysOf(host)), (handles) =>
          deviceOf({ tree, form: formOf(tree) }, handles)
        )
      }),
    download: (device) =>
      Effect.map(backend.download(heldBy(device).handles), (found) => hostOf({ tree: device as never }, found)),
    release,
    live: backend.live
  }
}
