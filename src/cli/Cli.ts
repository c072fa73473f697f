import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Predicate from "effect/Predicate"
import * as Command from "effect/cli/Command"
import * as Sentence from "../dsl/Sentence.ts"
import * as NodeServices from "../files/NodeServices.ts"
import { commands } from "./Commands.ts"
import * as Launch from "./Launch.ts"
import type { Programs } from "./Load.ts"
import { logger } from "./Log.ts"
import * as Process from "./Process.ts"

/** A command line: what it offers beside running program files. */
export interface Cli {
  /** Programs that it knows by name. */
  readonly programs: Programs
  /** Commands of its own. */
  readonly commands: ReadonlyArray<Command.Command.Any>
}

/** The command line `tapweight`, with programs and commands of one's own. */
export const make = (own: Partial<Cli> = {}): Cli => ({ programs: own.programs ?? {}, commands: own.commands ?? [] })

/** Runs a command line on the process's arguments, and ends the process with its exit code. */
export const run = (cli: Cli): void => {
  const tapweight = Command.make("tapweight").pipe(
    Command.withDescription("Multi-level optimization as a typed language: run, plan, resume and verify programs"),
    Command.withSubcommands([...commands(cli.programs), ...cli.commands])
  )
  const program = Command.run(tapweight, { version: Launch.version }).pipe(
    // The command line has printed its own usage errors; everything else is one sentence on standard error.
    Effect.tapCause((cause) => {
      const error = Cause.squash(cause)
      const said = Predicate.hasProperty(error, "_tag") && error._tag === "ShowHelp"
      return said || Cause.hasInterruptsOnly(cause) ? Effect.void : Console.error(`error  ${Sentence.of(error)}`)
    }),
    Effect.provide([NodeServices.layer, Logger.layer([logger])])
    // A program brings its own needs; those of every built-in and documented one are met by the platform and the engine.
  ) as Effect.Effect<void, unknown>
  Process.main(program)
}
