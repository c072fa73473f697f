// Pictures of series by uPlot, each drawn when it is seen and has changed, and one after another so that the page answers meanwhile.
import type uPlotType from "uplot"
import type { Line, Panel } from "./series.js"

const { default: uPlot } = (await import(String("/uplot.js"))) as { readonly default: typeof uPlotType }

/** Milliseconds between two drawings of one picture. */
const pause = 250
/** Milliseconds of a frame that drawing may take before the next picture waits for the next frame. */
const budget = 12
/** Lines that a legend names; of more the table does. */
const named = 12

interface Drawn {
  readonly root: HTMLElement
  readonly chart: HTMLElement
  readonly table: HTMLElement
  readonly details: HTMLDetailsElement
  plot: uPlotType | undefined
  visible: boolean
  /** What was drawn last. */
  stamp: string
}
const drawn = new Map<string, Drawn>()
let wanted: ReadonlyArray<readonly [key: string, panel: Panel]> = []

const style = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const dashes: ReadonlyArray<ReadonlyArray<number>> = [[], [8, 3], [2, 3], [8, 3, 2, 3], [4, 2]]

/** An element with a text. */
export const element = <K extends keyof HTMLElementTagNameMap>(tag: K, text = ""): HTMLElementTagNameMap[K] => {
  const node = document.createElement(tag)
  node.textContent = text
  return node
}

/** Lines on common x: what a line does not have there is a gap that is drawn over. */
const aligned = (lines: ReadonlyArray<Line>): uPlotType.AlignedData => {
  const every = new Float64Array(lines.reduce((sum, { series }) => sum + series.xs.length, 0))
  let end = 0
  for (const { series } of lines) {
    every.set(series.xs, end)
    end += series.xs.length
  }
  const xs = [...every.sort()].filter((x, i, all) => i === 0 || x !== all[i - 1])
  const columns = lines.map(({ series }) => {
    const ys: Array<number | null | undefined> = Array.from({ length: xs.length })
    let at = 0
    for (const [i, x] of series.xs.entries()) {
      while (xs[at]! < x) at++
      ys[at] = series.ys[i]!
    }
    return ys
  })
  return [xs, ...columns] as uPlotType.AlignedData
}

/** The range of an axis: of values that differ by rounding alone uPlot would count marks without end. */
const range = (_: uPlotType, low: number | null, high: number | null): [number, number] => {
  if (low === null || high === null) return [0, 1]
  const size = Math.max(Math.abs(low), Math.abs(high))
  const pad = high - low > 1e-3 * size ? 0.05 * (high - low) : Math.max(0.1 * size, 1e-9)
  return [low - pad, high + pad]
}

const units: ReadonlyArray<readonly [size: number, letter: string]> = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"]
]

/** What stands at a mark of an axis, in the few characters that there is room for. */
const mark = (value: number | null): string => {
  if (value === null) return ""
  const size = Math.abs(value)
  if (size !== 0 && size < 1e-3) return value.toExponential(1).replace(".0e", "e")
  const [unit, letter] = units.find(([least]) => size >= least) ?? [1, ""]
  return `${Number((value / unit).toPrecision(5))}${letter}`
}

/** A value in five figures, as the table below has it. */
const five = (value: number | null | undefined): string =>
  value === null || value === undefined ? "" : `${Number(value.toPrecision(5))}`

/** Where nothing is pointed at, the legend has what came last. */
const latest = (plot: uPlotType): void => {
  const last = plot.data[0].length - 1
  if (plot.legend.idx == null && last >= 0) plot.setLegend({ idx: last }, false)
}

/** A line of one point is seen as that point. */
const lone = (plot: uPlotType): boolean => plot.data[0].length === 1

/** Colours and whose they are, where there are too many lines for a legend that names each. */
const keyOf = ({ lines }: Panel): ReadonlyArray<HTMLElement> => {
  if (lines.length <= named) return []
  const methods = new Map(lines.map(({ colour, method }) => [Math.min(colour, 5), colour < 5 ? method : "others"]))
  const list = element("ul")
  list.className = "key"
  for (const [colour, method] of [...methods].toSorted(([a], [b]) => a - b)) {
    const item = element("li", method)
    item.classList.add(colour < 5 ? `series-${colour + 1}` : "grey")
    list.append(item)
  }
  return [list]
}

