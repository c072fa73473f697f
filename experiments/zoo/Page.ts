/** The page of the zoo: a card for each problem, with the figures that its seeds ended with. */
import { hash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Plan, PlanText } from "tapweight"
import { type Entry, heads, SeedFigures, summary } from "./Entry.ts"
import { zoo } from "./Zoo.ts"

const here = fileURLToPath(new URL(".", import.meta.url))

/** Where the figures lie, and the page. */
export const figuresFile = `${here}figures.json`
export const pageFile = fileURLToPath(new URL("../../docs/zoo.md", import.meta.url))

const Measured = Schema.Record(
  Schema.String,
  Schema.Struct({
    /** Hash of the file that states the problem: figures of another are stale. */
    source: Schema.String,
    /** Of all seeds together, by the clock. */
    seconds: Schema.Number,
    seeds: Schema.Array(SeedFigures),
    /** What `tapweight diagnose` says where seed 0's run ends. */
    diagnosis: Schema.String
  })
)
export type Measured = typeof Measured.Type

/** The figures that were measured last. */
export const measured = (): Measured =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Measured))(readFileSync(figuresFile, "utf8"))

/** Texts of the zoo's files, by their paths from this folder. */
const files = readdirSync(here, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => [file, readFileSync(here + file, "utf8")] as const)

const stating = (entry: Entry): (typeof files)[number] => {
  const found = files.find(([, text]) => text.includes(`\n  name: "${entry.name}",\n  card:`))
  if (found === undefined) throw new Error(`no file of the zoo states '${entry.name}'`)
  return found
}

/** The file that states an entry, from the project's folder. */
export const fileOf = (entry: Entry): string => `experiments/zoo/${stating(entry)[0]}`

/** Hash of the file that states an entry. */
export const source = (entry: Entry): string => hash("sha256", stating(entry)[1]).slice(0, 16)

/** The command that looks at where seed 0's run ends. */
export const diagnosing = (entry: Entry): ReadonlyArray<string> => [
  "diagnose",
  fileOf(entry),
  "--problem",
  `seed-0/${Object.keys(entry.problems(0))[0]!}`,
  "--ticks",
  String(entry.ticks)
]

const card = (entry: Entry, { diagnosis, seconds, seeds }: Measured[string]): string => {
  const [name, problem] = Object.entries(entry.problems(0))[0]!
  const plan = Result.getOrThrow(Plan.make(problem))
  const { data, levels, published, reference, sizes, title } = entry.card
  return [
    `## ${title}`,
    "",
    `[\`${stating(entry)[0]}\`](../${fileOf(entry)}) · ${reference}`,
    "",
    ...levels.map((level) => `- ${level}`),
    "",
    `Sizes: ${sizes}. Data: ${data}. Published: ${published}.`,
    "",
    "```mermaid",
    PlanText.mermaid(plan).trim(),
    "```",
    "",
    `\`bin/tapweight run ${fileOf(entry)}\`: ${entry.ticks} ticks of ${Object.keys(entry.problems(0)).join(", ")}, ${seeds.length === 1 ? "one seed" : `${seeds.length} seeds`}, ${seconds} s. The graph is of ${name}.`,
    "",
    ...[heads, heads.map(() => "---"), ...summary(entry.bounds, seeds)].map((row) => `| ${row.join(" | ")} |`),
    "",
    `\`bin/tapweight ${diagnosing(entry).join(" ")}\`: ${diagnosis}.`
  ].join("\n")
}

/** The page, from the cards and the figures. */
export const page = (figures: Measured): string =>
  [
    "# The zoo",
    "",
    "Problems that people write, each stated in one file on the library's public doors, run over several seeds and held to what is",
    "known of it. Written by `npm run zoo`, which runs them all: no figure is typed by hand. Stand-ins go by their own names; what",
    "was published on other data is named as context, not as a comparison. A card ends with what `tapweight diagnose` finds where the",
    "run of seed 0 ends; what it raises is left standing.",
    "",
    ...zoo.map((entry) => {
      const own = figures[entry.name]
      if (own === undefined) throw new Error(`'${entry.name}' has no figures: npm run zoo -- ${entry.name}`)
      return `${card(entry, own)}\n`
    })
  ].join("\n")
