/** Scores of methods whose encoders were finetuned in several ways. */
import type { Score } from "tapweight"

/** What one training came to, by the way it was finetuned; NaN where there is none. */
interface Row {
  readonly method: string
  readonly task: string
  readonly seed: number
  readonly scores: ReadonlyArray<{ readonly finetuning: string; readonly validation: number; readonly test: number }>
}

/** Every score, for comparing with other runs; a metric is told apart by the kind of finetuning. */
export const ofRows = (
  rows: ReadonlyArray<Row>,
  tasks: ReadonlyArray<{ readonly name: string; readonly metric: string }>,
  better: (metric: string) => Score.Score["better"]
): ReadonlyArray<Score.Score> =>
  rows.flatMap(({ method, scores, seed, task }) => {
    const { metric } = tasks.find(({ name }) => name === task)!
    return scores.flatMap((score) =>
      (["validation", "test"] as const).flatMap((split) =>
        Number.isNaN(score[split])
          ? []
          : [
              {
                method,
                task,
                seed,
                metric: `${metric}, ${score.finetuning}`,
                split,
                better: better(metric),
                value: score[split]
              }
            ]
      )
    )
  })
