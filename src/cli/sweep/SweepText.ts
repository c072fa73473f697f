/** Sweeps for people. */
import * as Paired from "../../runs/statistics/Paired.ts"
import * as Sweep from "../../runs/sweep/Sweep.ts"
import type { Row } from "../../runs/database/Trials.ts"
import type { Entry, State } from "../../runs/sweep/SweepFolder.ts"
import * as TextTable from "../../runs/view/TextTable.ts"

const settingsOf = ({ seed, settings }: Pick<Entry, "seed" | "settings">): string =>
  [...Object.entries(settings).map(Sweep.override), `seed=${seed}`].join(" ")

/** How many runs, and what so many seeds can show at best. */
export const plan = (name: string, entries: ReadonlyArray<Entry>): string => {
  const seeds = new Set(entries.map(({ seed }) => seed)).size
  const others = new Set(entries.map(({ settings }) => JSON.stringify(settings))).size - 1
  const smallest = Math.min(1, Math.max(1, others) * Paired.smallestP(seeds))
  const few =
    others > 0 && smallest > Paired.level
      ? [
          `${seeds} seeds cannot show a difference: the smallest p of ${others === 1 ? "one comparison" : `${others} comparisons`} is ${smallest.toFixed(3)}; it takes ${Paired.seedsNeeded(others)} seeds`
        ]
      : []
  return [
    TextTable.words([["run", "settings"], ...entries.map((entry) => [entry.id, settingsOf(entry)])]),
    "",
    `sweep ${name}: ${entries.length} runs, ${others + 1} settings, ${seeds} seeds`,
    ...few
  ].join("\n")
}

const order: ReadonlyArray<State> = ["done", "running", "queued", "failed", "cancelled"]

/** A line of counts, and a line for each run that failed. */
export const status = (
  name: string,
  states: ReadonlyArray<{ readonly entry: Entry; readonly state: State; readonly note: string | null }>
): string => {
  const counts = order.map((state) => `${state} ${states.filter((each) => each.state === state).length}`)
  const failed = states.filter(({ state }) => state === "failed")
  return [
    `sweep ${name}: ${counts.join("  ")}`,
    ...failed.map(
      ({ entry, note }) => `${entry.id}  ${settingsOf(entry)}  ${(note ?? "its process was killed").split("\n")[0]}`
    )
  ].join("\n")
}

/** What a database knows of a sweep: counts, and a line for each run of which there is more to say. */
export const rows = (name: string, all: ReadonlyArray<Row>): string => {
  const lost = all.filter((row) => row.lost)
  const going = all.filter(({ lost, state }) => state === "running" && !lost)
  const runners = new Set(going.map(({ runner }) => runner)).size
  const counts = order.map((state) => {
    const count = state === "running" ? going.length : all.filter((row) => row.state === state).length
    return `${state} ${count}${state === "running" && count > 0 ? ` on ${runners === 1 ? "1 runner" : `${runners} runners`}` : ""}`
  })
  const said = (row: Row): ReadonlyArray<string> => {
    if (row.lost) return [`lost: ${row.runner} is silent`]
    if (row.state === "running" && row.cancel) return ["is told to stop"]
    return row.note === null ? [] : [`${row.state}: ${row.note}`]
  }
  return [
    `sweep ${name}: ${[...counts, `lost ${lost.length}`].join("  ")}`,
    ...all.flatMap((row) => said(row).map((words) => `${row.id}  ${settingsOf(row)}  ${words.split("\n")[0]}`))
  ].join("\n")
}
