/** Scores of several metrics and splits. */
import * as Arr from "effect/Array"
import type { Score } from "../folder/Score.ts"
import * as Standing from "./Standing.ts"

/** How methods stand by each metric on each split, compared with the first method that has it. */
export const standings = (scores: ReadonlyArray<Score>): ReadonlyArray<Standing.Standings> => {
  const key = ({ metric, split }: Score) => JSON.stringify([metric, split])
  return Arr.dedupe(scores.map(key)).map((one) => {
    const own = scores.filter((score) => key(score) === one)
    return Standing.of(own, own[0]!.method)
  })
}
