import * as Plot from "@observablehq/plot"
import { DOMParser } from "linkedom"
import { sayable } from "./Xml.ts"

/** A named line of (step, value) points. */
export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<readonly [k: number, value: number]>
}

/** What a chart says beside its lines. */
export interface ChartOptions {
  readonly title?: string
  /** What the steps are steps of; `outer step` by default. */
  readonly x?: string
  /** What the lines show; `λ` by default. */
  readonly y?: string
  readonly width?: number
  readonly height?: number
}

// Okabe and Ito's colours that have a contrast of at least 3 on white; a sixth series and more are grey, told apart by
// dash and label.
const colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"]
const grey = "#767676"
const dashes = ["none", "8 3", "2 3", "8 3 2 3", "4 2", "12 3"]

/** The positions nearest to `values` that keep their order, a distance of `gap`, and the range (pool adjacent violators). */
const spread = (values: ReadonlyArray<number>, gap: number, low: number, high: number): ReadonlyArray<number> => {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!)
  const blocks: Array<{ mean: number; size: number }> = []
  for (const [rank, i] of order.entries()) {
    let block = { mean: values[i]! - rank * gap, size: 1 }
    while (blocks.length > 0 && blocks.at(-1)!.mean > block.mean) {
      const { mean, size } = blocks.pop()!
      block = { mean: (mean * size + block.mean * block.size) / (size + block.size), size: size + block.size }
    }
    blocks.push(block)
  }
  const top = high - (values.length - 1) * gap
  const shifted = blocks.flatMap(({ mean, size }) =>
    Array.from({ length: size }, () => Math.max(low, Math.min(top, mean)))
  )
  const out: Array<number> = []
  for (const [rank, i] of order.entries()) out[i] = shifted[rank]! + rank * gap
  return out
}

const short = (name: string): string => (name.length > 24 ? `${name.slice(0, 23)}…` : name)

/**
 * Lines over steps as one self-contained SVG: white ground, each line labelled at its end, told apart by colour and by
 * dash in the order given. The axis shows 0 to 1, and more where the values need it.
 */
export const lambdaChart = (series: ReadonlyArray<Series>, options: ChartOptions = {}): string => {
  const { height = 320, title, width = 720, x = "outer step", y = "λ" } = options
  const lines = series.map(({ name, points }, i) => ({
    name: short(name),
    points,
    style: { stroke: colours[i] ?? grey, strokeDasharray: dashes[i % dashes.length]!, strokeWidth: 2 }
  }))
  const values = series.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite)
  const low = values.reduce((a, b) => Math.min(a, b), 0)
  const high = values.reduce((a, b) => Math.max(a, b), 1)
  const marginTop = title === undefined ? 32 : 60
  const marginRight = 40 + 7.5 * Math.max(0, ...lines.map(({ name }) => name.length + 5))
  // An XML document, since an HTML one is written with attributes that no SVG reader takes.
  const document = new DOMParser().parseFromString("<svg/>", "image/svg+xml", null)
  const svg = Plot.plot({
    document,
    width,
    height,
    marginTop,
    marginRight,
    marginBottom: 44,
    marginLeft: 52,
    style: { fontFamily: "system-ui, Arial, DejaVu Sans, sans-serif", fontSize: "13px" },
    ariaLabel: title ?? `${y} over ${x}`,
    x: { label: x, labelAnchor: "center", labelArrow: "none", ticks: 6, tickFormat: ",d" },
    y: { label: null, domain: [low, high], grid: true, ticks: 5 },
    marks: lines.map(({ points, style }) => Plot.line(points, style))
  })
  const add = (tag: string, attributes: { readonly [key: string]: string | number }, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag, null)
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value))
    node.textContent = text
    return node
  }
  const ends = lines.flatMap(({ name, points, style }) => {
    const last = points.findLast(([, value]) => Number.isFinite(value))
    if (last === undefined) return []
    const [px, py] = [svg.scale("x")!.apply(last[0]) as number, svg.scale("y")!.apply(last[1]) as number]
    return [{ label: `${name} ${last[1].toPrecision(2)}`, stroke: style.stroke, px, py }]
  })
  const rows = spread(
    ends.map(({ py }) => py),
    15,
    marginTop - 8,
    height - 36
  )
  // Text is black, since colours that are strong enough for a line are too weak for letters; a leader joins the two.
  const right = width - marginRight
  for (const [i, { label, px, py, stroke }] of ends.entries()) {
    svg.append(add("path", { d: `M${px},${py}L${right + 3},${py}L${right + 14},${rows[i]!}h5`, fill: "none", stroke }))
    svg.append(add("text", { x: right + 23, y: rows[i]!, dy: "0.32em", "text-anchor": "start" }, label))
  }
  svg.append(add("text", { x: 28, y: marginTop - 14, "text-anchor": "start" }, y))
  if (title !== undefined) {
    svg.append(add("text", { x: 8, y: 22, "text-anchor": "start", "font-size": 16, "font-weight": "bold" }, title))
  }
  svg.prepend(add("rect", { width, height, fill: "#fff" }))
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg")
  svg.setAttribute("role", "img")
  // Without a colour of its own it would take the page's, which may be white on dark.
  svg.setAttribute("color", "#000")
  return sayable(svg.outerHTML as string)
}
