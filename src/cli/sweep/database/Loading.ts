import * as Effect from "effect/Effect"

/** What needs a database, loaded when one is named: of all that it takes to start, no other command has a use for it. */
export const inDatabase = Effect.promise(() => import("./InDatabase.ts"))
