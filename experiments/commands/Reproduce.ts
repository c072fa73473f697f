import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Launch, Load, Options, Shell } from "tapweight/cli"
import { language } from "../language/Language.ts"
import * as Needs from "../language/Needs.ts"
import * as Language from "../language/Paper.ts"
import { proximal } from "../language/Proximal.ts"
import { ofTask, type Settings } from "../language/Settings.ts"
import { exhibits } from "../molecules/Paper.ts"
import { molecules } from "../molecules/Molecules.ts"

/** A table or figure with the program that repeats it, and which of its settings names the data sets. */
type Shown = {
  readonly title: string
  readonly program: Load.Runnable
  readonly sets?: {
    readonly setting: "sets" | "tasks"
    readonly small: ReadonlyArray<string>
    readonly paper: ReadonlyArray<string>
  }
  readonly wanted: { readonly [setting: string]: unknown }
}

const shown: { readonly [what: string]: Shown } = {
  ...Object.fromEntries(
    Object.entries(exhibits).map(([what, { methods, paper, sets, title }]) => [
      what,
      { title, program: molecules, sets: { setting: "sets", small: sets, paper }, wanted: { methods } } satisfies Shown
    ])
  ),
  ...Object.fromEntries(
    Object.entries(Language.exhibits).map(([what, { methods, paper, settings = {}, tasks, title }]) => [
      what,
      {
        title,
        program: language,
        sets: { setting: "tasks", small: tasks, paper },
        wanted: { methods, ...settings }
      } satisfies Shown
    ])
  ),
  table10: { title: "time of the proximal term", program: proximal, wanted: {} }
}

const names = Object.keys(shown) as [string, ...Array<string>]
const contents = names.map((name) => `${name} (${shown[name]!.title})`).join(", ")

const namesIn = (text: string): ReadonlyArray<string> => text.split(",").map((name) => name.trim())

const named = Schema.makeFilter((text: string) => {
  const parts = namesIn(text)
  if (parts.includes("")) return "expected names with a comma between each two"
  return new Set(parts).size === parts.length || "expected each name once"
})

/** Repeats a table or figure of the paper: its application's program with that table's sets and methods. */
export const reproduce = Command.make(
  "reproduce",
  {
    what: Argument.Literals("table", names).pipe(Argument.withDescription(`What to repeat: ${contents}`)),
    scale: Flag.Literals("scale", ["small", "paper"]).pipe(
      Flag.withDescription(
        "small finishes on two cores; paper has the paper's hyperparameters and wants a GPU: on language it says what it takes"
      ),
      Flag.withDefault("small")
    ),
    seeds: Flag.Int("seeds").pipe(
      Flag.withDescription("Seeds to compare over: 3 where nothing says more"),
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
      Flag.optional
    ),
    data: Flag.Directory("data", { mustExist: true }).pipe(
      Flag.withDescription("Folder of the data sets: 'tapweight data fetch' fills one with molecules")
    ),
    encoder: Flag.Directory("encoder", { mustExist: true }).pipe(
      Flag.withDescription("Folder of the encoder as the hub has it, for tables on language"),
      Flag.optional
    ),
    sets: Flag.String("sets").pipe(
      Flag.withMetavar("name,name"),
      Flag.withDescription("Data sets by name or .json files of schemas, where not the table's own"),
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
  Effect.fnUntraced(function* ({ data, encoder, scale, seeds, sets, what, ...options }) {
    const { program, sets: known, wanted } = shown[what]!
    const { config } = program
    const own = known === undefined ? {} : { [known.setting]: scale === "paper" ? known.paper : known.small }
    const given = {
      ...(known === undefined ? {} : { data }),
      ...wanted,
      ...(known !== undefined && Option.isSome(sets) ? { [known.setting]: namesIn(sets.value) } : {}),
      ...(known !== undefined && Option.isSome(seeds) ? { seeds: seeds.value } : {}),
      ...(program !== molecules && Option.isSome(encoder) ? { encoder: encoder.value } : {})
    }
    // The table's sets are a default, so that a settings file may name others.
    const loaded = Load.named(program.name, {
      ...program,
      config: { ...config, defaults: { ...config.defaults, ...own } }
    } as Load.Runnable)
    const asked = {
      ...options,
      preset: scale === "paper" && program !== proximal ? Option.some("paper") : Option.none(),
      set: [
        ...Object.entries(given).map(
          ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
        ),
        ...options.set
      ]
    }
    if (scale === "small" || program !== language) return yield* Launch.start(loaded, asked)
    const { value } = yield* Launch.resolve(loaded, asked)
    const settings = value as Settings
    const needs = yield* Needs.text(settings.encoder, settings)
    const { corpora, pairs, tasks } = settings
    // The order of sentences is told of neighbours, and texts of a task mostly stand alone.
    const alone = pairs === "neighbours" && corpora.every((name) => name === ofTask)
    const all = [
      ...asked.set,
      ...(asked.set.some((setting) => setting.startsWith("tasks=")) ? [] : [`tasks=${JSON.stringify(tasks)}`]),
      ...(alone ? ['corpora=["CORPUS"]'] : [])
    ]
    const run = ["tapweight", "run", "language", "--preset", "paper", ...all.flatMap((setting) => ["-s", setting])]
    const said = [
      `to run it: ${run.map(Shell.word).join(" ")}`,
      ...(alone
        ? [
            "CORPUS: a file of sentences, one a line, a blank line after each document; the paper's has a million of Wikipedia"
          ]
        : [])
    ].join("\n")
    yield* Launch.print(options.format, `${needs}\n\n${said}`, { needs, run })
  }, Launch.hushed)
).pipe(
  Command.withDescription("Repeats a table or figure of the paper and prints its numbers beside the paper's"),
  Command.withExamples([
    {
      command: "tapweight reproduce table6 --scale small --seeds 3 --data DIR",
      description: "The ablations on five sets of MoleculeNet"
    },
    {
      command: "tapweight reproduce table4 --encoder DIR --data DIR --sets sst-2,cola",
      description: "Methods on two tasks of GLUE, from an encoder's folder"
    }
  ])
)
