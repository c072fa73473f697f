/** What a runner does with a run that it was handed: it claims it, holds it by beats, and says how it ended. */
import * as Effect from "effect/Effect"
import type { Entry } from "../sweep/SweepFolder.ts"
import * as SweepFolder from "../sweep/SweepFolder.ts"
import type { Database, Item } from "./Database.ts"
import { entryOf, type Row } from "./Trials.ts"

/** A run that is one runner's until it ends, or until that falls silent. */
export interface Claimed {
  readonly sweep: string
  readonly entry: Entry
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly claim: number
  readonly failures: number
}

/** Who claims, for how long at a time, into which folder; `above` is the highest claim that the folder knows of. */
export interface Claimant {
  readonly runner: string
  readonly seconds: number
  readonly folder: string
  readonly above: number
}

/** Runners that may be lost over a run before it is given up: it may be what ends them. */
export const patience = 5

type Found = Pick<Row, "id" | "settings" | "seed" | "levels" | "state" | "cancel" | "claim" | "losses" | "failures"> & {
  readonly round: number
  readonly silent: boolean
  readonly program: string
  readonly args: ReadonlyArray<string>
}

/**
 * Claims the run of an item: `Held` while another runner has it; `Nothing` where there is nothing to do with it, now or later, because it
 * is over or was queued anew. A run whose runner fell silent counts as a loss.
 */
export const claim = ({ asked, sql }: Database, item: Item, claimant: Claimant) =>
  asked(
    sql.withTransaction(
      Effect.gen(function* () {
        const [row] = yield* sql<Found>`
          SELECT t.id, t.settings, t.seed::float8 AS seed, t.levels, t.state, t.cancel, t.round, t.claim, t.losses, t.failures,
            coalesce(t.until < clock_timestamp(), true) AS silent, s.program, s.args
          FROM tapweight_trial t JOIN tapweight_sweep s ON s.name = t.sweep
          WHERE t.sweep = ${item.sweep} AND t.id = ${item.id} FOR UPDATE OF t`
        if (row === undefined || row.round !== item.round) return "Nothing" as const
        if (row.state !== "queued" && row.state !== "running") return "Nothing" as const
        if (row.state === "running" && !row.silent) return "Held" as const
        const losses = row.losses + (row.state === "running" ? 1 : 0)
        const end = row.cancel ? "cancelled" : losses >= patience ? "failed" : undefined
        if (end !== undefined) {
          const note =
            end === "failed" ? `its runner was lost ${losses} times, the last of them ${claimant.runner}` : null
          yield* sql`UPDATE tapweight_trial SET state = ${end}, losses = ${losses}, until = NULL, note = ${note}
            WHERE sweep = ${item.sweep} AND id = ${item.id}`
          return "Nothing" as const
        }
        const number = Math.max(row.claim, claimant.above) + 1
        yield* sql`UPDATE tapweight_trial SET state = 'running', claim = ${number}, losses = ${losses}, note = NULL,
            runner = ${claimant.runner}, folder = ${claimant.folder},
            until = clock_timestamp() + ${claimant.seconds}::float8 * interval '1 second'
          WHERE sweep = ${item.sweep} AND id = ${item.id}`
        const { args, failures, program } = row
        return { sweep: item.sweep, entry: entryOf(row), program, args, claim: number, failures } satisfies Claimed
      })
    )
  )

/** Says that a run goes on: whether it is still this claim's, and whether it is to stop, with a checkpoint or at once. */
export const beat = ({ asked, sql }: Database, { claim, entry, sweep }: Claimed, seconds: number) =>
  asked(
    Effect.map(
      sql<{ readonly cancel: boolean; readonly at_once: boolean }>`UPDATE tapweight_trial
        SET until = clock_timestamp() + ${seconds}::float8 * interval '1 second'
        WHERE sweep = ${sweep} AND id = ${entry.id} AND claim = ${claim} AND state = 'running' RETURNING cancel, at_once`,
      ([row]) => (row === undefined ? "lost" : !row.cancel ? "kept" : row.at_once ? "cancelled at once" : "cancelled")
    )
  )

/** How a claimed run ended, as its row is told. */
export interface Settled {
  readonly end: "done" | "failed" | "stopped" | "untouched"
  /** Whether a failure is one that trying again does not change. */
  readonly hopeless?: boolean
  readonly note?: string
  readonly summary?: { readonly [name: string]: number }
}

/** Says how a claimed run ended. Gives what it is now; `stale` where it was another's already, and nothing was changed. */
export const settle = ({ asked, sql }: Database, { claim, entry, sweep }: Claimed, settled: Settled) => {
  const { end, hopeless = false, note = null, summary } = settled
  return asked(
    Effect.map(
      sql<{ readonly state: SweepFolder.State }>`UPDATE tapweight_trial SET
          state = CASE
            WHEN ${end === "done"} THEN 'done'
            WHEN ${end === "failed"} AND (${hopeless} OR failures + 1 >= ${SweepFolder.patience}) THEN 'failed'
            WHEN cancel THEN 'cancelled'
            ELSE 'queued' END,
          failures = failures + ${end === "failed" ? 1 : 0}::integer,
          stops = stops + ${end === "stopped" ? 1 : 0}::integer,
          until = NULL, note = ${note},
          summary = ${summary === undefined ? null : JSON.stringify(summary)}::text::json
        WHERE sweep = ${sweep} AND id = ${entry.id} AND claim = ${claim} AND state = 'running' RETURNING state`,
      ([row]) => row?.state ?? ("stale" as const)
    )
  )
}
