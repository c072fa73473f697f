/** What scores come to, in a sentence a task: which method is best, by how much, and whether that is more than noise. */
import * as Paired from "../statistics/Paired.ts"
import type { OfTask, Standings } from "../statistics/Standing.ts"
import { p, signed } from "./Numbers.ts"
import { digitsOf } from "./StandingText.ts"

const ofTask = ({ seeds, smallest, standings, task }: OfTask, { baseline, better, metric, split }: Standings) => {
  const sign = better === "more" ? 1 : -1
  const scored = standings.filter(({ mean }) => Number.isFinite(mean))
  const best = scored.toSorted((a, b) => sign * (b.mean - a.mean))[0]
  if (best === undefined || standings.length < 2) return []
  const digits = digitsOf(standings)
  const spread = best.values.length > 1 ? ` ± ${best.deviation.toFixed(digits)}` : ""
  const first = `${task}, ${metric} on ${split}: ${best.method} is best with ${best.mean.toFixed(digits)}${spread}`
  if (best.method === baseline) return [`${first}; nothing is better than the baseline.`]
  if (best.difference === undefined) return [`${first}; it shares no seed with ${baseline}.`]
  const { holm, mean } = best.difference
  const by = `${first}, ${signed(mean, digits)} over ${baseline}`
  if (holm === undefined) return [`${by}; one seed says nothing of noise.`]
  if (holm <= Paired.level) return [`${by}: more than noise (corrected p ${p(holm)}).`]
  const few = smallest > Paired.level ? `; ${seeds} seeds cannot show more` : ""
  return [`${by}: it may be noise (corrected p ${p(holm)}${few}).`]
}

/** Sentences on the test part where a metric was scored there, else on validation. */
export const sentences = (all: ReadonlyArray<Standings>): ReadonlyArray<string> =>
  all
    .filter(({ metric, split }) => split === "test" || !all.some((o) => o.metric === metric && o.split === "test"))
    .flatMap((standings) => standings.tasks.flatMap((task) => ofTask(task, standings)))
