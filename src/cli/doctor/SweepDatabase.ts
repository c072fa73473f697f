/** The check of the database that sweeps across machines are handed out from. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Named } from "../sweep/database/DatabaseFlags.ts"
import { inDatabase } from "../sweep/database/Loading.ts"
import { absent, type Check, fault, ok } from "./Check.ts"

const name = "sweep database"
const remedies = {
  Unreachable: "start it, let this machine in, or name another in TAPWEIGHT_DB or --db",
  Refused: "correct its address in TAPWEIGHT_DB or --db, or what its user may do",
  Missing: "npm install @effect/sql-pg@4.0.5",
  Later: "npm install tapweight@latest"
}

/** Whether it is there, and which version of tables it has. Nothing is made in it. */
export const check = (db: Option.Option<Named>): Effect.Effect<Check> =>
  Option.match(db, {
    onNone: () =>
      Effect.succeed(
        absent(
          name,
          "none is named",
          "for sweeps across machines only: TAPWEIGHT_DB=postgresql://USER:PASSWORD@HOST/NAME"
        )
      ),
    onSome: ({ url }) =>
      Effect.flatMap(inDatabase, ({ inspect }) => inspect(url)).pipe(
        Effect.map((says) => ok(name, says)),
        Effect.catch((error) => Effect.succeed(fault(name, error.message, remedies[error.kind])))
      )
  })
