import * as Effect from "effect/Effect"
import { SweepError } from "./SweepError.ts"

/** The one of a sweep's runs that an id or its beginning means. */
export const chosen = Effect.fnUntraced(function* <A extends { readonly id: string }>(
  sweep: string,
  runs: ReadonlyArray<A>,
  prefix: string
) {
  const meant = runs.filter(({ id }) => id.startsWith(prefix))
  if (meant.length === 1) return meant[0]!
  const reason = `${meant.length === 0 ? "none" : meant.length} of its runs begin with '${prefix}'`
  return yield* new SweepError({ sweep, reason, failed: false })
})
