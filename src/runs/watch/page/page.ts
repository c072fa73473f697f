// The live page: what a run writes, drawn as it comes. Text from a run is only ever set as text.
import type uPlotType from "uplot"

const { default: uPlot } = (await import(String("/uplot.js"))) as { readonly default: typeof uPlotType }

type Stepped = readonly [x: number, value: number | string, step: number]
interface Change {
  readonly trial: string
  readonly level: string
  readonly name: string
  readonly anew: boolean
  readonly points: ReadonlyArray<Stepped>
}
interface Status {
  readonly state: string
  readonly tick: number
  readonly attempt: number
  readonly beat: number
  readonly error: string | null
}
interface News {
  readonly title?: string
  readonly changes: ReadonlyArray<Change>
  readonly words: ReadonlyArray<string>
  readonly status: Status | null
}
interface Series {
  readonly trial: string
  readonly level: string
  readonly name: string
  xs: Array<number>
  ys: Array<number | null>
}

/** Points kept of a series: there are fewer columns on any screen. */
const most = 4000
/** Milliseconds between two drawings. */
const pause = 250

const find = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E
const series = new Map<string, Series>()
let trial = ""
let chosen = false
let status: Status | null = null

const numberOf = (value: number | string): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null

const take = ({ anew, level, name, points, trial: of }: Change): void => {
  const key = JSON.stringify([of, level, name])
  const line = series.get(key) ?? { trial: of, level, name, xs: [], ys: [] }
  series.set(key, line)
  if (anew) [line.xs, line.ys] = [[], []]
  for (const [x, value] of points) {
    line.xs.push(x)
    line.ys.push(numberOf(value))
  }
  while (line.xs.length > most) {
    line.xs = line.xs.filter((_, i) => i % 2 === 0)
    line.ys = line.ys.filter((_, i) => i % 2 === 0)
  }
  // Whoever has not chosen sees the trial that is being written.
  if (!chosen) trial = of
}

interface Panel {
  readonly title: string
  readonly x: string
  readonly log: boolean
  readonly lines: ReadonlyArray<Series>
}

/** What belongs on one picture: λ, each level's loss with its parts, the hypergradient, its cosines, residuals, scores. */
const panelOf = ({ level, name }: Series): readonly [title: string, x: string, log: boolean] => {
  if (name.startsWith("lambda/")) return [`λ, ${level}`, "step", false]
  if (name === "loss" || name.startsWith("loss/")) return [`loss, ${level}`, `updates of ${level}`, false]
  if (name === "gradient norm") return [`gradient norm, ${level}`, `updates of ${level}`, true]
  if (name.endsWith("/cosine")) return [`cosines with the hypergradient, ${level}`, "step", false]
  if (name.startsWith("hypergradient/")) return [`hypergradient, ${level}`, "step", false]
  if (name.startsWith("residual/")) return [`residuals of solves, ${level}`, "step", true]
  return [`scores, ${level}`, "step", false]
}

const panels = (): ReadonlyArray<Panel> => {
  const all = new Map<string, { x: string; log: boolean; lines: Array<Series> }>()
  for (const line of series.values()) {
    if (line.trial !== trial) continue
    const [title, x, log] = panelOf(line)
    const panel = all.get(title)
    if (panel === undefined) all.set(title, { x, log, lines: [line] })
    else panel.lines.push(line)
  }
  const order = (title: string) => ["λ", "loss", "hyper", "scores"].findIndex((word) => title.startsWith(word))
  return [...all]
    .map(([title, { lines, log, x }]) => ({ title, x, log: log && positive(lines), lines }))
    .toSorted((a, b) => ((order(a.title) + 9) % 9) - ((order(b.title) + 9) % 9))
}

const positive = (lines: ReadonlyArray<Series>): boolean =>
  lines.every(({ ys }) => ys.every((y) => y === null || y > 0))

/** Lines on common x: what a line does not have there is a gap that is drawn over. */
const aligned = (lines: ReadonlyArray<Series>): uPlotType.AlignedData => {
  const xs = [...new Set(lines.flatMap((line) => line.xs))].sort((a, b) => a - b)
  const place = new Map(xs.map((x, i) => [x, i]))
  const columns = lines.map((line) => {
    const ys: Array<number | null | undefined> = Array.from({ length: xs.length })
    for (const [i, x] of line.xs.entries()) ys[place.get(x)!] = line.ys[i]!
    return ys
  })
  return [xs, ...columns] as uPlotType.AlignedData
}

const style = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const dashes: ReadonlyArray<ReadonlyArray<number>> = [[], [8, 3], [2, 3], [8, 3, 2, 3], [4, 2]]

const short = (name: string): string => name.replace(/^(?:lambda|loss|hypergradient|residual|validation|train)\//, "")

interface Drawn {
  readonly root: HTMLElement
  readonly chart: HTMLElement
  readonly table: HTMLElement
  readonly key: string
  plot: uPlotType | undefined
  visible: boolean
}
const drawn = new Map<string, Drawn>()

const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    for (const panel of drawn.values()) if (panel.root === target) panel.visible = isIntersecting
  }
  schedule()
})

const element = <K extends keyof HTMLElementTagNameMap>(tag: K, text = ""): HTMLElementTagNameMap[K] => {
  const node = document.createElement(tag)
  node.textContent = text
  return node
}

