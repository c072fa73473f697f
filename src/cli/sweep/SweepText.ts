/** Sweeps for people. */
import * as Paired from "../../runs/statistics/Paired.ts"
import * as Sweep from "../../runs/sweep/Sweep.ts"
import type { Entry, State } from "../../runs/sweep/SweepFolder.ts"
import * as TextTable from "../../runs/view/TextTable.ts"

const settingsOf = ({ seed, settings }: Entry): string =>
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
