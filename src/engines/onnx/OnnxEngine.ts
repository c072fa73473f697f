import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Provider } from "../../compiler/onnx/Onnx.ts"
import { float32 } from "../../dsl/values/NdArray.ts"
import { whole } from "../../dsl/errors/Numbers.ts"
import { Engine, type EngineError } from "../Engine.ts"
import * as GraphEngine from "../graph/GraphEngine.ts"
import { refuseTf32 } from "../tf32.ts"
import * as OnnxBackend from "./OnnxBackend.ts"
import * as WorkerClient from "./WorkerClient.ts"

/** Threads inside of one operation where nothing else is asked for. */
export const defaultThreads = OnnxBackend.defaultThreads

/** How ONNX Runtime runs steps. */
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

/**
 * An engine on a client; also where tests reach the worker.
 *
 * @internal
 */
export const service = (client: WorkerClient.WorkerClient, options: Options = {}): Engine["Service"] => {
  const given = OnnxBackend.complete(options)
  if (given.provider === "cuda") refuseTf32()
  return GraphEngine.make(OnnxBackend.make(client, given), {
    name: `compiled/${given.provider}`,
    // Devices add in any order, so that a tick run again need not end in the same bits.
    sequences: given.provider === "cpu"
  })
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
 * ONNX Runtime for every step: traced once for each form of state and batch, simplified, and run on a worker thread that
 * holds the state. On the cpu it needs nothing beside what the package installs.
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
