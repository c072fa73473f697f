import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { whole } from "../../dsl/errors/Numbers.ts"
import { Engine } from "../Engine.ts"
import * as GraphEngine from "../graph/GraphEngine.ts"
import * as OnnxBackend from "../onnx/OnnxBackend.ts"
import type * as OnnxEngine from "../onnx/OnnxEngine.ts"
import * as WorkerClient from "../onnx/WorkerClient.ts"
import * as WebAssemblyBackend from "../webassembly/WebAssemblyBackend.ts"
import * as Choice from "./Choice.ts"

/** How large steps are run; small ones know no threads. */
export type Options = Omit<OnnxEngine.Options, "provider">

/** ONNX Runtime on a worker that starts when it is first needed and ends with the scope. */
const large = (options: Options) =>
  Effect.map(
    Effect.flatMap(Effect.scope, (scope) => Effect.cached(Scope.provide(WorkerClient.make, scope))),
    (client) => OnnxBackend.later(Effect.map(client, (made) => OnnxBackend.make(made, OnnxBackend.complete(options))))
  )

/**
 * The default engine: a step is traced once for each form of state and batch, and simplified. A small one, of at most five
 * million operations, becomes a WebAssembly module that runs on the calling thread; any other, and one with an operation that
 * has no form there, is run by ONNX Runtime on a worker thread. Which of the two is a function of the step's graph alone.
 */
export const layer = (options: Options = {}): Layer.Layer<Engine> => {
  whole("CompiledEngine.layer: threads", options.threads ?? OnnxBackend.defaultThreads, 1)
  return Layer.effect(
    Engine,
    Effect.map(large(options), (backend) => {
      const counts = { small: 0, large: 0 }
      const choice = Choice.make(WebAssemblyBackend.make(), backend, counts)
      const ways = Effect.sync(() => ({ WebAssembly: counts.small, "ONNX Runtime": counts.large }))
      return { ...GraphEngine.make(choice, { name: "compiled/cpu", sequences: true }), ways }
    })
  )
}