const create = (panel: Panel): Drawn => {
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
  details.addEventListener("toggle", schedule)
  const hidden = panel.more > 0 ? [element("p", `${panel.more} more lines are not drawn: choose a trial`)] : []
  root.append(heading, chart, ...keyOf(panel), ...hidden, details)
  watcher.observe(root)
  return { root, chart, table, details, plot: undefined, visible: true, stamp: "" }
}

const plotOf = (panel: Panel, width: number, data: uPlotType.AlignedData, chart: HTMLElement): uPlotType => {
  const axis = {
    stroke: style("--ink"),
    grid: { stroke: style("--line"), width: 1 },
    ticks: { stroke: style("--line") }
  }
  return new uPlot(
    {
      width,
      height: 220,
      cursor: { drag: { x: true, y: false } },
      legend: { show: panel.lines.length <= named },
      scales: { x: { time: false }, y: panel.log ? { distr: 3 } : { range } },
      axes: [
        { ...axis, label: panel.x, labelSize: 20 },
        { ...axis, size: 64, values: (_, splits) => splits.map(mark) }
      ],
      hooks: { setLegend: [latest] },
      series: [
        { label: panel.x, value: (_, x) => five(x) },
        ...panel.lines.map(({ colour, dash, label }) => ({
          label,
          value: (_: uPlotType, y: number | null) => five(y),
          stroke: style(colour < 5 ? `--series-${colour + 1}` : "--grey"),
          dash: [...dashes[dash % dashes.length]!],
          width: 1.75,
          spanGaps: true,
          points: { show: lone }
        }))
      ]
    },
    data,
    chart
  )
}

const numbers = (lines: ReadonlyArray<Line>): ReadonlyArray<HTMLElement> =>
  lines.map(({ label, series }) => {
    const row = element("tr")
    const head = element("th", label)
    head.scope = "row"
    const last = series.ys.at(-1)
    const text = last === null || last === undefined ? "not finite" : five(last)
    row.append(head, element("td", text))
    return row
  })

/** Draws a picture where it is not as it should be. Whether it was drawn. */
const draw = (panel: Panel, into: Drawn): boolean => {
  const width = Math.max(240, into.chart.clientWidth)
  const versions = panel.lines.map(({ series }) => series.version).join()
  const stamp = `${width} ${into.details.open} ${versions}`
  if (stamp === into.stamp) return false
  into.stamp = stamp
  const data = aligned(panel.lines)
  if (into.plot === undefined) into.plot = plotOf(panel, width, data, into.chart)
  else {
    if (into.plot.width !== width) into.plot.setSize({ width, height: 220 })
    into.plot.setData(data)
  }
  latest(into.plot)
  if (into.details.open) into.table.replaceChildren(...numbers(panel.lines))
  return true
}

/** One frame: pictures until the frame is used up; what is left waits for the next. */
const frame = (): void => {
  const until = performance.now() + budget
  for (const [key, panel] of wanted) {
    const into = drawn.get(key)!
    if (!into.visible) continue
    if (draw(panel, into) && performance.now() > until) return void requestAnimationFrame(frame)
  }
}

let source: () => ReadonlyArray<readonly [key: string, panel: Panel]> = () => []

const layOut = (main: HTMLElement): void => {
  wanted = source()
  const keys = new Set(wanted.map(([key]) => key))
  for (const [key, panel] of drawn) {
    if (keys.has(key)) continue
    watcher.unobserve(panel.root)
    panel.plot?.destroy()
    panel.root.remove()
    drawn.delete(key)
  }
  for (const [key, panel] of wanted) {
    if (drawn.has(key)) continue
    const made = create(panel)
    drawn.set(key, made)
    main.append(made.root)
  }
  frame()
}

let waiting = false
/** Draws what has changed, soon. */
export const schedule = (): void => {
  if (waiting) return
  waiting = true
  setTimeout(() => {
    waiting = false
    requestAnimationFrame(() => layOut(document.getElementById("panels")!))
  }, pause)
}

const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    for (const panel of drawn.values()) if (panel.root === target) panel.visible = isIntersecting
  }
  schedule()
})

/** Draws what `panels` gives, now and whenever it is scheduled; a picture that gains a line is another. */
export const begin = (panels: () => ReadonlyArray<readonly [key: string, panel: Panel]>): void => {
  source = panels
  addEventListener("resize", schedule)
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const panel of drawn.values()) {
      panel.plot?.destroy()
      panel.plot = undefined
      panel.stamp = ""
    }
    schedule()
  })
}
