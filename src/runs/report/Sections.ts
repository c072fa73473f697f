/** The parts of a report, each from what it shows. */
import type { Plan } from "../../runtime/plan/Plan.ts"
import { computing, type Manifest } from "../folder/Manifest.ts"
import type { Table } from "../folder/ResultFile.ts"
import type { Entries } from "../trial/Config.ts"
import type { Standings } from "../statistics/Standing.ts"
import * as Paired from "../statistics/Paired.ts"
import { five, p, signed } from "../view/Numbers.ts"
import { digitsOf } from "../view/StandingText.ts"
import * as Figures from "./Figures.ts"
import * as Graph from "./Graph.ts"
import { figure, html, type Markup, nothing, scrolled, table } from "./Html.ts"

/** A number, or a dash where there is none. */
const number = (value: number | undefined): string => (value === undefined ? "-" : five(value))

/** One plan: a picture, its edges in words, and its cost. */
export const plan = (names: string, planned: Plan): Markup => {
  const total = planned.cost.reduce((sum, { perTick }) => sum + perTick, 0)
  const edges = Graph.words(planned)
  return html`<h3>${names}</h3>
    <figure>
      ${scrolled(Graph.picture(planned), `levels of ${names}`)}
      ${edges.length === 0 ? nothing : html`<figcaption>Solid: a solution that a level reads. Dashed: a variable that a level is given.</figcaption>`}
    </figure>
    ${
      edges.length === 0
        ? nothing
        : html`<ul>
            ${edges.map((text) => html`<li>${text}</li>`)}
          </ul>`
    }
    ${table(
      "Cost in gradient evaluations",
      ["level", "optimizer", "solves by", "a turn", "a tick", "share"],
      planned.cost.map(({ evaluations, level, perTick }) => {
        const own = planned.levels.find(({ name }) => name === level)!
        return [
          level,
          own.optimizer,
          own.estimator?.name ?? "-",
          number(evaluations),
          number(perTick),
          `${((100 * perTick) / total).toFixed(0)} %`
        ]
      })
    )}`
}

/** Tables that a program gives with its result. */
export const tables = (all: ReadonlyArray<Table>): Markup =>
  html`${all.map(({ columns, rows, title }) => table(title, columns, rows))}`

/** Methods side by side, a dot for each seed. */
export const standings = (all: ReadonlyArray<Standings>): Markup =>
  html`${all.map(({ baseline, better, metric, overall, split, tasks }) => {
    const unit = `${metric}, ${split}`
    return html`<h3>${unit} (${better} is better)</h3>
      ${tasks.map(({ seeds, smallest, standings, task }) => {
        const digits = digitsOf(standings)
        const rows = standings.map(({ deviation, difference, mean, method, values }) => [
          method,
          `${values.length}`,
          mean.toFixed(digits),
          Number.isFinite(deviation) ? deviation.toFixed(digits) : "-",
          method === baseline ? "baseline" : difference === undefined ? "-" : signed(difference.mean, digits),
          difference?.interval === undefined
            ? "-"
            : `${signed(difference.interval[0], digits)} to ${signed(difference.interval[1], digits)}`,
          p(difference?.p),
          p(difference?.holm)
        ])
        const tests = standings.filter(({ difference }) => difference?.p !== undefined).length
        const few =
          tests > 0 && smallest > Paired.level
            ? html`<p class="warning">
                ${seeds} seeds give no corrected p below ${number(smallest)}: it takes ${Paired.seedsNeeded(tests)}.
              </p>`
            : nothing
        const dots = standings.map(({ mean, method, values }) => ({
          method,
          mean,
          values: values.map(({ value }) => value)
        }))
        const each = table(
          `${unit}, ${task}, by seed`,
          ["seed", ...standings.map(({ method }) => method)],
          [...new Set(standings.flatMap(({ values }) => values.map(({ seed }) => seed)))].map((seed) => [
            seed,
            ...standings.map(({ values }) => number(values.find((one) => one.seed === seed)?.value))
          ])
        )
        return html`${table(`${task}, ${unit}`, ["method", "seeds", "mean", "deviation", "difference", "95 % interval", "p", "p, Holm"], rows)}${few}
        ${figure(Figures.dots(dots, unit, `${unit} on ${task}: a dot for each seed, a stroke at the mean`), `${task}: a dot for each seed, a stroke at the mean`, each)}`
      })}
      ${
        overall.length === 0
          ? nothing
          : table(
              `Over ${tasks.length} tasks`,
              ["method", "mean rank", `better than ${baseline}`, "p"],
              overall.map(({ improvement, method, p: value, rank }) => [
                method,
                rank.toFixed(2),
                improvement === undefined ? "-" : improvement.toFixed(2),
                p(value)
              ])
            )
      }`
  })}`

/** Settings with where each came from. */
export const settings = (entries: Entries): Markup =>
  table(
    "Settings, and where each came from",
    ["setting", "value", "from"],
    Object.entries(entries).map(([path, { origin, value }]) => [path, JSON.stringify(value), origin])
  )

/** Where the numbers come from: data, weights, code, machine. */
export const provenance = ({ data, engine, git, hardware, seeds, versions, weights }: Manifest): Markup => {
  const rows = data.map(({ dropped, licence, name, read, sha256, source, split }) => [
    name,
    `${read}`,
    dropped.map(({ reason, rows }) => `${rows}: ${reason}`).join("; ") || "none",
    `${split.rule} (${Object.entries(split.rows)
      .map(([part, n]) => `${part} ${n}`)
      .join(", ")})`,
    licence,
    source,
    sha256?.slice(0, 12) ?? "-"
  ])
  const code = [
    [
      "commit",
      git === null ? "none" : `${git.commit}${git.dirty ? `, and changes (${git.changed.length} files)` : ""}`
    ],
    ["seed", `${seeds.root} (${seeds.algorithm})`],
    ["engine", computing(engine)],
    [
      "machine",
      `${hardware.cpu}, ${hardware.cores} cores, ${(hardware.memory / 2 ** 30).toFixed(0)} GiB, ${hardware.platform}`
    ],
    ...Object.entries(versions).map(([name, version]) => [`version of ${name}`, version])
  ]
  return html`${rows.length === 0 ? nothing : table("Data", ["data set", "rows read", "rows dropped", "split", "licence", "source", "SHA-256"], rows)}
  ${
    weights.length === 0
      ? nothing
      : table(
          "Weights",
          ["file", "licence", "SHA-256"],
          weights.map(({ file, licence, sha256 }) => [file, licence, sha256.slice(0, 12)])
        )
  }
  ${table("Code and machine", ["what", "which"], code)}`
}
