/** Ends its process with code 7 in the middle of a compiled step. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { tinyTransformer } from "./transformer.ts"

const problem = tinyTransformer({ vocabulary: 500, length: 32, width: 64, layers: 1, batch: 16 })
const run = Stream.runForEach(Run.ticks(problem, { ticks: 1000, seed: 1 }), (tick) =>
  // Most of a tick is spent in ONNX Runtime, so a moment after one began the next is inside of it.
  tick.index === 3 ? Effect.sync(() => setTimeout(() => process.exit(7), 8)) : Effect.void
)
await Effect.runPromise(run.pipe(Effect.provide(Compiled.layer({ threads: 1 }))))
