import * as Effect from "effect/Effect"
import * as Records from "../folder/Records.ts"
import type { RunFolder } from "../folder/RunFolder.ts"
import { trialFolder } from "../trial/Session.ts"
import * as Statistics from "../statistics/Statistics.ts"

/**
 * λ over the steps of trials of a run, their mean where there are several, as an SVG (the paper's figure 2); `of` says what
 * of. Undefined where no level of the first reported λ.
 */
export const make = Effect.fnUntraced(function* (folder: RunFolder, trials: ReadonlyArray<string>, of: string) {
  const all = yield* Effect.forEach(trials, (trial) =>
    Effect.map(Records.read(trialFolder(folder, trial)), (records) => records.filter((record) => record.t === "lambda"))
  )
  const [first = [], ...others] = all
  const at = others.map((points) => new Map(points.map(({ k, lambda }) => [k, lambda])))
  const weights = first[0]?.lambda ?? []
  if (weights.length === 0) return undefined
  const series = weights.map((_, i) => ({
    name: first[0]!.names[i] ?? `${i}`,
    points: first.flatMap(({ k, lambda }) => {
      const known = [lambda, ...at.map((found) => found.get(k))].flatMap((found) => found ?? [])
      // A step that not every trial has would bend the line.
      if (known.length < trials.length * lambda.length) return []
      return [[k, Statistics.mean(known.filter((_, j) => j % lambda.length === i))] as const]
    })
  }))
  // Only where a chart is drawn: reading its libraries takes a fifth of the time in which a command starts.
  const Chart = yield* Effect.promise(() => import("./Chart.ts"))
  return Chart.lambdaChart(series, { title: `λ over steps, ${of}`, x: "step", y: "λ" })
})
