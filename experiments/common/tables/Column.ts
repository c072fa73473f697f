import * as Schema from "effect/Schema"

/** A column by its name, or by the names that different copies of a table give it. */
export const Column = Schema.Union([Schema.NonEmptyString, Schema.NonEmptyArray(Schema.NonEmptyString)])
export type Column = typeof Column.Type

/** The names that a column may have. */
export const namesOf = (column: Column): ReadonlyArray<string> => (typeof column === "string" ? [column] : column)