const create = (panel: Panel, key: string): Drawn => {
  const root = element("section")
  const heading = element("h2", panel.title)
  heading.id = `panel-${drawn.size}-${Math.random().toString(36).slice(2)}`
  root.className = "panel"
  root.setAttribute("aria-labelledby", heading.id)
  const chart = element("div")
  chart.className = "chart"
  const details = element("details")
  const table = element("table")
  details.append(element("summary", "Last numbers"), table)
  root.append(heading, chart, details)
  watcher.observe(root)
  return { root, chart, table, key, plot: undefined, visible: true }
}

/** The range of an axis: of values that differ by rounding alone uPlot would count marks without end. */
const range = (_: uPlotType, low: number | null, high: number | null): [number, number] => {
  if (low === null || high === null) return [0, 1]
  const pad = Math.max(0.05 * (high - low), 1e-3 * Math.max(Math.abs(low), Math.abs(high)), 1e-9)
  return [low - pad, high + pad]
}

const draw = (panel: Panel, into: Drawn): void => {
  const data = aligned(panel.lines)
  const width = Math.max(240, into.chart.clientWidth)
  if (into.plot === undefined) {
    const axis = {
      stroke: style("--ink"),
      grid: { stroke: style("--line"), width: 1 },
      ticks: { stroke: style("--line") }
    }
    into.plot = new uPlot(
      {
        width,
        height: 220,
        cursor: { drag: { x: true, y: false } },
        scales: { x: { time: false }, y: panel.log ? { distr: 3 } : { range } },
        axes: [
          { ...axis, label: panel.x, labelSize: 20 },
          { ...axis, size: 64 }
        ],
        series: [
          { label: panel.x },
          ...panel.lines.map((line, i) => ({
            label: short(line.name),
            stroke: style(i < 5 ? `--series-${i + 1}` : "--grey"),
            dash: [...dashes[i % dashes.length]!],
            width: 1.75,
            spanGaps: true
          }))
        ]
      },
      data,
      into.chart
    )
  } else {
    if (into.plot.width !== width) into.plot.setSize({ width, height: 220 })
    into.plot.setData(data)
  }
  into.table.replaceChildren(
    ...panel.lines.map((line) => {
      const row = element("tr")
      const head = element("th", short(line.name))
      head.scope = "row"
      const last = line.ys.at(-1)
      row.append(
        head,
        element("td", last === null || last === undefined ? "not finite" : `${Number(last.toPrecision(5))}`)
      )
      return row
    })
  )
}

const drawAll = (): void => {
  const main = find("panels")
  const wanted = panels()
  const keys = new Set<string>()
  for (const panel of wanted) {
    // A panel that gains a line, or whose values reach zero, is drawn anew.
    const key = JSON.stringify([trial, panel.title, panel.log, panel.lines.map(({ name }) => name)])
    keys.add(key)
    const known = drawn.get(key)
    const into = known ?? create(panel, key)
    if (known === undefined) {
      drawn.set(key, into)
      main.append(into.root)
    }
    if (into.visible) draw(panel, into)
  }
  for (const [key, panel] of drawn) {
    if (keys.has(key)) continue
    watcher.unobserve(panel.root)
    panel.plot?.destroy()
    panel.root.remove()
    drawn.delete(key)
  }
  const trials = [...new Set([...series.values()].map((line) => line.trial))].toSorted()
  const select = find<HTMLSelectElement>("trial")
  find("choice").hidden = trials.length < 2
  if (trials.join("\n") !== [...select.options].map(({ value }) => value).join("\n")) {
    select.replaceChildren(
      ...trials.map((name) => {
        const option = element("option", name === "" ? "the run itself" : name)
        option.value = name
        return option
      })
    )
  }
  select.value = trial
}

let waiting = false
const schedule = (): void => {
  if (waiting) return
  waiting = true
  setTimeout(() => {
    waiting = false
    requestAnimationFrame(drawAll)
  }, pause)
}

const say = (): void => {
  if (status === null) return
  const state = find("state")
  if (state.textContent !== status.state) state.textContent = status.state
  const age = Math.max(0, Math.round((Date.now() - status.beat) / 1000))
  const heard = status.state === "running" ? `, heard ${age} s ago` : ""
  find("facts").textContent = `tick ${status.tick}, attempt ${status.attempt}${heard}`
  const error = find("error")
  error.hidden = status.error === null
  error.textContent = status.error ?? ""
}

const hear = ({ changes, status: now, title, words }: News): void => {
  for (const change of changes) take(change)
  if (now !== null) status = now
  if (title !== undefined) find("title").textContent = document.title = title
  const list = find("words")
  const bottom = list.scrollTop + list.clientHeight >= list.scrollHeight - 4
  list.append(...words.map((text) => element("li", text)))
  while (list.children.length > 200) list.firstElementChild!.remove()
  if (bottom) list.scrollTop = list.scrollHeight
  say()
  schedule()
}

find<HTMLSelectElement>("trial").addEventListener("change", ({ target }) => {
  trial = (target as HTMLSelectElement).value
  chosen = true
  schedule()
})
addEventListener("resize", schedule)
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const panel of drawn.values()) {
    panel.plot?.destroy()
    panel.plot = undefined
  }
  schedule()
})
setInterval(say, 1000)

const events = new EventSource("/events")
events.addEventListener("whole", ({ data }) => {
  series.clear()
  find("words").replaceChildren()
  hear(JSON.parse(data as string) as News)
})
events.addEventListener("news", ({ data }) => hear(JSON.parse(data as string) as News))
events.addEventListener("error", () => {
  find("facts").textContent = "the server does not answer; trying again"
})
