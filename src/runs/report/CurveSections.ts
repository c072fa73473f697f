/** The parts of a report that are drawn from records: tradeoff weights, losses, hypergradients, what levels cost. */
import * as Arr from "effect/Array"
import type { Series } from "../view/Chart.ts"
import { bytes, five } from "../view/Numbers.ts"
import { deviation, mean } from "../statistics/Statistics.ts"
import type { HyperCurves, LambdaCurves, LevelCurves } from "./Curves.ts"
import * as Figures from "./Figures.ts"
import * as Groups from "./Groups.ts"
import { figure, html, type Markup, nothing, table } from "./Html.ts"
import type { Point } from "./Thin.ts"

/** A number, or a dash where there is none. */
const number = (value: number | undefined): string => (value === undefined ? "-" : five(value))

/** Values of several seeds: their mean and deviation, or the one there is. */
const spread = (values: ReadonlyArray<number>, shown: (value: number) => string = five): string =>
  values.length === 0
    ? "-"
    : values.length === 1
      ? shown(values[0]!)
      : `${shown(mean(values))} ± ${shown(deviation(values))}`

/** A table of points: some twenty of them, the first and the last among them. */
const bySteps = (caption: string, x: string, series: ReadonlyArray<Series>): Markup => {
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

type Seeded = Series & { readonly seed: string }

/** What lines of several seeds come to, a row each. */
const bySeeds = (caption: string, series: ReadonlyArray<Seeded>): Markup => {
  const finite = (points: ReadonlyArray<Point>) => points.map(([, value]) => value).filter(Number.isFinite)
  if (series.every(({ points }) => points.length < 2))
    return table(
      caption,
      ["line", "seed", "step", "value"],
      series.flatMap(({ name, points, seed }) => points.map(([k, value]) => [name, seed, k, number(value)]))
    )
  return table(
    caption,
    ["line", "seed", "at first", "at last", "lowest", "highest"],
    series.map(({ name, points, seed }) => {
      const values = finite(points)
      const [low, high] = values.length === 0 ? [undefined, undefined] : [Math.min(...values), Math.max(...values)]
      return [name, seed, number(points[0]?.[1]), number(points.at(-1)?.[1]), number(low), number(high)]
    })
  )
}

/** Lines as a figure with their numbers, by step of one seed, in short of several; where nothing has a second point the numbers alone. */
const drawn = (
  series: ReadonlyArray<Seeded>,
  caption: string,
  options: Omit<Figures.LineOptions, "label">,
  numbers: ReadonlyArray<Seeded> = series
): Markup => {
  const points = series.reduce((longest, line) => Math.max(longest, line.points.length), 0)
  if (points === 0) return nothing
  const several = new Set(series.map(({ seed }) => seed)).size > 1
  const of = several ? bySeeds(caption, numbers) : bySteps(caption, options.x, numbers)
  return points === 1 ? of : figure(Figures.lines(series, { label: caption, ...options }), caption, of)
}

const titled = (group: string, level: string): string => (group === "" ? level : `${group}, ${level}`)
const seedsOf = (members: ReadonlyArray<unknown>): string => (members.length > 1 ? `, ${members.length} seeds` : "")

/** Weights in three digits, as they are read. */
const weight = (value: number): string => value.toFixed(3)

/** The weights of several seeds as one: means at the steps that all have. */
const meanWeights = (members: ReadonlyArray<Groups.Member<LambdaCurves>>): ReadonlyArray<Series> => {
  const [{ own: first }] = members as [Groups.Member<LambdaCurves>]
  const same = members.every(({ own: { weights } }) =>
    weights.every(({ name, points }, i) => {
      const other = first.weights[i]
      return (
        other?.name === name &&
        other.points.length === points.length &&
        points.every(([k], j) => other.points[j]![0] === k)
      )
    })
  )
  if (!same) return []
  return first.weights.map(({ name, points }, i) => ({
    name,
    points: points.map(([k], j): Point => [k, mean(members.map(({ own }) => own.weights[i]!.points[j]![1]))])
  }))
}

/** Tradeoff weights of a method: all seeds over one another, their mean as shares of one, and where they began and ended. */
export const lambda = (group: Groups.Group): Markup =>
  html`${Groups.byLevel(group, ({ lambda }) => lambda).map(([level, members]) => {
    const of = titled(group.name, level)
    const series = Groups.lines(members, ({ weights }) => weights)
    const highest = series.reduce((high, { points }) => points.reduce((most, [, v]) => Math.max(most, v), high), 0)
    const names = members[0]!.own.weights.map(({ name }) => name)
    const at = (end: "first" | "last" | "late") =>
      names.map((name) =>
        members.flatMap(({ own }) => own[end][own.weights.findIndex((line) => line.name === name)] ?? [])
      )
    const [first, last, late] = [at("first"), at("last"), at("late")]
    const shares = meanWeights(members)
    return html`<h3>${of}${seedsOf(members)}</h3>
      ${drawn(series, `λ over steps, ${of}${seedsOf(members)}`, { x: "step", y: "λ", domain: [0, Math.min(1, Math.max(0.1, 1.15 * highest))] })}
      ${
        shares.length > 1 && shares[0]!.points.length > 1
          ? figure(
              Figures.bands(shares, `λ as shares of one, ${of}`),
              members.length > 1 ? "The mean over seeds, as shares of one" : "The same, as shares of one",
              bySteps(`λ of ${of}${members.length > 1 ? ", the mean over seeds" : ""}`, "step", shares)
            )
          : nothing
      }
      ${table(
        `λ of ${of}${members.length > 1 ? `: mean ± deviation over ${members.length} seeds` : ""}`,
        ["objective", "at first", "at last", "mean of the last half"],
        names.map((name, i) => [name, spread(first[i]!, weight), spread(last[i]!, weight), spread(late[i]!, weight)])
      )}`
  })}`

/** A loss with its parts; one that is all of it is drawn once. */
const summands = ({ loss, parts }: LevelCurves): ReadonlyArray<Series> => {
  const [only, ...others] = parts
  const whole = others.length === 0 && only?.points.every(([, value], i) => Object.is(value, loss[i]?.[1]))
  return whole === true
    ? [{ name: `loss, all of it ${only!.name}`, points: loss }]
    : [{ name: "loss", points: loss }, ...parts]
}

const isSteady = (lines: ReadonlyArray<Series>): boolean =>
  lines.every(({ name, points }) => {
    const rate = lines.find((line) => line.name === name)!.points[0]![1]
    return points.every(([, value]) => value === rate)
  })

const rateWords = (rates: ReadonlyArray<Series>): string =>
  Arr.dedupeWith(rates, (a, b) => a.name === b.name)
    .map(({ name, points }) => `${name === "rate" ? "" : `of ${name} `}${number(points[0]?.[1])}`)
    .join(", ")

/** What one level did, on its own clock. */
const ofLevel = (name: string, level: string, members: ReadonlyArray<Groups.Member<LevelCurves>>): Markup => {
  const of = titled(name, level)
  const x = `updates of ${level}`
  const lines = (which: (own: LevelCurves) => ReadonlyArray<Series>) => Groups.lines(members, which)
  const losses = lines(summands)
  const gradient = lines(({ gradient }) => (gradient.length === 0 ? [] : [{ name: "gradient norm", points: gradient }]))
  const norms = lines((own) => own.norms)
  const rates = lines((own) => own.rates)
  const ends = (at: 0 | -1) => spread(members.flatMap(({ own }) => own.loss.at(at)?.[1] ?? []))
  const updates = Math.max(0, ...members.map(({ own }) => own.loss.at(-1)?.[0] ?? 0))
  return html`<h3>${of}${seedsOf(members)}</h3>
    <p>Loss ${ends(0)} at first, ${ends(-1)} at last, over ${updates} updates.</p>
    ${drawn(losses, `loss of ${of} over its own updates${members.some(({ own }) => own.parts.length > 0) ? ", with its parts" : ""}`, { x, y: "loss" }, [...losses, ...gradient])}
    ${drawn(norms, `norms of the gradient and of the change of ${of}, where it was looked at`, { x, y: "norm", log: true })}
    ${rates.length > 0 && isSteady(rates) ? html`<p>Rate ${rateWords(rates)} throughout.</p>` : drawn(rates, `learning rate of ${of}`, { x, y: "rate" })}`
}

/** Losses of a method's levels, each on its own clock, and scores on the way; folded away where there are many methods. */
export const losses = (group: Groups.Group, folded: boolean): Markup => {
  const members = group.trials.map(({ curves, seed }) => ({ seed, own: curves.scores }))
  const scores = Groups.lines(members, (own) => own)
  const of = `scores on the way${group.name === "" ? "" : `, ${group.name}`}`
  const body = html`${Groups.byLevel(group, ({ levels }) => levels).map(([level, own]) => ofLevel(group.name, level, own))}${drawn(scores, of, { x: "step", y: "score" })}`
  return folded
    ? html`<details class="part">
        <summary>${group.name}${seedsOf(group.trials)}</summary>
        ${body}
      </details>`
    : body
}

/** What is drawn of a hypergradient's size: one path that is all of it is the whole, and drawn once. */
const sizes = ({ direct, norm, paths }: HyperCurves): ReadonlyArray<Series> => {
  const parts = [
    ...(direct.some(([, v]) => v > 0) ? [{ name: "direct part", points: direct }] : []),
    ...paths.map(({ norm, via }) => ({ name: `via ${via}`, points: norm }))
  ]
  return [
    { name: parts.length === 1 ? `norm, all of it ${parts[0]!.name}` : "norm", points: norm },
    ...(parts.length > 1 ? parts : [])
  ]
}

/** Hypergradients of a method: how large, from which paths, and how well their solves converged. */
export const hypergradients = (group: Groups.Group): Markup =>
  html`${Groups.byLevel(group, ({ hyper }) => hyper).map(([level, members]) => {
    const of = titled(group.name, level)
    const lines = (which: (own: HyperCurves) => ReadonlyArray<Series>) => Groups.lines(members, which)
    const several = members.some(({ own }) => own.paths.length > 1)
    const cosines = lines(({ paths }) => paths.map(({ cosine, via }) => ({ name: via, points: cosine })))
    const shares = lines(({ paths }) =>
      paths.flatMap(({ share, via }) => (share.length === 0 ? [] : [{ name: via, points: share }]))
    )
    const residuals = lines(({ solves }) =>
      solves.flatMap(({ residual, solve }) => (residual.length === 0 ? [] : [{ name: solve, points: residual }]))
    )
    const solves = members.flatMap(({ own }) => own.solves)
    const sum = (own: typeof solves, of: (solve: (typeof solves)[number]) => number) =>
      `${own.reduce((total, solve) => total + of(solve), 0)}`
    return html`<h3>${of}${seedsOf(members)}</h3>
      ${drawn(lines(sizes), `hypergradient of ${of}: its norm and its parts`, { x: "step", y: "norm", log: true })}
      ${several ? drawn(cosines, `cosine of each path with the whole, ${of}`, { x: "step", y: "cosine", domain: [-1, 1] }) : nothing}
      ${several ? drawn(shares, `share of each path in the whole, ${of}`, { x: "step", y: "share" }) : nothing}
      ${drawn(residuals, `relative residual of each solve, ${of}`, { x: "step", y: "residual", log: true })}
      ${table(
        `solves of ${of}`,
        ["solve", "last residual", "looked at", "not measured", "not sound"],
        Arr.dedupe(solves.map(({ solve }) => solve)).map((solve) => {
          const own = solves.filter((each) => each.solve === solve)
          const last = own.flatMap(({ residual }) => residual.at(-1)?.[1] ?? [])
          const [low, high] = [Math.min(...last), Math.max(...last)]
          return [
            solve,
            last.length === 0 ? "-" : low === high ? number(low) : `${number(low)} to ${number(high)}`,
            sum(own, ({ looks }) => looks),
            sum(own, ({ unmeasured }) => unmeasured),
            sum(own, ({ unsound }) => unsound)
          ]
        })
      )}`
  })}`

/** What levels cost: how long a turn takes, its gradients, the state it carries; the memory of all; and the seconds of trials. */
export const costs = (all: ReadonlyArray<Groups.Group>, program: string): Markup => {
  const rows = all.flatMap((group) => {
    const spent = (own: ReadonlyArray<{ readonly turns: number; readonly milliseconds: number | undefined }>) =>
      own.reduce((sum, { milliseconds, turns }) => sum + turns * (milliseconds ?? 0), 0)
    const whole = group.trials.reduce((sum, { curves }) => sum + spent(curves.costs), 0)
    return Groups.byLevel(group, ({ costs }) => costs).map(([level, members]) => {
      const own = members.map((member) => member.own)
      const time = own.flatMap(({ milliseconds }) => milliseconds ?? [])
      const state = own[0]!.bytes
      return [
        `${titled(group.name, level)}${seedsOf(members)}`,
        `${Math.max(...own.map(({ turns }) => turns))}`,
        spread(time, (value) => `${Number(value.toPrecision(3))}`),
        whole > 0 ? `${((100 * spent(own)) / whole).toFixed(0)} %` : "-",
        number(own[0]!.evaluations),
        state === undefined ? "-" : bytes(state)
      ]
    })
  })
  const peak = all.reduce(
    (most, { trials }) => trials.reduce((high, { curves }) => Math.max(high, curves.peak ?? 0), most),
    0
  )
  return html`${rows.length === 0 ? nothing : table("Cost of each level", ["level", "turns", "ms a turn", "share of time", "gradients a turn", "state"], rows)}
  ${rows.length === 0 ? nothing : html`<p class="soft">Time is what ticks with a level take more than those without; levels that only act together share theirs by the gradients that the plan counts.</p>`}
  ${peak > 0 ? html`<p>The process held ${bytes(peak)} at most.</p>` : nothing}
  ${table(
    "Seconds of trials",
    ["trial", "trials", "seconds each", "of them waiting for data", "attempts"],
    all.map(({ name, trials }) => [
      name === "" ? program : name,
      `${trials.length}`,
      spread(
        trials.map(({ training }) => training),
        (value) => value.toFixed(1)
      ),
      spread(
        trials.map(({ waiting }) => waiting),
        (value) => value.toFixed(1)
      ),
      `${trials.reduce((sum, { attempts }) => sum + attempts, 0)}`
    ])
  )}`
}
