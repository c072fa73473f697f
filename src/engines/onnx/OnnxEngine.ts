import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Sentence from "../../dsl/Sentence.ts"
import { float32 } from "../../dsl/NdArray.ts"
import { whole } from "../../dsl/Numbers.ts"
import type * as Tree from "../../dsl/Tree.ts"
import { CompileError, Engine, EngineError, type Failure } from "../Engine.ts"
import { refuseTf32 } from "../tf32.ts"
import { inLevel, StepFailure } from "../../runtime/step/Evaluation.ts"
import { numbered, outsideOf } from "../../runtime/step/Numbering.ts"
import { collect, deviceOf, formOf, heldBy, hostOf, leavesOf, shaped, type Types } from "../Handles.ts"
import { typesOf, wordsOf } from "../Handles.ts"
import type { Piece } from "../../compiler/onnx/Chain.ts"
import * as ChainCache from "./ChainCache.ts"
import * as TransferCache from "./TransferCache.ts"
import { type Lowered, lower } from "../../compiler/onnx/Lower.ts"
import { encode } from "../../compiler/onnx/Onnx.ts"
import type { Executable, Part, Result } from "../../compiler/onnx/Executable.ts"
import type { Provider } from "../../compiler/onnx/Onnx.ts"
import { type Numbers, pack } from "../Packed.ts"
import type { Call } from "./Protocol.ts"
import * as ExecutableCache from "./ExecutableCache.ts"
import * as Sequence from "./Sequence.ts"
import type { Loaded, Specialized } from "./Sequence.ts"
import * as WorkerClient from "./WorkerClient.ts"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import { trace, type Traced } from "../../compiler/trace/Trace.ts"

/** Threads inside of one operation where nothing else is asked for. */
export const defaultThreads = 2

/** How a compiled engine runs steps. */
export interface Options {
  /** What computes: `cpu` where absent. Where another does not start, or lacks a kernel, that is an error. */
  readonly provider?: Provider
  /** Threads inside of one operation; 2 where absent. One is best for tiny models. */
  readonly threads?: number
  /**
   * Whether threads wait for their next share of work by spinning; they do not where absent. A quarter faster on small
   * operations where the cores are free, and several times slower where other processes want them too.
   */
  readonly spinning?: boolean
}

const arraysOf = (host: unknown): ReadonlyArray<Numbers> =>
  leavesOf<{ readonly data: Numbers }>(host).map(({ data }) => data)

const toFailure = (cause: unknown): Failure => {
  if (cause instanceof CompileError || cause instanceof StepFailure) return cause
  return WorkerClient.failure("Threw", Sentence.of(cause))
}

const partOf = ({ draws, feeds, model }: Lowered, provider: Provider): Part => ({
  // Elsewhere than on the cpu there is no operator that seals.
  model: model === undefined ? undefined : encode(model, provider === "cpu"),
  feeds,
  draws
})
const resultsOf = (types: ReadonlyArray<LeafType>, { sources }: Lowered): ReadonlyArray<Result> =>
  types.map(({ dtype, shape }, i) => ({ dtype, shape, source: sources[i]! }))

/** The executable of `f`: its first tree of results stays with the worker, its second comes back. */
const executableOf = (
  provider: Provider,
  f: (...args: ReadonlyArray<never>) => readonly [Tree.Tree, Tree.Tree],
  names: ReadonlyArray<string>,
  args: ReadonlyArray<unknown>
): Executable & Pick<Traced, "numberings"> & { readonly trees: readonly [Types, Types]; readonly lowered: Lowered } => {
  // What the function itself throws is its own fault, not the engine's.
  const own = (...args: ReadonlyArray<never>) => inLevel("", () => f(...args))
  const traced = trace(own as never, names, args)
  const lowered = lower(traced.inputs, traced.results, "given", provider)
  const trees = traced.structure as unknown as readonly [Types, Types]
  const results = resultsOf(leavesOf<LeafType>(traced.structure), lowered)
  const kept = leavesOf(trees[0]).length
  const key: LeafType = { dtype: "int32", shape: [2] }
  return {
    ...partOf(lowered, provider),
    inputs: traced.inputs.map(({ dtype, shape }) => ({ dtype: dtype as "float32", shape })),
    kept: results.slice(0, kept),
    sent: results.slice(kept),
    keys:
      lowered.keys === undefined
        ? undefined
        : {
            ...partOf(lowered.keys, "cpu"),
            results: resultsOf(
              lowered.keys.sources.map(() => key),
              lowered.keys
            )
          },
    numberings: traced.numberings,
    trees,
    lowered
  }
}

