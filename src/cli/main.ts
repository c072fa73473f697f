import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { main } from "./Commands.ts"
import { codeOfExit, codes } from "./Exit.ts"

let terminated = false
let interrupts = 0
process.on("SIGTERM", () => (terminated = true))
// The first Ctrl-C lets the run save a checkpoint; a second one means now.
process.on("SIGINT", () => void (++interrupts > 1 && process.exit(codes.interrupted)))

const said = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const program = main.pipe(
  // The command line has printed its own usage errors; everything else is one sentence on standard error.
  Effect.tapCause((cause) => {
    const error = Cause.squash(cause)
    if (Cause.hasInterruptsOnly(cause) || (Predicate.hasProperty(error, "_tag") && error._tag === "ShowHelp"))
      return Effect.void
    return Console.error(`error  ${said(error)}`)
  }),
  Effect.provide(NodeServices.layer)
  // A program brings its own needs; those of every built-in and documented one are met by the platform and the engine.
) as Effect.Effect<void, unknown>

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  teardown: (exit, onExit) => onExit(codeOfExit(exit, terminated))
})
