/** ONNX Runtime on a worker thread, which runs functions and holds arrays. */
import * as Effect from "effect/Effect"
import type { Piece } from "../../compiler/onnx/Chain.ts"
import type { Executable, Part, Result } from "../../compiler/onnx/Executable.ts"
import { type Lowered, lower } from "../../compiler/onnx/Lower.ts"
import { encode, type Provider } from "../../compiler/onnx/Onnx.ts"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import { CompileError, EngineError } from "../Engine.ts"
import type { Backend, Loaded, Recorded } from "../graph/Backend.ts"
import { loadedOf } from "../graph/Recording.ts"
import { pack } from "../Packed.ts"
import * as ChainCache from "./ChainCache.ts"
import * as ExecutableCache from "./ExecutableCache.ts"
import type { Call, ExecutableOptions } from "./Protocol.ts"
import * as TransferCache from "./TransferCache.ts"
import * as WorkerClient from "./WorkerClient.ts"

/** A function as an executable that the worker has. */
export interface OnnxLoaded extends Loaded {
  readonly id: number
  readonly piece: Piece
}

const partOf = ({ draws, feeds, model }: Lowered, provider: Provider): Part => ({
  // Elsewhere than on the cpu there is no operator that seals.
  model: model === undefined ? undefined : encode(model, provider === "cpu"),
  feeds,
  draws
})
const resultsOf = (types: ReadonlyArray<LeafType>, { sources }: Lowered): ReadonlyArray<Result> =>
  types.map(({ dtype, shape }, i) => ({ dtype, shape, source: sources[i]! }))

const executableOf = ({ inputs, keeps, kept, sends, sent }: Recorded, provider: Provider) => {
  const lowered = lower(inputs, [...keeps, ...sends], "given", provider)
  const results = resultsOf([...kept.leaves, ...sent.leaves], lowered)
  const key: LeafType = { dtype: "int32", shape: [2] }
  const { keys } = lowered
  const executable: Executable = {
    ...partOf(lowered, provider),
    inputs: inputs.map(({ dtype, shape }) => ({ dtype: dtype as "float32", shape })),
    kept: results.slice(0, keeps.length),
    sent: results.slice(keeps.length),
    keys:
      keys === undefined
        ? undefined
        : {
            ...partOf(keys, "cpu"),
            results: resultsOf(
              keys.sources.map(() => key),
              keys
            )
          }
  }
  return { executable, lowered }
}

/** Threads inside of one operation where nothing else is asked for. */
export const defaultThreads = 2

/** Options with what they are where absent. */
export const complete = ({ provider, spinning, threads }: Partial<ExecutableOptions>): ExecutableOptions => ({
  provider: provider ?? "cpu",
  threads: threads ?? defaultThreads,
  spinning: spinning ?? false
})

/** A backend on a worker. */
export const make = (client: WorkerClient.WorkerClient, options: ExecutableOptions): Backend<OnnxLoaded> => {
  const { ask, tell } = client
  const executables = ExecutableCache.make(client, options)
  const loans = TransferCache.make()
  const chains = ChainCache.make(executables)
  const threw = (reason: string): EngineError => WorkerClient.failure("Threw", reason)

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
        error: reply.error === undefined ? undefined : threw(reply.error),
        bytes: load.packed.byteLength
      }))
    })

  return {
    name: "compiled",
    load: Effect.fnUntraced(function* (recorded) {
      const { executable, lowered } = yield* Effect.try({
        try: () => executableOf(recorded, options.provider),
        catch: (cause) => (cause instanceof CompileError ? cause : threw(Sentence.of(cause)))
      })
      const id = yield* Effect.mapError(executables.load(executable), (error) =>
        error.kind === "Died" ? error : new EngineError({ ...error, kind: "Refused" })
      )
      const piece: Piece = { ...executable, key: id, lowered }
      return { ...loadedOf(recorded), id, piece }
    }),
    unload: ({ id }) => Effect.andThen(chains.forget(id), executables.unload(id)),
    run: Effect.fnUntraced(function* (calls, held, consume) {
      const called = calls.map(({ arrays, loaded: { id, piece } }): ChainCache.Called => ({ id, piece, arrays }))
      if (called.length === 1) return yield* ran(called, held, consume)
      const shorter = yield* chains.shorten(called)
      const reply = yield* ran(shorter, held, consume)
      // Which of the steps failed, only they can tell.
      return reply.error !== undefined && shorter.length < called.length && !consume
        ? yield* ran(called, held, consume)
        : reply
    }),
    upload: (types, arrays) =>
      Effect.suspend(() => {
        // A copy, because what is handed over to another thread is gone from this one.
        const copy = pack(arrays)
        return ask({ type: "upload", types, packed: copy }, [copy])
      }),
    download: (handles) => ask({ type: "download", handles }),
    // Nobody waits for it: what is asked later is answered later.
    release: (handles) => Effect.sync(() => tell({ type: "release", handles })),
    live: Effect.orElseSucceed(ask({ type: "live" }), () => 0)
  }
}

/** A backend that begins when something is first asked of it: to hold nothing, nothing is begun. */
export const later = (backend: Effect.Effect<Backend<OnnxLoaded>>): Backend<OnnxLoaded> => {
  let begun: Backend<OnnxLoaded> | undefined
  const begin = Effect.tap(backend, (made) => Effect.sync(() => (begun = made)))
  return {
    name: "compiled",
    load: (recorded) => Effect.flatMap(begin, ({ load }) => load(recorded)),
    unload: (loaded) => Effect.flatMap(begin, ({ unload }) => unload(loaded)),
    run: (calls, held, consume) => Effect.flatMap(begin, ({ run }) => run(calls, held, consume)),
    upload: (types, arrays) => Effect.flatMap(begin, ({ upload }) => upload(types, arrays)),
    download: (handles) => Effect.flatMap(begin, ({ download }) => download(handles)),
    release: (handles) => Effect.flatMap(begin, ({ release }) => release(handles)),
    live: Effect.suspend(() => begun?.live ?? Effect.succeed(0))
  }
}
