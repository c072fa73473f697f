/** `tapweight data`: the commands' words. What they do is loaded when it is asked for. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Options } from "tapweight/cli"
import { positive, rate, whole } from "../common/Fields.ts"
import * as Limits from "../molecules/rdkit/Limits.ts"

const actions = Effect.promise(() => import("./DataActions.ts"))

const name = Argument.String("name").pipe(
  Argument.withDescription(
    "A data set that `tapweight data list` names, or the schema of a table or a task in a .json file"
  )
)

const list = Command.make(
  "list",
  { format: Options.format },
  Effect.fnUntraced(function* ({ format }) {
    yield* (yield* actions).list(format)
  })
).pipe(Command.withDescription("Lists the data sets that are known by name: tables of molecules, tasks of texts"))

const fetch = Command.make(
  "fetch",
  {
    name,
    to: Flag.String("to").pipe(Flag.withDescription("Folder to put the file in"), Flag.withDefault("data")),
    format: Options.format,
    quiet: Options.quiet
  },
  Effect.fnUntraced(function* (options) {
    yield* (yield* actions).fetch(options)
  })
).pipe(Command.withDescription("Fetches a data set from its public address, going on where an earlier try has stopped"))

const limits = {
  atoms: Flag.Int("atoms").pipe(
    Flag.withDescription("Molecules of more atoms are dropped"),
    Flag.withSchema(positive),
    Flag.withDefault(Limits.defaults.atoms)
  ),
  rings: Flag.Int("rings").pipe(
    Flag.withDescription("Molecules of more rings are dropped"),
    Flag.withSchema(whole),
    Flag.withDefault(Limits.defaults.rings)
  ),
  seconds: Flag.Finite("seconds").pipe(
    Flag.withDescription("Molecules that take RDKit more seconds of processor time are dropped"),
    Flag.withSchema(rate),
    Flag.withDefault(Limits.defaults.seconds)
  )
}

const check = Command.make(
  "check",
  {
    name,
    data: Flag.String("data").pipe(Flag.withDescription("Folder of the data set's file"), Flag.withDefault("data")),
    cache: Flag.String("cache").pipe(
      Flag.withDescription(
        "Folder to keep what is worked out in (TAPWEIGHT_CACHE, or ~/.cache/tapweight, where absent)"
      ),
      Flag.optional
    ),
    workers: Flag.Int("workers").pipe(
      Flag.withDescription("Threads that read molecules"),
      Flag.withSchema(positive),
      Flag.withDefault(2)
    ),
    ...limits,
    format: Options.format,
    quiet: Options.quiet
  },
  Effect.fnUntraced(function* ({ atoms, rings, seconds, ...options }) {
    yield* (yield* actions).check({ ...options, limits: { atoms, rings, seconds } })
  })
).pipe(
  Command.withDescription("Reads a data set and says what is in it: rows, dropped molecules, scaffolds, splits, labels")
)

/** The command. */
export const data = Command.make("data").pipe(
  Command.withDescription("Data sets of molecules and of texts: list, fetch and check them"),
  Command.withSubcommands([list, fetch, check])
)
