/** The levels of a plan as a picture: boxes from the lowest to the highest, solid edges for solutions, dashed ones for given variables. */
import type { Plan } from "../../runtime/plan/Plan.ts"
import { html, type Markup } from "./Html.ts"

const width = 150
const height = 44
const gap = 70

interface Edge {
  readonly from: number
  readonly to: number
  readonly label: string
  readonly given: boolean
}

/** What each edge says, in words. */
export const edges = (plan: Plan): ReadonlyArray<Edge> => {
  const at = (name: string) => plan.levels.findIndex((level) => level.name === name)
  const owner = (variable: string) => plan.levels.findIndex((level) => level.variable === variable)
  return plan.levels.flatMap((level, to) => [
    ...level.upstream.map((name) => ({
      from: at(name),
      to,
      label: `${plan.levels[at(name)]!.variable}*`,
      given: false
    })),
    ...level.given.flatMap((name) => (owner(name) < 0 ? [] : [{ from: owner(name), to, label: name, given: true }]))
  ])
}

const cut = (name: string): string => (name.length > 18 ? `${name.slice(0, 17)}…` : name)

/** A text, and the middle of where it stands. */
interface Label {
  readonly x: number
  readonly y: number
  readonly text: string
}

/** Where everything of a picture lies, in pixels. */
export interface Layout {
  readonly width: number
  readonly height: number
  readonly boxes: ReadonlyArray<Label & { readonly level: string; readonly variable: string }>
  /** Lines with their heads; `given` ones are dashed. */
  readonly edges: ReadonlyArray<{ readonly line: string; readonly head: string; readonly given: boolean } & Label>
}

/** The size of a level's box. */
export const box = { width, height }

/** The layout of a plan. Edges to the next level are straight; longer ones and those back down are arcs above and below. */
export const layout = (plan: Plan): Layout => {
  const drawn = edges(plan)
  const left = (i: number) => 8 + i * (width + gap)
  const above = Math.max(0, ...drawn.map(({ from, given, to }) => (!given && to - from > 1 ? to - from : 0)))
  const below = Math.max(0, ...drawn.map(({ from, given, to }) => (given ? Math.abs(to - from) : 0)))
  const top = 12 + 26 * above
  return {
    width: left(plan.levels.length) - gap + 8,
    height: top + height + 16 + 30 * below,
    boxes: plan.levels.map(({ name, variable }, i) => ({
      x: left(i),
      y: top,
      text: cut(name),
      level: name,
      variable: `min ${cut(variable)}`
    })),
    edges: drawn.map(({ from, given, label, to }) => {
      if (!given && to - from === 1) {
        const [x0, x1, y] = [left(from) + width, left(to), top + height / 2]
        const head = `M${x1 - 7},${y - 4}L${x1},${y}L${x1 - 7},${y + 4}`
        return { line: `M${x0},${y}H${x1}`, head, given, x: (x0 + x1) / 2, y: y - 6, text: cut(label) }
      }
      const span = Math.abs(to - from)
      const [x0, x1] = [left(from) + width / 2 + (given ? -14 : 0), left(to) + width / 2 + (given ? 14 : 0)]
      const y = given ? top + height : top
      const bow = given ? y + 30 * span : y - 26 * span
      const back = given ? y + 7 : y - 7
      return {
        line: `M${x0},${y}C${x0},${bow} ${x1},${bow} ${x1},${y}`,
        head: `M${x1 - 4},${back}L${x1},${y}L${x1 + 4},${back}`,
        given,
        x: (x0 + x1) / 2,
        y: y + (bow - y) * 0.75 + (given ? 13 : -5),
        text: cut(label)
      }
    })
  }
}

/** What edges say, a sentence each. */
export const words = (plan: Plan): ReadonlyArray<string> =>
  edges(plan).map(({ from, given, label, to }) => {
    const [a, b] = [plan.levels[from]!.name, plan.levels[to]!.name]
    return given ? `${b} is given ${label} by ${a}` : `${b} reads the solution ${label} of ${a}`
  })

/** The picture of a plan. */
export const picture = (plan: Plan): Markup => {
  const { boxes, edges, height: tall, width: wide } = layout(plan)
  const paths = edges.map(
    ({ given, head, line, text, x, y }) =>
      html`<path d="${line}" class="edge" ${given ? html`stroke-dasharray="5 4"` : ""} /><path
          d="${head}"
          class="edge"
        /><text x="${x}" y="${y}" text-anchor="middle">${text}</text>`
  )
  const levels = boxes.map(
    ({ text, variable, x, y }) =>
      html`<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="6" class="box" /><text
          x="${x + width / 2}"
          y="${y + 18}"
          text-anchor="middle"
          class="strong"
          >${text}</text
        ><text x="${x + width / 2}" y="${y + 35}" text-anchor="middle">${variable}</text>`
  )
  const label = `Levels: ${plan.levels.map(({ name }) => name).join(", ")}`
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    viewBox="0 0 ${wide} ${tall}"
    width="${wide}"
    height="${tall}"
    role="img"
    aria-label="${label}"
  >
    ${paths}${levels}
  </svg>`
}
