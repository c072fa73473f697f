/** Holds the run folder named on the command line, says so, and waits to be killed. */
import { writeSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FolderLock from "../../src/runs/folder/FolderLock.ts"

const main = Effect.gen(function* () {
  const held = yield* Effect.result(FolderLock.hold(process.argv[2]!))
  writeSync(1, held._tag === "Success" ? "held\n" : `${held.failure.kind}\n`)
  if (held._tag === "Success") yield* Effect.callback<void>(() => void setInterval(() => {}, 1e6))
})
await Effect.runPromise(Effect.scoped(main).pipe(Effect.provide(NodeServices.layer)))
