import * as Effect from "effect/Effect"
import { Program, Records, Statistics } from "tapweight"

/** λ over the steps of trials, their Statistics.mean where there are several, as an SVG (the paper's figure 2); `of` says what of. */
export const make = Effect.fnUntraced(function* (session: Program.Session, trials: ReadonlyArray<string>, of: string) {
  const all = yield* Effect.forEach(trials, (trial) =>
    Effect.map(Records.read(Program.trialFolder(session.folder, trial)), (records) =>
      records.filter((record) => record.t === "lambda")
    )
  )
  const [first = [], ...others] = all
  const at = others.map((points) => new Map(points.map(({ k, lambda }) => [k, lambda])))
  const series = (first[0]?.names ?? []).map((name, i) => ({
    name,
    points: first.flatMap(({ k, lambda }) => {
      const known = [lambda, ...at.map((found) => found.get(k))].flatMap((found) => found ?? [])
      // A step that not every trial has would bend the line.
      if (known.length < trials.length * lambda.length) return []
      return [[k, Statistics.mean(known.filter((_, j) => j % lambda.length === i))] as const]
    })
  }))
  // Only where a chart is drawn: reading its libraries takes a fifth of the time in which a command starts.
  const Chart = yield* Effect.promise(() => import("tapweight/chart"))
  return Chart.lambdaChart(series, { title: `λ over steps, ${of}`, x: "step", y: "λ" })
})
