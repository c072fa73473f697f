import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Engine } from "../Engine.ts"
import * as GraphEngine from "../graph/GraphEngine.ts"
import * as WebAssemblyBackend from "./WebAssemblyBackend.ts"

/**
 * WebAssembly for every step, however large: a step's graph becomes a module that runs on the calling thread. The same
 * program gives the same bits on every machine. An operation that there is no form in WebAssembly for is refused by name.
 */
export const layer = (): Layer.Layer<Engine> =>
  Layer.effect(
    Engine,
    Effect.sync(() => GraphEngine.make(WebAssemblyBackend.make(), { name: "webassembly", sequences: true }))
  )
