// The live page: what runs write, drawn as it comes. Text from a run is only ever set as text.
import { begin, element, schedule } from "./charts.js"
import { figure, light, type Picture } from "./graph.js"
import { all, type Change, clear, panels, take, trials } from "./series.js"

interface Status {
  readonly run: string
  readonly state: string
  readonly tick: number
  readonly ticks: number | null
  readonly attempt: number
  readonly beat: number | string | null
  readonly error: string | null
}
interface News {
  readonly title?: string
  readonly changes: ReadonlyArray<Change>
  readonly words: ReadonlyArray<string>
  readonly statuses: ReadonlyArray<Status>
  readonly pictures: ReadonlyArray<Picture>
}

const find = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E
const statuses = new Map<string, Status>()
let trial = ""
let chosen = false

const marks: { readonly [state: string]: string } = {
  queued: "·",
  running: "▶",
  done: "✓",
  failed: "✗",
  interrupted: "‖",
  cancelled: "–"
}
const marked = (state: string): string => `${Object.hasOwn(marks, state) ? marks[state] : "?"} ${state}`

const heard = ({ beat, state }: Status): string => {
  if (state !== "running" || typeof beat !== "number") return ""
  return `heard ${Math.max(0, Math.round((Date.now() - beat) / 1000))} s ago`
}

/** When each run was first seen at work, and how far it was by then. */
const begun = new Map<string, { readonly at: number; readonly tick: number; readonly attempt: number }>()

const duration = (seconds: number): string =>
  seconds < 90
    ? `${Math.ceil(seconds)} s`
    : seconds < 5400
      ? `${Math.ceil(seconds / 60)} min`
      : `${Math.floor(seconds / 3600)} h ${Math.ceil((seconds % 3600) / 60)} min`

/** How long a run still takes, at the pace since it was first seen; empty where that is not known. */
const left = ({ attempt, beat, run, state, tick, ticks }: Status): string => {
  if (state !== "running" || ticks === null || typeof beat !== "number") return ""
  const first = begun.get(run)
  if (first?.attempt !== attempt) return (begun.set(run, { at: beat, tick, attempt }), "")
  const pace = (beat - first.at) / 1000 / (tick - first.tick)
  return tick > first.tick && tick < ticks ? `about ${duration((ticks - tick) * pace)} left` : ""
}

const progress = ({ tick, ticks }: Status): string => (ticks === null ? `${tick}` : `${tick} of ${ticks}`)

/** The states of several runs in a table, and counted. */
const sayAll = (known: ReadonlyArray<Status>): void => {
  const counts = new Map<string, number>()
  for (const { state } of known) counts.set(state, (counts.get(state) ?? 0) + 1)
  const counted = [...counts].map(([state, count]) => `${count} ${state}`).join(", ")
  if (find("state").textContent !== counted) find("state").textContent = counted
  find("facts").textContent = ""
  find("runs").hidden = false
  find("states").replaceChildren(
    ...known.map((status) => {
      const row = element("tr")
      const head = element("th", status.run)
      head.scope = "row"
      row.append(
        head,
        ...[marked(status.state), progress(status), heard(status), left(status), status.error ?? ""].map((text) =>
          element("td", text)
        )
      )
      return row
    })
  )
}

const say = (): void => {
  const known = [...statuses.values()]
  if (known.length > 1) return sayAll(known)
  const [status] = known
  if (status === undefined) return
  const state = find("state")
  if (state.textContent !== status.state) state.textContent = status.state
  const facts = [`tick ${progress(status)}`, `attempt ${status.attempt}`, heard(status), left(status)]
  find("facts").textContent = facts.filter((fact) => fact !== "").join(", ")
  const error = find("error")
  error.hidden = status.error === null
  error.textContent = status.error ?? ""
}

const choose = (): void => {
  const known = trials()
  const names = known.length > 1 ? [all, ...known] : known
  const select = find<HTMLSelectElement>("trial")
  find("choice").hidden = known.length < 2
  if (names.join("\n") !== [...select.options].map(({ value }) => value).join("\n")) {
    select.replaceChildren(
      ...names.map((name) => {
        const option = element("option", name === all ? "all, over one another" : name === "" ? "the run itself" : name)
        option.value = name
        return option
      })
    )
  }
  if (!chosen && statuses.size > 1 && known.length > 1) trial = all
  select.value = trial
}

const hear = ({ changes, pictures, statuses: now, title, words }: News): void => {
  for (const change of changes) {
    take(change)
    // Whoever has not chosen sees the trial that is being written.
    if (!chosen) trial = change.trial
  }
  for (const status of now) statuses.set(status.run, status)
  if (title !== undefined) find("title").textContent = document.title = title
  find("plans").hidden &&= pictures.length === 0
  find("graph").append(...pictures.map(figure))
  const acted = changes.filter(({ name }) => name === "loss").map(({ level }) => level)
  if (acted.length > 0) light(new Set(acted))
  const list = find("words")
  const bottom = list.scrollTop + list.clientHeight >= list.scrollHeight - 4
  list.append(...words.map((text) => element("li", text)))
  while (list.children.length > 200) list.firstElementChild!.remove()
  if (bottom) list.scrollTop = list.scrollHeight
  say()
  choose()
  schedule()
}

begin(() =>
  panels(trial).map((panel) => {
    const lines = panel.lines.map(({ label, series }) => [series.trial, series.level, series.name, label])
    return [JSON.stringify([trial, panel.title, panel.log, panel.more, lines]), panel] as const
  })
)
find<HTMLSelectElement>("trial").addEventListener("change", ({ target }) => {
  trial = (target as HTMLSelectElement).value
  chosen = true
  schedule()
})
setInterval(say, 1000)

const events = new EventSource("/events")
events.addEventListener("whole", ({ data }) => {
  clear()
  statuses.clear()
  find("words").replaceChildren()
  find("graph").replaceChildren()
  hear(JSON.parse(data as string) as News)
})
events.addEventListener("news", ({ data }) => hear(JSON.parse(data as string) as News))
events.addEventListener("error", () => {
  find("facts").textContent = "the server does not answer; trying again"
})
