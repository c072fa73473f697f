/** Runs by what tells them apart. */
import type { Entries } from "./Config.ts"

/** Settings that only say with which seeds a run is made, or how many. */
const seeding = new Set(["seed", "seeds"])

/** Of each run the settings, beside seeds, in which any of them differs; empty where there are none. */
export const labels = (all: ReadonlyArray<Entries>): ReadonlyArray<string> => {
  const text = (entries: Entries, key: string) => JSON.stringify(entries[key]?.value)
  const differing = [...new Set(all.flatMap((entries) => Object.keys(entries)))].filter(
    (key) => !seeding.has(key) && all.some((entries) => text(entries, key) !== text(all[0]!, key))
  )
  return all.map((entries) => differing.map((key) => `${key}=${text(entries, key) ?? "-"}`).join(", "))
}
