/** Runs two ticks compiled; a connection, a name look-up or a request on the way ends the process with code 9. */
import dns from "node:dns"
import net from "node:net"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { triLevel } from "./programs.ts"

const refuse = (): never => process.exit(9)
net.Socket.prototype.connect = refuse
dns.lookup = refuse as never
globalThis.fetch = refuse

await Effect.runPromise(
  Stream.runDrain(Run.ticks(triLevel(), { ticks: 2, seed: 1 })).pipe(Effect.provide(Compiled.layer({ threads: 1 })))
)
