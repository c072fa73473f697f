/** What a run's end says in numbers that other runs may be compared with. */
import * as Schema from "effect/Schema"

/** One method's score on one task with one seed. */
export const Score = Schema.Struct({
  method: Schema.String,
  task: Schema.String,
  seed: Schema.Int,
  metric: Schema.String,
  split: Schema.Literals(["validation", "test"]),
  /** Whether more or less of the metric is better. */
  better: Schema.Literals(["more", "less"]),
  value: Schema.Number
})
export type Score = typeof Score.Type
