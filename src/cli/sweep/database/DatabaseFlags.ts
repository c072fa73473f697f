/** Flags of commands that may work with a database. */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Flag from "effect/cli/Flag"

/** A database that was named, and whether by the flag. */
export interface Named {
  readonly url: Redacted.Redacted
  readonly flag: boolean
}

const ofEnvironment = (): Option.Option<Named> =>
  Option.map(Option.fromUndefinedOr(process.env["TAPWEIGHT_DB"]), (url) => ({ url: Redacted.make(url), flag: false }))

/** The database of sweeps across machines; none where neither the flag nor TAPWEIGHT_DB names one. */
export const db = Flag.Redacted("db").pipe(
  Flag.withMetavar("url"),
  Flag.withDescription(
    "Postgres database that hands runs out: postgresql://USER:PASSWORD@HOST/NAME (TAPWEIGHT_DB where absent, which no list of processes shows)"
  ),
  Flag.optional,
  Flag.map((given) =>
    Option.map(given, (url): Named => ({ url, flag: true })).pipe(
      Option.orElse(ofEnvironment),
      Option.filter(({ url }) => Redacted.value(url) !== "")
    )
  )
)

/** Which runners have a sweep's runs. */
export const pool = Flag.String("pool").pipe(
  Flag.withDescription("Name that a sweep and the runners which it is for have in common"),
  Flag.withDefault("default")
)
