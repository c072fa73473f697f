/** A problem of the zoo: its card, the program that runs it over seeds, and what its figures have to be. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { Config, type Problem, Program, type Run, Statistics, TextTable, type Tree, type Var } from "tapweight"
import { positive } from "../common/Fields.ts"

/** What is known of a problem beside the program that states it. */
export interface Card {
  readonly title: string
  /** What each level minimizes, and over what; the top level last. */
  readonly levels: ReadonlyArray<string>
  readonly sizes: string
  /** Where the data come from, and under which licence. */
  readonly data: string
  /** The work that the problem comes from. */
  readonly reference: string
  /** What was published of it, and whether ours compares. */
  readonly published: string
}

/** One number that a seed's runs end with. Every seed is held to its bounds. */
export interface Figure<Vars> {
  readonly of: (vars: Vars, seed: number) => number | Effect.Effect<number, unknown, FileSystem.FileSystem | Path.Path>
  readonly atMost?: number
  readonly atLeast?: number
  /** Why the bound is what it is. */
  readonly because: string
}

type Problems = { readonly [name: string]: Problem.Problem<Var.Var.Any, unknown, FileSystem.FileSystem | Path.Path> }
type VarsOf<P> =
  P extends Problem.Problem<infer V extends Var.Var.Any, unknown, unknown> ? Run.HostVars<Var.Var.Named<V>> : never
/** Final values of each problem's variables, on the host. */
export type Finals<P extends Problems> = { readonly [K in keyof P]: VarsOf<P[K]> }

/** What `make` takes: the card, and how each seed is run and judged. */
export interface Spec<P extends Problems> {
  /** Of a-z, 0-9 and '-'. */
  readonly name: string
  readonly card: Card
  readonly ticks: number
  /** Seeds that its page reports. */
  readonly seeds?: number
  /** Every problem that a seed runs, by name: the one that learns, and what it is compared with. */
  readonly problems: (seed: number) => P
  readonly figures: { readonly [name: string]: Figure<Finals<P>> }
}

/** Bounds of a figure, in words. */
export const bounds = ({ atLeast, atMost }: Bounds): string =>
  [atLeast === undefined ? "" : `≥ ${atLeast}`, atMost === undefined ? "" : `≤ ${atMost}`].filter(Boolean).join(", ")

/** What a figure is held to. */
export type Bounds = Pick<Figure<never>, "atLeast" | "atMost" | "because">

/** Whether a value is within its bounds; no number is within any. */
export const holds = (value: number, { atLeast = -Infinity, atMost = Infinity }: Bounds): boolean =>
  value >= atLeast && value <= atMost

/** The settings of every entry. */
const Settings = Schema.Struct({ ...Program.common, seeds: positive })

/** A problem of the zoo. */
export interface Entry {
  readonly name: string
  readonly card: Card
  readonly bounds: { readonly [figure: string]: Bounds }
  readonly program: Program.Program<typeof Settings, unknown, FileSystem.FileSystem | Path.Path>
  readonly ticks: number
  readonly seeds: number
  /** The problems of one seed, by name. */
  readonly problems: (seed: number) => Problems
}

/** Five significant figures at most. */
export const short = (value: number): string => String(Number(value.toPrecision(4)))

/** Figures of one seed. */
export const SeedFigures = Schema.Struct({
  seed: Schema.Int,
  figures: Schema.Record(Schema.String, Schema.Number)
})
export type SeedFigures = typeof SeedFigures.Type

/** By figure: mean ± deviation over the seeds, what it is held to, how many seeds are within that, and why. */
export const summary = (
  bound: Entry["bounds"],
  seeds: ReadonlyArray<SeedFigures>
): ReadonlyArray<ReadonlyArray<string>> =>
  Object.entries(bound).map(([name, each]) => {
    const values = seeds.map(({ figures }) => figures[name]!)
    const within = values.filter((value) => holds(value, each)).length
    const spread = values.length > 1 ? ` ± ${short(Statistics.deviation(values))}` : ""
    return [
      name,
      `${short(Statistics.mean(values))}${spread}`,
      bounds(each),
      `${within} of ${values.length}`,
      each.because
    ]
  })

/** The heads of {@link summary}'s columns. */
export const heads = ["figure", "mean ± deviation", "has to be", "seeds within", "because"]

/** An entry from its card and its problems. */
export const make = <P extends Problems>(spec: Spec<P>): Entry => {
  const { figures, seeds = 5, ticks } = spec
  const prefixed = (seed: number) =>
    Object.entries(spec.problems(seed)).map(([name, problem]) => [`seed-${seed}/${name}`, name, problem] as const)
  return {
    name: spec.name,
    card: spec.card,
    bounds: figures,
    ticks,
    seeds,
    problems: spec.problems,
    program: Program.make({
      name: `zoo-${spec.name}`,
      description: spec.card.title,
      config: Config.make({ schema: Settings, defaults: { seed: 0, ticks, seeds } }),
      prepare: () => Effect.void,
      problems: (_, settings): Problems =>
        Object.fromEntries(
          Array.from({ length: settings.seeds }, (_, i) => prefixed(settings.seed + i)).flatMap((each) =>
            each.map(([path, , problem]) => [path, problem])
          )
        ),
      run: (session, { problems, settings }) =>
        Effect.gen(function* () {
          const rows: Array<SeedFigures> = []
          for (let seed = settings.seed; seed < settings.seed + settings.seeds; seed++) {
            const finals: { [name: string]: { readonly [variable: string]: Tree.HostTree } } = {}
            for (const [path, name] of prefixed(seed)) {
              finals[name] = (yield* session.trial(path, {
                problem: problems[path]!,
                ticks: settings.ticks,
                seed
              })).vars
            }
            const own: { [figure: string]: number } = {}
            for (const [name, figure] of Object.entries(figures)) {
              const value = figure.of(finals as Finals<P>, seed)
              own[name] = typeof value === "number" ? value : yield* value
            }
            rows.push({ seed, figures: own })
          }
          return {
            result: { seeds: rows.map((row) => ({ ...row })) },
            text: TextTable.words([heads, ...summary(figures, rows)].map((row) => row.slice(0, -1))),
            scores: rows.flatMap((row) =>
              Object.entries(row.figures).map(([metric, value]) => ({
                method: spec.name,
                task: metric,
                seed: row.seed,
                metric,
                split: "validation" as const,
                better: figures[metric]!.atLeast === undefined ? ("less" as const) : ("more" as const),
                value
              }))
            )
          }
        })
    })
  }
}
