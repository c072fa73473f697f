/** Pictures of a report: SVG that takes its colours from the page, and so is light or dark with it. */
import * as Plot from "@observablehq/plot"
import { DOMParser } from "linkedom"
import * as Printable from "../../files/Printable.ts"
import type { Series } from "../view/Chart.ts"
import { sayable } from "../view/Xml.ts"
import { Markup } from "./Html.ts"

/** The colours of the page's style sheet, one for each of five series; further ones are grey, told apart by dash and label. */
const colour = (i: number): string => (i < 5 ? `var(--series-${i + 1})` : "var(--grey)")
const dashes = ["none", "8 3", "2 3", "8 3 2 3", "4 2", "12 3"]

const svgNamespace = "http://www.w3.org/2000/svg"
const newDocument = () => new DOMParser().parseFromString("<svg/>", "image/svg+xml", null)
type Svg = ReturnType<typeof newDocument>["documentElement"]

const element = (
  document: ReturnType<typeof newDocument>,
  tag: string,
  attributes: { readonly [name: string]: string | number },
  text = ""
) => {
  const node = document.createElementNS(svgNamespace, tag, null)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, `${value}`)
  node.textContent = text
  return node
}

/** The picture has a name for those who do not see it. */
const finished = (svg: Svg, label: string): Markup => {
  svg.setAttribute("role", "img")
  svg.setAttribute("aria-label", label)
  // Plot names its marks for readers of a screen, in a way that none of them may heed.
  for (const group of svg.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label")
  // The page's own style sheet says how text looks.
  for (const style of svg.querySelectorAll("style")) style.remove()
  svg.removeAttribute("style")
  // A tenth of a pixel is seen by nobody.
  for (const path of svg.querySelectorAll("path"))
    path.setAttribute(
      "d",
      `${path.getAttribute("d")}`.replace(/\d+\.\d+/g, (number) => `${Math.round(10 * +number) / 10}`)
    )
  return new Markup(sayable(Printable.lines(svg.outerHTML)))
}

const short = (name: string): string => (name.length > 32 ? `${name.slice(0, 31)}…` : name)

/** What stands at an axis: there is room for some seven characters. */
const tick = (value: number): string => {
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace(".0e", "e")
  return `${Number(value.toPrecision(3))}`
}

/** How lines are drawn. */
export interface LineOptions {
  readonly label: string
  readonly x: string
  readonly y: string
  /** Logarithmic where all values are above zero; linear by default. */
  readonly log?: boolean
  readonly domain?: readonly [number, number]
}

const width = 640
/** Pixels of a character of the key, and of the stroke and the space around it. */
const [letter, beside] = [6.6, 50]

/** Where the entries of a key stand: as many columns as the longest name leaves room for. */
const keyOf = (names: ReadonlyArray<string>) => {
  const widest = Math.max(1, ...names.map((name) => short(name).length))
  const columns = Math.max(1, Math.min(4, Math.floor((width - 64) / (letter * widest + beside))))
  const column = Math.floor((width - 64) / columns)
  return {
    rows: Math.ceil(names.length / columns),
    at: (i: number) => [64 + (i % columns) * column, Math.floor(i / columns)]
  }
}

/** Lines over steps with a key below them; lines of one name, of several seeds, look alike. What is not finite leaves a gap. */
export const lines = (series: ReadonlyArray<Series>, { domain, label, log = false, x, y }: LineOptions): Markup => {
  const document = newDocument()
  const usable = log && series.every(({ points }) => points.every(([, v]) => !Number.isFinite(v) || v > 0))
  const names = [...new Set(series.map(({ name }) => name))]
  const { at, rows } = keyOf(names)
  const height = 220 + 18 * rows
  const several = series.length > names.length
  const svg = Plot.plot({
    document,
    width,
    height,
    marginLeft: 64,
    marginRight: 16,
    marginTop: 24,
    marginBottom: 40 + 18 * rows,
    x: { label: x, labelAnchor: "center", labelArrow: "none", labelOffset: 34, ticks: 6, tickFormat: tick },
    y: {
      label: y,
      labelArrow: "none",
      grid: true,
      ticks: 5,
      tickFormat: tick,
      ...(usable ? { type: "log" } : {}),
      ...(domain === undefined ? {} : { domain: [...domain] })
    },
    marks: series.map(({ name, points }) => {
      const i = names.indexOf(name)
      return Plot.line(points, {
        stroke: colour(i),
        strokeWidth: several ? 1.1 : 1.75,
        strokeOpacity: several ? 0.75 : 1,
        strokeDasharray: dashes[i % dashes.length]!,
        ...(points.length === 1 ? { marker: "dot" } : {})
      })
    })
  }) as unknown as Svg
  for (const [i, name] of names.entries()) {
    const [left, row] = at(i) as [number, number]
    const top = height - 18 * rows + 18 * row + 6
    svg.append(
      element(document, "path", {
        d: `M${left},${top}h24`,
        stroke: colour(i),
        "stroke-width": 2,
        "stroke-dasharray": dashes[i % dashes.length]!
      })
    )
    svg.append(element(document, "text", { x: left + 30, y: top, dy: "0.32em", "text-anchor": "start" }, short(name)))
  }
  return finished(svg, label)
}

/** Shares that add up to one, stacked over steps. */
export const bands = (series: ReadonlyArray<Series>, label: string): Markup => {
  const document = newDocument()
  const data = series.flatMap(({ name, points }) => points.map(([k, value]) => ({ name, k, value })))
  const svg = Plot.plot({
    document,
    width,
    height: 120,
    marginLeft: 64,
    marginRight: 16,
    x: { label: null, ticks: 6, tickFormat: tick },
    y: { label: null, domain: [0, 1], ticks: 3 },
    color: { domain: series.map(({ name }) => name), range: series.map((_, i) => colour(i)) },
    marks: [
      Plot.areaY(data, {
        x: "k",
        y: "value",
        fill: "name",
        z: "name",
        stroke: "var(--page)",
        strokeWidth: 1,
        order: null
      })
    ]
  }) as unknown as Svg
  return finished(svg, label)
}

/** A dot for each seed, a row for each method, and a stroke at the mean. */
export const dots = (
  methods: ReadonlyArray<{ readonly method: string; readonly mean: number; readonly values: ReadonlyArray<number> }>,
  x: string,
  label: string
): Markup => {
  const document = newDocument()
  const names = methods.map(({ method }) => method)
  const points = methods.flatMap(({ method, values }) => values.map((value) => ({ method, value })))
  const svg = Plot.plot({
    document,
    width,
    height: 56 + 28 * names.length,
    marginLeft: Math.min(260, 24 + 7 * Math.max(...names.map((name) => short(name).length))),
    marginRight: 24,
    marginBottom: 36,
    x: { label: x, labelAnchor: "center", labelArrow: "none", ticks: 6, grid: true, nice: true, inset: 8 },
    y: { label: null, domain: names, tickFormat: short, tickSize: 0 },
    marks: [
      Plot.dot(points, {
        x: "value",
        y: "method",
        r: 4,
        stroke: "var(--series-1)",
        fill: "var(--series-1)",
        fillOpacity: 0.3
      }),
      Plot.tickX(methods, { x: "mean", y: "method", stroke: "currentColor", strokeWidth: 2, inset: 5 })
    ]
  }) as unknown as Svg
  return finished(svg, label)
}
