import * as Logger from "effect/Logger"
import type { LogLevel } from "effect/LogLevel"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import * as Printable from "../../files/Printable.ts"

const said: { readonly [level in LogLevel]?: string } = { Warn: "warning  ", Error: "error  ", Fatal: "error  " }

/** What is logged, for people on standard error, since standard output is for results: what it says, after a word where it is more than news. */
export const logger = Logger.withConsoleError(
  Logger.make<unknown, string>(({ logLevel, message }) => {
    const parts = Array.isArray(message) ? message : [message]
    return Printable.lines(`${said[logLevel] ?? ""}${parts.map(Sentence.of).join(" ")}`)
  })
)
