import * as Effect from "effect/Effect"
import * as Chart from "../runs/Chart.ts"
import * as Program from "../runs/Program.ts"
import * as Records from "../runs/Records.ts"

/** λ over the steps of one trial, as an SVG (the paper's figure 2); `of` says what of. */
export const make = Effect.fnUntraced(function* (session: Program.Session, trial: string, of: string) {
  const records = yield* Records.read(Program.trialFolder(session.folder, trial))
  const points = records.filter((record) => record.t === "lambda")
  const series = (points[0]?.names ?? []).map((name, i) => ({
    name,
    points: points.map((p) => [p.k, p.lambda[i]!] as [number, number])
  }))
  return Chart.lambdaChart(series, { title: `λ over steps, ${of}`, x: "step", y: "λ" })
})
