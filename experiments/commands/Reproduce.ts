import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Launch, Load, Options } from "tapweight/cli"
import { exhibits } from "../molecules/Paper.ts"
import { molecules } from "../molecules/Molecules.ts"

const names = Object.keys(exhibits) as [string, ...Array<string>]
const contents = names.map((name) => `${name} (${exhibits[name]!.title})`).join(", ")

const namesIn = (text: string): ReadonlyArray<string> => text.split(",").map((name) => name.trim())

const named = Schema.makeFilter((text: string) => {
  const parts = namesIn(text)
  if (parts.includes("")) return "expected names with a comma between each two"
  return new Set(parts).size === parts.length || "expected each name once"
})

/** Repeats a table or figure of the paper: the molecules' program with that table's sets and methods. */
export const reproduce = Command.make(
  "reproduce",
  {
    what: Argument.Literals("table", names).pipe(Argument.withDescription(`What to repeat: ${contents}`)),
    scale: Flag.Literals("scale", ["small", "paper"]).pipe(
      Flag.withDescription("small finishes on two cores; paper has the paper's hyperparameters and wants a GPU"),
      Flag.withDefault("small")
    ),
    seeds: Flag.Int("seeds").pipe(
      Flag.withDescription("Seeds to compare over: 3 where nothing says more"),
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
      Flag.optional
    ),
    data: Flag.Directory("data", { mustExist: true }).pipe(
      Flag.withDescription("Folder of the tables: 'tapweight data fetch' fills one")
    ),
    sets: Flag.String("sets").pipe(
      Flag.withMetavar("name,name"),
      Flag.withDescription("MoleculeNet's sets or .json files of schemas, where not the table's sets"),
      Flag.withSchema(Schema.String.check(named)),
      Flag.optional
    ),
    set: Options.settings.set,
    config: Options.settings.config,
    engine: Options.engine,
    threads: Options.threads,
    plugin: Options.plugin,
    precision: Options.precision,
    devices: Options.devices,
    shardOptimizer: Options.shardOptimizer,
    runs: Options.runs,
    format: Options.format,
    quiet: Options.quiet
  },
  Effect.fnUntraced(function* ({ data, scale, seeds, sets, what, ...options }) {
    const exhibit = exhibits[what]!
    const own = scale === "paper" ? exhibit.paper : exhibit.sets
    const { config } = molecules
    // The table's sets are a default, so that a settings file may name others.
    const program = { ...molecules, config: { ...config, defaults: { ...config.defaults, sets: own } } }
    const wanted = {
      data,
      methods: exhibit.methods,
      ...(Option.isSome(sets) ? { sets: namesIn(sets.value) } : {}),
      ...(Option.isSome(seeds) ? { seeds: seeds.value } : {})
    }
    yield* Launch.start(Load.named(molecules.name, program), {
      ...options,
      preset: scale === "paper" ? Option.some("paper") : Option.none(),
      set: [
        ...Object.entries(wanted).map(
          ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
        ),
        ...options.set
      ]
    })
  }, Launch.hushed)
).pipe(
  Command.withDescription("Repeats a table or figure of the paper and prints its numbers beside the paper's"),
  Command.withExamples([
    {
      command: "tapweight reproduce table6 --scale small --seeds 3 --data DIR",
      description: "The ablations on five sets of MoleculeNet"
    }
  ])
)
