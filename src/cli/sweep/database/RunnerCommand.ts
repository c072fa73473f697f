/** `tapweight runner`. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type * as Load from "../../launch/Load.ts"
import * as Options from "../../Options.ts"
import * as DatabaseFlags from "./DatabaseFlags.ts"
import { SweepError } from "../SweepError.ts"

/** The command: the same on every machine. */
export const runner = (programs: Load.Programs) =>
  Command.make(
    "runner",
    {
      db: DatabaseFlags.db,
      slots: Flag.Int("slots").pipe(
        Flag.withDescription("So many runs at a time (1 where absent)"),
        Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 256 }))),
        Flag.withDefault(1)
      ),
      pool: DatabaseFlags.pool,
      lease: Flag.Finite("lease").pipe(
        Flag.withDescription(
          "Seconds of silence after which other runners take over (60 where absent); a run stops after two thirds of them"
        ),
        Flag.withSchema(Schema.Finite.check(Schema.isBetween({ minimum: 3, maximum: 3600 }))),
        Flag.withDefault(60)
      ),
      exitWhenEmpty: Flag.Boolean("exit-when-empty").pipe(
        Flag.withDescription("Ends when no run of the pool is queued or running, here or elsewhere"),
        Flag.withDefault(false)
      ),
      runs: Options.runs
    },
    Effect.fnUntraced(function* ({ db, ...options }) {
      if (Option.isNone(db)) {
        const reason = "which database? Name it in TAPWEIGHT_DB, or with --db"
        return yield* new SweepError({ sweep: "runner", reason, failed: false })
      }
      // Loaded where it is needed: no other command has a use for a database.
      const Runner = yield* Effect.promise(() => import("./Runner.ts"))
      yield* Runner.run({ ...options, db: db.value.url, programs })
    })
  ).pipe(
    Command.withDescription(
      "Runs what sweeps have queued in a database, each run a process of its own, until it is stopped: their program is to lie in the present folder as it does where the sweep was started"
    )
  )
