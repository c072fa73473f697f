/** Saves checkpoints as fast as it can into the folder named on the command line, and says so, until it is killed. */
import { writeSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Checkpoint from "../../src/runtime/run/Checkpoint.ts"

/** Every number of the state is the tick, so that a mixture of two checkpoints would show. */
export const stateAt = (tick: number) => ({
  theta: {
    w: NdArray.float32([64, 1024], new Float32Array(65_536).fill(tick)),
    b: NdArray.float32([3], [tick, tick, tick])
  },
  clock: NdArray.int32([], [tick])
})

export const expected = { program: "loop", seed: 1 }

const main = Effect.fnUntraced(function* (directory: string) {
  const first = yield* Checkpoint.load(directory, expected, stateAt(0)).pipe(
    Effect.map(({ manifest }) => manifest.tick + 1),
    Effect.catchTag("CheckpointError", () => Effect.succeed(1))
  )
  for (let tick = first; ; tick++) {
    yield* Checkpoint.save(directory, { version: 1, tick, attempt: 1, ...expected, extra: {} }, stateAt(tick))
    // Not through a stream: what was said must have left the process before it is killed.
    writeSync(1, `${tick}\n`)
  }
})

if (import.meta.main) await Effect.runPromise(main(process.argv[2]!).pipe(Effect.provide(NodeServices.layer)))
