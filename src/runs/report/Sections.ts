/** The parts of a report, each from what it shows. */
import type { Plan } from "../../runtime/plan/Plan.ts"
import { computing, type Manifest } from "../folder/Manifest.ts"
import type { Table } from "../folder/ResultFile.ts"
import type { Entries } from "../trial/Config.ts"
import type { Standings } from "../statistics/Standing.ts"
import * as Paired from "../statistics/Paired.ts"
import { five } from "../view/Numbers.ts"
import type { Curves } from "./Curves.ts"
import * as Figures from "./Figures.ts"
import * as Graph from "./Graph.ts"
import { figure, html, type Markup, nothing, scrolled, table } from "./Html.ts"
import type { Point } from "./Thin.ts"

/** A number, or a dash where there is none. */
const number = (value: number | undefined): string => (value === undefined ? "-" : five(value))

/** A table of points: some twenty of them, the first and the last among them. */
const numbers = (
  caption: string,
  x: string,
  series: ReadonlyArray<{ readonly name: string; readonly points: ReadonlyArray<Point> }>
): Markup => {
  const steps = [...new Set(series.flatMap(({ points }) => points.map(([k]) => k)))].sort((a, b) => a - b)
  const every = Math.max(1, Math.ceil(steps.length / 20))
  const shown = steps.filter((_, i) => i % every === 0 || i === steps.length - 1)
  const values = series.map(({ points }) => new Map(points))
  return table(
    caption,
    [x, ...series.map(({ name }) => name)],
    shown.map((k) => [k, ...values.map((at) => number(at.get(k)))])
  )
}

/** Tradeoff weights of a trial. */
export const lambda = (trial: string, { lambda: all }: Curves): Markup =>
  html`${all.map(({ first, last, late, level, weights }) => {
    const of = trial === "" ? level : `${trial}, ${level}`
    return html`<h3>${of}</h3>
      ${figure(Figures.lines(weights, { label: `λ over steps of ${of}`, x: "step", y: "λ", domain: [0, Math.max(1, ...weights.flatMap(({ points }) => points.map(([, v]) => v)))] }), `λ over steps, ${of}`, numbers(`λ of ${of}`, "step", weights))}
      ${weights.length > 1 ? scrolled(Figures.bands(weights, `λ as shares of one, ${of}`), `λ as shares of one, ${of}`) : nothing}
      ${table(
        `λ of ${of}`,
        ["objective", "at first", "at last", "mean of the last half"],
        weights.map(({ name }, i) => [name, number(first[i]), number(last[i]), number(late[i])])
      )}`
  })}`

/** Losses of a trial's levels, each on its own clock, and scores on the way; folded away where there are many trials. */
export const losses = (trial: string, { levels, scores }: Curves, folded: boolean): Markup => {
  const body = lossesOf(trial, { levels, scores })
  return folded
    ? html`<details>
        <summary>${trial}</summary>
        ${body}
      </details>`
    : body
}

const isSteady = (lines: ReadonlyArray<{ readonly points: ReadonlyArray<Point> }>): boolean =>
  lines.every(({ points }) => points.every(([, value]) => value === points[0]![1]))

const lossesOf = (trial: string, { levels, scores }: Pick<Curves, "levels" | "scores">): Markup => {
  const of = (level: string) => (trial === "" ? level : `${trial}, ${level}`)
  return html`${levels.map(({ gradient, level, loss, norms, parts, rates }) => {
    const series = [{ name: "loss", points: loss }, ...parts]
    const [first, last] = [loss[0]?.[1], loss.at(-1)?.[1]]
    return html`<h3>${of(level)}</h3>
      <p>Loss ${number(first)} at first, ${number(last)} at last, over ${loss.at(-1)?.[0] ?? 0} updates.</p>
      ${figure(Figures.lines(series, { label: `loss of ${of(level)} over its updates`, x: `updates of ${level}`, y: "loss" }), `loss of ${of(level)} over its own updates${parts.length > 0 ? ", with its parts" : ""}`, numbers(`loss of ${of(level)}`, "update", [...series, { name: "gradient norm", points: gradient }]))}
      ${norms.length === 0 ? nothing : figure(Figures.lines(norms, { label: `gradient and change of ${of(level)}`, x: `updates of ${level}`, y: "norm", log: true }), `norms of the gradient and of the change of ${of(level)}, where it was looked at`, numbers(`norms of ${of(level)}`, "update", norms))}
      ${rates.length === 0 ? nothing : isSteady(rates) ? html`<p>Rate${rates.map(({ name, points }) => ` ${name === "rate" ? "" : `of ${name} `}${number(points[0]?.[1])}`).join(",")} throughout.</p>` : figure(Figures.lines(rates, { label: `learning rate of ${of(level)}`, x: `updates of ${level}`, y: "rate" }), `learning rate of ${of(level)}`, numbers(`learning rate of ${of(level)}`, "update", rates))}`
  })}${
    scores.length === 0
      ? nothing
      : figure(
          Figures.lines(scores, {
            label: `scores on the way${trial === "" ? "" : `, ${trial}`}`,
            x: "step",
            y: "score"
          }),
          `scores on the way${trial === "" ? "" : `, ${trial}`}`,
          numbers("scores on the way", "step", scores)
        )
  }`
}

