/** One thing that was looked at, and what to do about it. */
import * as Schema from "effect/Schema"
import * as TextTable from "../../runs/view/TextTable.ts"

/**
 * A check: `ok`; `absent`, where something that nobody needs for the rest is not installed or not there; or `fault`, where it is
 * there and does not work, or nothing works without it.
 */
export const Check = Schema.Struct({
  name: Schema.String,
  status: Schema.Literals(["ok", "absent", "fault"]),
  /** What was seen: a version, or why not. */
  says: Schema.String,
  remedy: Schema.NullOr(Schema.String)
})
export type Check = typeof Check.Type

export const ok = (name: string, says: string): Check => ({ name, status: "ok", says, remedy: null })
export const absent = (name: string, says: string, remedy: string): Check => ({ name, status: "absent", says, remedy })
export const fault = (name: string, says: string, remedy: string): Check => ({ name, status: "fault", says, remedy })

/** Checks for people: one a row, what to do below. */
export const text = (checks: ReadonlyArray<Check>): string =>
  TextTable.words(
    checks.flatMap(({ name, remedy, says, status }) => [
      [status, name, says],
      ...(remedy === null ? [] : [["", "", `→ ${remedy}`]])
    ])
  )
