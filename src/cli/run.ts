import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Predicate from "effect/Predicate"
import { main } from "./Commands.ts"
import { codeOfExit, followSignals, sentence } from "./Exit.ts"
import { logger } from "./Log.ts"

followSignals()

const program = main.pipe(
  // The command line has printed its own usage errors; everything else is one sentence on standard error.
  Effect.tapCause((cause) => {
    const error = Cause.squash(cause)
    const said = Predicate.hasProperty(error, "_tag") && error._tag === "ShowHelp"
    return said || Cause.hasInterruptsOnly(cause) ? Effect.void : Console.error(`error  ${sentence(error)}`)
  }),
  Effect.provide([NodeServices.layer, Logger.layer([logger])])
  // A program brings its own needs; those of every built-in and documented one are met by the platform and the engine.
) as Effect.Effect<void, unknown>

NodeRuntime.runMain(program, { disableErrorReporting: true, teardown: (exit, onExit) => onExit(codeOfExit(exit)) })
