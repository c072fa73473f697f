/** `tapweight sweep …`. */
import * as Command from "effect/cli/Command"
import type * as Load from "../launch/Load.ts"
import { exec, plan, start } from "./StartCommands.ts"
import { cancel, rebuild, report, retry, status } from "./StateCommands.ts"

/** The command and its subcommands. */
export const sweepCommand = (programs: Load.Programs) =>
  Command.make("sweep").pipe(
    Command.withDescription("One program with many settings and seeds"),
    Command.withSubcommands([plan(programs), start(programs), exec(programs), status, cancel, retry, report, rebuild])
  )
