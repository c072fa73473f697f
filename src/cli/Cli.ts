import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Predicate from "effect/Predicate"
import * as Command from "effect/cli/Command"
import * as Sentence from "../dsl/errors/Sentence.ts"
import * as NodeServices from "../files/NodeServices.ts"
import * as Printable from "../files/Printable.ts"
import type { Program } from "../runs/Program.ts"
import { commands } from "./Commands.ts"
import * as Launch from "./launch/Launch.ts"
import type * as Load from "./launch/Load.ts"
import { logger } from "./launch/Log.ts"
import * as Place from "./launch/Place.ts"
import * as Process from "./launch/Process.ts"

/** A command of one's own, which needs no more than a command line gives. */
type OwnCommand = Command.Command<any, any, any, unknown, Load.Services>

/** An error as GitHub's runners show it beside the code, where one runs this. */
const annotated = (text: string): ReadonlyArray<string> =>
  process.env["GITHUB_ACTIONS"] === "true"
    ? [`::error::${text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A")}`]
    : []

/** A command line: what it offers beside running program files. */
export interface Cli {
  /** Programs that it knows by name. */
  readonly programs: Load.Programs
  /** Commands of its own. */
  readonly commands: ReadonlyArray<OwnCommand>
}

type KeyOf<Service> = Service extends { readonly key: infer Key extends string } ? Key : "of its own"
type Missing<P> = P extends Program<infer _S, infer _E, infer R> ? Exclude<R, Load.Services> : never
/** Programs whose services are all there, or in place of one the sentence that names what it needs. */
type Served<P> = {
  readonly [Name in keyof P]: [Missing<P[Name]>] extends [never]
    ? P[Name]
    : `this program needs a service '${KeyOf<Missing<P[Name]>>}' that no command line gives: provide it in prepare and run`
}

/**
 * The command line `tapweight`, with programs and commands of one's own. A program that needs a service other than the
 * platform's and the engine is a compile error that names it.
 */
export const make = <const P extends { readonly [name: string]: Program.Any } = {}>(
  own: { readonly programs?: P & Served<P>; readonly commands?: ReadonlyArray<OwnCommand> } = {}
): Cli => ({ programs: (own.programs ?? {}) as Load.Programs, commands: own.commands ?? [] })

/** A command line on the process's arguments. What fails is one sentence on standard error, and then the effect's failure. */
export const command = (cli: Cli): Effect.Effect<void, unknown> => {
  // Between an author's code and where it throws there may be many frames of kernels.
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 50)
  const tapweight = Command.make("tapweight").pipe(
    Command.withDescription("Multi-level optimization as a typed language: run, plan, resume and verify programs"),
    Command.withSubcommands([...commands(cli.programs), ...cli.commands])
  )
  return Command.run(tapweight, { version: Launch.version }).pipe(
    // The command line has printed its own usage errors; everything else is one sentence on standard error.
    Effect.tapCause((cause) => {
      const error = Cause.squash(cause)
      const said = Predicate.hasProperty(error, "_tag") && error._tag === "ShowHelp"
      return said || Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : Console.error(
            Printable.lines(
              [
                `error  ${Sentence.of(error)}`,
                ...Place.linesOf(error),
                ...(Place.isDebugging(process.argv) ? [Place.stackOf(error)] : []),
                ...annotated(Sentence.of(error))
              ].join("\n")
            )
          )
    }),
    Effect.provide([NodeServices.layer, Logger.layer([logger])])
  )
}

/** Runs a command line on the process's arguments, and ends the process with its exit code. */
export const run = (cli: Cli): void => Process.main(command(cli))