/**
 * An engine on a client; also where tests reach the worker.
 *
 * @internal
 */
export const service = (client: WorkerClient.WorkerClient, options: Options = {}): Engine["Service"] => {
  const { ask, tell } = client
  const provider = options.provider ?? "cpu"
  if (provider === "cuda") refuseTf32()
  const executables = ExecutableCache.make(client, {
    provider,
    threads: options.threads ?? defaultThreads,
    spinning: options.spinning ?? false
  })

  const load = Effect.fnUntraced(function* (f: () => ReturnType<typeof executableOf>, batch: unknown) {
    const { lowered, numberings, trees, ...executable } = yield* Effect.try({ try: f, catch: toFailure })
    const id = yield* Effect.mapError(executables.load(executable), (error) =>
      error.kind === "Died" ? error : new EngineError({ ...error, kind: "Refused" })
    )
    const piece: Piece = { ...executable, key: id, lowered }
    const held = executable.inputs.length - leavesOf(batch).length
    return {
      id,
      piece,
      batch: typesOf(batch),
      kept: shaped(trees[0]),
      sent: shaped(trees[1]),
      numberings: numbered(numberings, executable.inputs, held)
    } satisfies Loaded
  })

  const loans = TransferCache.make()
  const chains = ChainCache.make(executables)

  const ran = (
    calls: ReadonlyArray<Pick<ChainCache.Called, "id" | "arrays">>,
    held: ReadonlyArray<number>,
    consume: boolean
  ) =>
    Effect.suspend(() => {
      const { brought, ...load } = loans.pack(calls.map(({ arrays }) => arrays))
      const steps = calls.map(({ id }, i): Call => ({ executable: id, brought: brought[i]! }))
      return Effect.map(ask({ type: "run", held, calls: steps, load, consume }, [load.packed]), (reply) => ({
        ...reply,
        bytes: load.packed.byteLength
      }))
    })

  const run = (executable: Loaded, arrays: ReadonlyArray<Numbers>, held: ReadonlyArray<number>, consume: boolean) =>
    ran([{ id: executable.id, arrays }], held, consume).pipe(
      Effect.flatMap(({ error, kept, sent }) =>
        error === undefined
          ? Effect.succeed([deviceOf(executable.kept, kept), hostOf(executable.sent, sent)] as const)
          : Effect.fail(WorkerClient.failure("Threw", error))
      )
    )

  // Nobody waits for it: what is asked later is answered later.
  const release = (device: object) => Effect.sync(() => tell({ type: "release", handles: heldBy(device).handles }))

  /** ExecutableCache of one function by the forms of what it is called with, made when they are first needed. */
  const specialized = (f: (state: never, batch: never) => readonly [Tree.Tree, Tree.Tree]) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Map<string, Loaded>()),
        (loadedBy) =>
          Effect.forEach(
            [...loadedBy.values()],
            ({ id }) => Effect.andThen(chains.forget(id), executables.unload(id)),
            {
              discard: true
            }
          )
      ),
      (loadedBy): Specialized => {
        let latest: { readonly form: string; readonly executable: Loaded } | undefined
        return {
          find: (form, batch, found) => {
            if (latest?.form === form && collect(latest.executable.batch, batch, found)) return latest.executable
            const executable = loadedBy.get(`${form} | ${formOf(batch)}`)
            if (executable === undefined) return undefined
            latest = { form, executable }
            found.length = 0
            collect(executable.batch, batch, found)
            return executable
          },
          load: (device, form, batch) =>
            Effect.tap(
              load(() => executableOf(provider, f, ["state", "batch"], [device, batch]), batch),
              (loaded) => Effect.sync(() => loadedBy.set(`${form} | ${formOf(batch)}`, loaded))
            )
        }
      }
    )

  const calling = ({ find, load: loading }: Specialized, owns: boolean) => {
    return (device: object, batch: unknown) => {
      const { form, handles } = heldBy(device)
      const arrays: Array<Numbers> = []
      const executable = find(form, batch, arrays)
      const checked = (
        loaded: Loaded,
        given: ReadonlyArray<Numbers>
      ): Effect.Effect<readonly [never, Tree.Host<never>], Failure> => {
        const failure = outsideOf(loaded.numberings, given)
        if (failure === undefined) return run(loaded, given, handles, owns)
        return owns ? Effect.andThen(release(device), Effect.fail(failure)) : Effect.fail(failure)
      }
      if (executable !== undefined) return checked(executable, arrays)
      const made = loading(device, form, batch)
      // The state is taken over whatever happens, so nothing may come between.
      return Effect.uninterruptible(
        Effect.flatMap(owns ? Effect.tapError(made, () => release(device)) : made, (loaded) =>
          checked(loaded, arraysOf(batch))
        )
      )
    }
  }

  const sequence = Sequence.make({ owner: client, shorten: chains.shorten, ran, release })

  return {
    name: `compiled/${provider}`,
    compile: (step) =>
      Effect.map(
        specialized(step as never),
        (made) => new Sequence.CompiledStep(client, made, calling(made, true) as never)
      ),
    // Devices add in any order, so that a tick run again need not end in the same bits.
    ...(provider === "cpu" ? { sequences: { run: sequence, bytes: (device) => 4 * wordsOf(leavesOf(device)) } } : {}),
    observe: (f) =>
      Effect.map(
        specialized(((state: never, batch: never) => [[], f(state, batch)]) as never),
        (made) => (state, batch) => Effect.map(calling(made, false)(state, batch), ([, metrics]) => metrics as never)
      ),
    start: (f, input) =>
      Effect.acquireUseRelease(
        load(() => executableOf(provider, (given: never) => [f(given), []] as never, ["input"], [input]), input),
        (executable) => Effect.map(run(executable, arraysOf(input), [], false), ([state]) => state),
        ({ id }) => executables.unload(id)
      ),
    upload: (host) =>
      Effect.suspend(() => {
        const tree = typesOf(host)
        // A copy, because what is handed over to another thread is gone from this one.
        const copy = pack(arraysOf(host))
        const asked = ask({ type: "upload", types: leavesOf(tree), packed: copy }, [copy])
        return Effect.map(asked, (handles) => deviceOf({ tree, form: formOf(tree) }, handles))
      }),
    download: (device) =>
      Effect.map(ask({ type: "download", handles: heldBy(device).handles }), (found) =>
        hostOf({ tree: device as never, leaves: leavesOf(device) }, found)
      ),
    release,
    live: Effect.orElseSucceed(ask({ type: "live" }), () => 0)
  }
}

// One sum, so that a device that cannot compute is an error before anything else is done.
const tried = ({ release, start }: Engine["Service"]): Effect.Effect<void, EngineError> =>
  start(({ x }: { readonly x: tf.Tensor }) => ({ y: tf.add(x, x) }), { x: float32([1], [1]) }).pipe(
    Effect.flatMap(release),
    Effect.mapError((failure) =>
      failure._tag === "EngineError" ? failure : WorkerClient.failure("Refused", failure.message)
    )
  )

/**
 * The compiled engine: a step is traced once for each form of state and batch, simplified, and run by ONNX Runtime on a
 * worker thread that holds the state. On the cpu it needs nothing beside what the package installs.
 */
export const layer = (options: Options = {}): Layer.Layer<Engine, EngineError> => {
  whole("OnnxEngine.layer: threads", options.threads ?? defaultThreads, 1)
  return Layer.effect(
    Engine,
    Effect.tap(
      Effect.map(WorkerClient.make, (client) => service(client, options)),
      (engine) => ((options.provider ?? "cpu") === "cpu" ? Effect.void : tried(engine))
    )
  )
}
