/** Standings for people. */
import * as Paired from "../statistics/Paired.ts"
import { digitsFor, p, signed as withSign } from "./Numbers.ts"
import type { OfTask, Standings } from "../statistics/Standing.ts"
import * as TextTable from "./TextTable.ts"

/** Digits in which methods are told apart. */
export const digitsOf = (standings: OfTask["standings"]): number =>
  digitsFor(
    standings.map(({ mean }) => mean),
    standings.flatMap(({ difference }) => difference?.mean ?? [])
  )

const ofTask = ({ seeds, smallest, standings, task }: OfTask, { baseline, metric, split }: Standings): string => {
  const digits = digitsOf(standings)
  const signed = (value: number) => withSign(value, digits)
  const rows = standings.map(({ deviation, difference, mean, method, values }) => {
    const spread = `${mean.toFixed(digits)}${values.length > 1 ? ` ± ${deviation.toFixed(digits)}` : ""}`
    if (method === baseline) return [method, `${values.length}`, spread, "baseline", "", ""]
    if (difference === undefined) return [method, `${values.length}`, spread, "no seed shared", "", ""]
    const { holm, interval, mean: by } = difference
    const between = interval === undefined ? "" : ` [${signed(interval[0])}, ${signed(interval[1])}]`
    return [method, `${values.length}`, spread, `${signed(by)}${between}`, p(difference.p), p(holm)]
  })
  const comparisons = standings.filter(({ difference }) => difference?.p !== undefined).length
  const few =
    comparisons > 0 && smallest > Paired.level
      ? [`${seeds} seeds give no corrected p below ${smallest.toFixed(3)}: it takes ${Paired.seedsNeeded(comparisons)}`]
      : []
  const heading = [`${task}: ${metric}, ${split}`, "seeds", "mean ± deviation", "difference [95 %]", "p", "Holm"]
  return [TextTable.words([heading, ...rows]), ...few].join("\n")
}

/** A table for each task, and one over all where there are several. */
export const text = (standings: Standings): string => {
  const { baseline, better, overall, tasks } = standings
  const over = overall.map(({ improvement, method, p: value, rank }) => [
    method,
    rank.toFixed(2),
    improvement === undefined ? "baseline" : improvement.toFixed(2),
    value === undefined ? "" : p(value)
  ])
  return [
    ...tasks.map((task) => ofTask(task, standings)),
    ...(over.length === 0
      ? []
      : [TextTable.words([[`over ${tasks.length} tasks`, "mean rank", `better than ${baseline}`, "p"], ...over])]),
    `${better} is better; p is exact and paired by seed, Holm's over the methods of a task`
  ].join("\n\n")
}
