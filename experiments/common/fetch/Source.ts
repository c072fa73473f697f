/** Files that are fetched from their public addresses, for commands. */
import { existsSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Schema from "effect/Schema"
import * as Fetch from "./Fetch.ts"

/** An address that ends in a file's name. */
const Address = Schema.NonEmptyString.check(
  Schema.makeFilter((text) => {
    const url = URL.parse(text)
    if (url === null || !/^https?:$/.test(url.protocol))
      return "expected an address that begins with https:// or http://"
    return !url.pathname.endsWith("/") || "expected an address that ends in a file's name"
  })
)

/** Where a file is fetched from. */
export const Source = Schema.Struct({
  url: Address,
  /** Bytes that the file may have, where not those of `Fetch.defaultBytes`: more are not fetched. */
  bytes: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  /** The hash of the file at that address, where it is known. */
  sha256: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)))
})
export type Source = typeof Source.Type

/**
 * Fetches a file that is not there, and verifies one that is. Where there is no connection the error says what to do: fetch it elsewhere, then
 * `next`.
 */
export const fetch = Effect.fnUntraced(function* (
  { url, ...limits }: Source,
  file: string,
  next: string,
  say: (line: string) => Effect.Effect<void>
) {
  if (existsSync(file)) {
    yield* Fetch.verify(url, file, limits.sha256)
    return yield* say(`${file} is there already`)
  }
  const got = yield* Fetch.download(url, file, limits).pipe(
    Effect.provide(FetchHttpClient.layer),
    Effect.catchIf(
      (error): error is Fetch.FetchError =>
        error._tag === "FetchError" && (error.problem === "no connection" || error.problem === "interrupted"),
      ({ problem, reason, url }) => {
        const todo =
          problem === "interrupted"
            ? "what has arrived is kept: run the same again, or fetch it elsewhere and"
            : "fetch it where there is one and"
        const change = `${todo} put it at ${file}, then: ${next}`
        return Effect.fail(new Fetch.FetchError({ url, problem, reason: `${reason}; ${change}` }))
      }
    )
  )
  yield* say(`${got.file}  ${got.bytes} bytes  sha256 ${got.sha256}`)
})
