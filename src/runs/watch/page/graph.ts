// The levels of plans: boxes, solid edges for solutions that are read, dashed ones for variables that are given.
import { element } from "./charts.js"

/** A plan as the server lays it out. */
export interface Picture {
  readonly layout: {
    readonly width: number
    readonly height: number
    readonly boxes: ReadonlyArray<Label & { readonly level: string; readonly variable: string }>
    readonly edges: ReadonlyArray<Label & { readonly line: string; readonly head: string; readonly given: boolean }>
  }
  readonly words: ReadonlyArray<string>
}
interface Label {
  readonly x: number
  readonly y: number
  readonly text: string
}

const box = { width: 150, height: 44 }

const drawn = (tag: string, attributes: { readonly [name: string]: string | number }, text = ""): SVGElement => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, `${value}`)
  node.textContent = text
  return node
}

/** A plan's picture with what its edges say. */
export const figure = ({ layout, words }: Picture): HTMLElement => {
  const { boxes, edges, height, width } = layout
  const label = `Levels: ${boxes.map(({ level }) => level).join(", ")}`
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label })
  const middle = { "text-anchor": "middle" }
  for (const { given, head, line, text, x, y } of edges) {
    svg.append(
      drawn("path", { d: line, class: "edge", ...(given ? { "stroke-dasharray": "5 4" } : {}) }),
      drawn("path", { d: head, class: "edge" }),
      drawn("text", { x, y, ...middle }, text)
    )
  }
  for (const { level, text, variable, x, y } of boxes) {
    const rect = drawn("rect", { x, y, ...box, rx: 6, class: "box" })
    rect.setAttribute("data-level", level)
    svg.append(
      rect,
      drawn("text", { x: x + box.width / 2, y: y + 18, ...middle, class: "strong" }, text),
      drawn("text", { x: x + box.width / 2, y: y + 35, ...middle }, variable)
    )
  }
  const scrolled = element("div")
  scrolled.className = "scroll"
  scrolled.tabIndex = 0
  scrolled.setAttribute("role", "group")
  scrolled.setAttribute("aria-label", label)
  scrolled.append(svg)
  const root = element("figure")
  root.append(scrolled)
  if (edges.length === 0) return root
  const details = element("details")
  const list = element("ul")
  list.append(...words.map((text) => element("li", text)))
  details.append(element("summary", "Edges in words"), list)
  const caption =
    "Solid: a solution that a level reads. Dashed: a variable that a level is given. Thick: levels that acted last."
  root.append(element("figcaption", caption), details)
  return root
}

/** Marks the levels that acted last. */
export const light = (levels: ReadonlySet<string>): void => {
  for (const rect of document.querySelectorAll("#graph rect")) {
    rect.classList.toggle("acting", levels.has(rect.getAttribute("data-level") ?? ""))
  }
}
