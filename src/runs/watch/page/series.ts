// What the page knows of runs: series of points, and which of them belong on one picture.

const { seeded } = (await import(String("/seeds.js"))) as {
  readonly seeded: (trial: string) => readonly [method: string, seed: string]
}

/** A point, and where it is from; numbers that are not finite come as nothing. */
export type Stepped = readonly [x: number, value: number | null, step: number, attempt: number]

/** Points that a series gains, or all that it has. */
export interface Change {
  readonly trial: string
  readonly level: string
  readonly name: string
  readonly anew: boolean
  readonly points: ReadonlyArray<Stepped>
}

/** A series as it is drawn; its version tells whether it has changed. */
export interface Series {
  readonly trial: string
  readonly level: string
  readonly name: string
  xs: Array<number>
  ys: Array<number | null>
  version: number
}

/** A line of a picture: what it is called, also without its seed, its colour by number and its dash by number. */
export interface Line {
  readonly series: Series
  readonly label: string
  readonly method: string
  readonly colour: number
  readonly dash: number
}

/** What is on one picture. `more` lines are too many to be told apart. */
export interface Panel {
  readonly title: string
  readonly x: string
  readonly log: boolean
  readonly lines: ReadonlyArray<Line>
  readonly more: number
}

/** All trials, laid over one another. */
export const all = "*"
/** Points kept of a series: there are fewer columns on any screen. */
const most = 4000
/** Lines of one picture that an eye can tell apart, at the very most. */
const drawn = 40

const series = new Map<string, Series>()

const numberOf = (value: number | null): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null

/** Takes over what is new. */
export const take = ({ anew, level, name, points, trial }: Change): void => {
  const key = JSON.stringify([trial, level, name])
  const line = series.get(key) ?? { trial, level, name, xs: [], ys: [], version: 0 }
  series.set(key, line)
  line.version++
  if (anew) [line.xs, line.ys] = [[], []]
  for (const [x, value] of points) {
    line.xs.push(x)
    line.ys.push(numberOf(value))
  }
  while (line.xs.length > most) {
    line.xs = line.xs.filter((_, i) => i % 2 === 0)
    line.ys = line.ys.filter((_, i) => i % 2 === 0)
  }
}

/** Forgets everything. */
export const clear = (): void => series.clear()

/** The trials that there are. */
export const trials = (): ReadonlyArray<string> =>
  [...new Set([...series.values()].map((line) => line.trial))].toSorted()

/** What belongs on one picture: λ, each level's loss with its parts, the hypergradient, its cosines, residuals, costs, scores. */
const panelOf = ({ level, name }: Series): readonly [title: string, x: string, log: boolean] => {
  const updates = `updates of ${level}`
  if (name.startsWith("lambda/")) return [`λ, ${level}`, "step", false]
  if (name === "loss" || name.startsWith("loss/")) return [`loss, ${level}`, updates, false]
  if (name.startsWith("gradient norm") || name === "update norm")
    return [`gradient and update, ${level}`, updates, true]
  if (name === "rate" || name.startsWith("rate/")) return [`rate, ${level}`, updates, false]
  if (name === "loss scale") return [`loss scale, ${level}`, updates, true]
  if (name.endsWith("/cosine")) return [`cosines with the hypergradient, ${level}`, "step", false]
  if (name.endsWith("/share")) return [`shares of the hypergradient, ${level}`, "step", false]
  if (name.startsWith("hypergradient/")) return [`hypergradient, ${level}`, "step", false]
  if (name.startsWith("residual/")) return [`residuals of solves, ${level}`, "step", true]
  if (name === "cost/milliseconds") return ["cost: milliseconds of a turn", "step", true]
  if (name === "cost/bytes") return ["cost: bytes of state", "step", true]
  if (name === "cost/evaluations") return ["cost: gradients of a turn", "step", false]
  if (name === "cost/turns") return ["cost: turns between records", "step", false]
  if (name === "memory/arrays") return ["arrays with the engine", "step", false]
  if (name.startsWith("memory/")) return ["memory, bytes", "step", false]
  return [`scores, ${level}`, "step", false]
}

const order = ["λ", "loss,", "hyper", "scores", "cosines", "shares", "residuals", "gradient", "rate", "cost", "memory"]
const rank = (title: string): number => {
  const found = order.findIndex((word) => title.startsWith(word))
  return found < 0 ? order.length : found
}

const short = (name: string): string =>
  name.replace(/^(?:lambda|loss|hypergradient|residual|validation|train|cost|memory)\//, "")

const linesOf = (own: ReadonlyArray<Series>, overlaid: boolean): ReadonlyArray<Line> => {
  const names = new Set(own.map(({ level, name }) => `${level} ${name}`))
  const levels = new Set(own.map(({ level }) => level))
  const [colours, dashes] = [new Map<string, number>(), new Map<string, number>()]
  const at = (known: Map<string, number>, key: string): number => {
    if (!known.has(key)) known.set(key, known.size)
    return known.get(key)!
  }
  return own.map((series) => {
    const { level, name, trial } = series
    const what = levels.size > 1 ? level : short(name)
    if (!overlaid) {
      const i = at(colours, `${level} ${name}`)
      return { series, label: what, method: what, colour: i, dash: i }
    }
    const [method, seed] = seeded(trial)
    const called = (...words: ReadonlyArray<string>): string => {
      const text = [...words, names.size > 1 ? what : ""].filter((word) => word !== "").join(", ")
      return text === "" ? what : text
    }
    return {
      series,
      label: called(method, seed === "" ? "" : `seed ${seed}`),
      method: called(method),
      colour: at(colours, `${method} | ${level} ${name}`),
      dash: at(dashes, seed)
    }
  })
}

const positive = (lines: ReadonlyArray<Line>): boolean =>
  lines.every(({ series }) => series.ys.every((y) => y === null || y > 0))

/** The pictures of a trial, or of all together. */
export const panels = (trial: string): ReadonlyArray<Panel> => {
  const found = new Map<string, { x: string; log: boolean; own: Array<Series> }>()
  for (const line of series.values()) {
    if (trial !== all && line.trial !== trial) continue
    const [title, x, log] = panelOf(line)
    const panel = found.get(title)
    if (panel === undefined) found.set(title, { x, log, own: [line] })
    else panel.own.push(line)
  }
  return [...found]
    .map(([title, { log, own, x }]) => {
      const lines = linesOf(own.slice(0, drawn), trial === all)
      return { title, x, log: log && positive(lines), lines, more: Math.max(0, own.length - drawn) }
    })
    .toSorted((a, b) => rank(a.title) - rank(b.title))
}
