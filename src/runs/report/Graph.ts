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

/** The picture. Edges to the next level are straight; longer ones and those back down are arcs above and below. */
export const picture = (plan: Plan): Markup => {
  const drawn = edges(plan)
  const left = (i: number) => 8 + i * (width + gap)
  const above = Math.max(0, ...drawn.map(({ from, given, to }) => (!given && to - from > 1 ? to - from : 0)))
  const below = Math.max(0, ...drawn.map(({ from, given, to }) => (given ? Math.abs(to - from) : 0)))
  const top = 12 + 26 * above
  const total = [left(plan.levels.length) - gap + 8, top + height + 16 + 30 * below]
  const arrow = (x: number, y: number, up: boolean) =>
    html`<path d="M${x - 4},${up ? y + 7 : y - 7}L${x},${y}L${x + 4},${up ? y + 7 : y - 7}" class="edge" />`
  const paths = drawn.map(({ from, given, label, to }) => {
    if (!given && to - from === 1) {
      const [x0, x1, y] = [left(from) + width, left(to), top + height / 2]
      return html`<path d="M${x0},${y}H${x1}" class="edge" /><path
          d="M${x1 - 7},${y - 4}L${x1},${y}L${x1 - 7},${y + 4}"
          class="edge"
        /><text x="${(x0 + x1) / 2}" y="${y - 6}" text-anchor="middle">${cut(label)}</text>`
    }
    const span = Math.abs(to - from)
    const [x0, x1] = [left(from) + width / 2 + (given ? -14 : 0), left(to) + width / 2 + (given ? 14 : 0)]
    const y = given ? top + height : top
    const bow = given ? y + 30 * span : y - 26 * span
    return html`<path
        d="M${x0},${y}C${x0},${bow} ${x1},${bow} ${x1},${y}"
        class="edge"
        ${given ? html`stroke-dasharray="5 4"` : ""}
      />${arrow(x1, y, given)}<text
        x="${(x0 + x1) / 2}"
        y="${y + (bow - y) * 0.75 + (given ? 13 : -5)}"
        text-anchor="middle"
        >${cut(label)}</text
      >`
  })
  const boxes = plan.levels.map(
    ({ name, variable }, i) =>
      html`<rect x="${left(i)}" y="${top}" width="${width}" height="${height}" rx="6" class="box" /><text
          x="${left(i) + width / 2}"
          y="${top + 18}"
          text-anchor="middle"
          class="strong"
          >${cut(name)}</text
        ><text x="${left(i) + width / 2}" y="${top + 35}" text-anchor="middle">min ${cut(variable)}</text>`
  )
  const label = `Levels: ${plan.levels.map(({ name }) => name).join(", ")}`
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    viewBox="0 0 ${total[0]!} ${total[1]!}"
    width="${total[0]!}"
    height="${total[1]!}"
    role="img"
    aria-label="${label}"
  >
    ${paths}${boxes}
  </svg>`
}