/** Hypergradients of a trial: how large, from which paths, and how well their solves converged. */
export const hypergradients = (trial: string, { hyper }: Curves): Markup =>
  html`${hyper.map(({ direct, level, norm, paths, solves }) => {
    const of = trial === "" ? level : `${trial}, ${level}`
    const sizes = [
      { name: "norm", points: norm },
      ...(direct.some(([, v]) => v > 0) ? [{ name: "direct part", points: direct }] : []),
      ...paths.map(({ norm, via }) => ({ name: `via ${via}`, points: norm }))
    ]
    const cosines = paths.map(({ cosine, via }) => ({ name: via, points: cosine }))
    const shares = paths.flatMap(({ share, via }) => (share.length === 0 ? [] : [{ name: via, points: share }]))
    const residuals = solves.filter(({ residual }) => residual.length > 0)
    const drawn = residuals.map(({ residual, solve }) => ({ name: solve, points: residual }))
    return html`<h3>${of}</h3>
      ${figure(Figures.lines(sizes, { label: `hypergradient of ${of}`, x: "step", y: "norm", log: true }), `hypergradient of ${of}: its norm and its parts`, numbers(`hypergradient of ${of}`, "step", sizes))}
      ${cosines.length > 1 ? figure(Figures.lines(cosines, { label: `cosine of each path with the hypergradient of ${of}`, x: "step", y: "cosine", domain: [-1, 1] }), `cosine of each path with the whole, ${of}`, numbers(`cosines of ${of}`, "step", cosines)) : nothing}
      ${shares.length > 1 ? figure(Figures.lines(shares, { label: `share of each path in the hypergradient of ${of}`, x: "step", y: "share" }), `share of each path in the whole, ${of}`, numbers(`shares of ${of}`, "step", shares)) : nothing}
      ${drawn.length > 0 ? figure(Figures.lines(drawn, { label: `residuals of the solves of ${of}`, x: "step", y: "residual", log: true }), `relative residual of each solve, ${of}`, numbers(`residuals of ${of}`, "step", drawn)) : nothing}
      ${table(
        `solves of ${of}`,
        ["solve", "last residual", "looked at", "not measured", "not sound"],
        solves.map(({ looks, residual, solve, unmeasured, unsound }) => [
          solve,
          number(residual.at(-1)?.[1]),
          `${looks}`,
          `${unmeasured}`,
          `${unsound}`
        ])
      )}`
  })}`

/** One plan: a picture, its edges in words, and its cost. */
export const plan = (names: string, planned: Plan): Markup => {
  const total = planned.cost.reduce((sum, { perTick }) => sum + perTick, 0)
  return html`<h3>${names}</h3>
    <figure>
      ${scrolled(Graph.picture(planned), `levels of ${names}`)}
      <figcaption>Solid: a solution that a level reads. Dashed: a variable that a level is given.</figcaption>
    </figure>
    <ul>
      ${Graph.words(planned).map((text) => html`<li>${text}</li>`)}
    </ul>
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

/** What levels of trials cost: how long a turn takes, its gradients, the state it carries; and the memory of all. */
export const costs = (all: ReadonlyArray<{ readonly name: string; readonly curves: Curves }>): Markup => {
  const rows = all.flatMap(({ curves, name }) => {
    const spent = (cost: Curves["costs"][number]) => cost.turns * (cost.milliseconds ?? 0)
    const whole = curves.costs.reduce((sum, cost) => sum + spent(cost), 0)
    return curves.costs.map((cost) => [
      name === "" ? cost.level : `${name}, ${cost.level}`,
      `${cost.turns}`,
      number(cost.milliseconds),
      whole > 0 ? `${((100 * spent(cost)) / whole).toFixed(0)} %` : "-",
      number(cost.evaluations),
      number(cost.bytes)
    ])
  })
  const peak = all.reduce((most, { curves }) => Math.max(most, curves.peak ?? 0), 0)
  return html`${rows.length === 0 ? nothing : table("Cost of each level", ["level", "turns", "ms a turn", "share of time", "gradients a turn", "bytes of state"], rows)}
  ${rows.length === 0 ? nothing : html`<p class="soft">Time is what ticks with a level take more than those without; levels that only act together share theirs by the gradients that the plan counts.</p>`}
  ${peak > 0 ? html`<p>The process held ${(peak / 2 ** 20).toFixed(0)} MiB at most.</p>` : nothing}`
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
        const rows = standings.map(({ deviation, difference, mean, method, values }) => [
          method,
          `${values.length}`,
          number(mean),
          Number.isFinite(deviation) ? number(deviation) : "-",
          method === baseline ? "baseline" : number(difference?.mean),
          difference?.interval === undefined
            ? "-"
            : `${number(difference.interval[0])} to ${number(difference.interval[1])}`,
          number(difference?.p),
          number(difference?.holm)
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
              overall.map(({ improvement, method, p, rank }) => [method, number(rank), number(improvement), number(p)])
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
