/** Files over HTTP that may take several attempts: what has arrived is kept, and the rest asked for. */
import * as Effect from "effect/Effect"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import { ExitCode, FileHash, JsonFile } from "tapweight"
import * as PartFile from "./PartFile.ts"

/** A file that could not be fetched, or is not the one that was declared. */
export class FetchError extends Schema.TaggedError<FetchError>()("FetchError", {
  url: Schema.String,
  problem: Schema.Literals(["no connection", "refused", "interrupted", "too large", "wrong file", "unwritable"]),
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `${this.url}: ${this.reason}`
  }
}

export interface Options {
  /** The hash the file must have. */
  readonly sha256?: string
  /** Attempts in a row that may bring nothing new: 4 where absent, and 2 where the server cannot be reached at all. */
  readonly attempts?: number
  /** Milliseconds before the second attempt; doubled before each further one. */
  readonly pause?: number
  /** Milliseconds within which an answer and then each further {@link trickle} must arrive: {@link defaultIdle} where absent. */
  readonly idle?: number
  /** Bytes that the file may have: {@link defaultBytes} where absent. */
  readonly bytes?: number
  readonly onProgress?: (done: number, total: number | undefined) => void
}

/** Bytes that are less than progress: a server that sends no more is as good as silent. */
export const trickle = 1024
/** Milliseconds without progress after which an attempt is given up. */
export const defaultIdle = 60_000
/** Bytes that a file may have where its schema does not say: many times the largest of MoleculeNet's. */
export const defaultBytes = 2 ** 28

/** What was fetched. */
export interface Fetched {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

/** An attempt that did not bring the whole file; the next one may. */
class Setback extends Schema.TaggedError<Setback>()("Setback", {
  reason: Schema.String,
  /** Whether the server could not even be reached. */
  unreachable: Schema.Boolean
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
}

const setback = (reason: string): Setback => new Setback({ reason, unreachable: false })

/** The innermost error that caused this one. */
const rootOf = (error: unknown): { readonly message?: unknown; readonly code?: unknown } => {
  const { cause, code } = error as { readonly cause?: unknown; readonly code?: unknown }
  return typeof code === "string" || cause === undefined || cause === null ? (error as Error) : rootOf(cause)
}

const unreachable = /^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/

const host = (url: string): string => URL.parse(url)?.host ?? url

const broken =
  (url: string) =>
  (error: HttpClientError): Setback => {
    const { code, message } = rootOf(error)
    if (typeof code === "string" && unreachable.test(code)) {
      return new Setback({ reason: `no connection to ${host(url)} (${code})`, unreachable: true })
    }
    return setback(`${String(message)}${typeof code === "string" ? ` (${code})` : ""}`)
  }

const unwritable =
  (url: string) =>
  (error: unknown): FetchError => {
    const reason = error instanceof Error ? error.message : String(error)
    return new FetchError({ url, problem: "unwritable", reason })
  }

const seconds = (milliseconds: number): string => `${milliseconds / 1000} s`

/** Which bytes an answer of 206 says that it has, and of how many: `bytes 100-299/300`. */
const rangeOf = (response: HttpClientResponse) => {
  const [, from, end, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers["content-range"] ?? "") ?? []
  return from === undefined ? undefined : { from: Number(from), end: Number(end) + 1, total: Number(total) }
}

/** The name of a version of the file that two requests may rely on: a strong entity tag, or when it was modified. */
const versionOf = ({ headers }: HttpClientResponse): string | undefined => {
  const version = headers["etag"] ?? headers["last-modified"]
  // What is compressed for the way has not the bytes that a range counts.
  const plain = (headers["content-encoding"] ?? "identity") === "identity"
  return plain && version?.startsWith("W/") === false ? version : undefined
}

/** What is to be written where: the length that the whole will have, undefined where the server does not say. */
interface Beginning {
  readonly from: number
  readonly whole: number | undefined
}

/** Where an answer goes on, or why it cannot be used. */
const beginningOf = (response: HttpClientResponse, part: PartFile.PartFile): Beginning | string => {
  if (response.status === 206) {
    const range = rangeOf(response)
    if (range === undefined) return "the server sends a part of the file and does not say which"
    if (part.version === undefined || range.from !== part.bytes) {
      return `the server sends bytes ${range.from} to ${range.end} of ${range.total} in place of those from ${part.bytes} on`
    }
    // A part without a name is what `If-Range` asked for.
    const version = response.headers["etag"] ?? response.headers["last-modified"] ?? part.version
    return version === part.version
      ? { from: part.bytes, whole: range.total }
      : "the server sends a part of another version of the file"
  }
  const { "content-encoding": encoding = "identity", "content-length": length } = response.headers
  return { from: 0, whole: length === undefined || encoding !== "identity" ? undefined : Number(length) }
}

/** Writes a body behind what has arrived, and gives the file's length. */
const receive = Effect.fnUntraced(function* (
  url: string,
  response: HttpClientResponse,
  { handle }: PartFile.PartFile,
  { from, whole }: Beginning,
  { bytes: limit = defaultBytes, idle = defaultIdle, onProgress }: Options
) {
  let have = from
  const body = Stream.runForEach(Stream.mapError(response.stream, broken(url)), (chunk) => {
    if (have + chunk.length > limit) return Effect.fail(tooLarge(url, limit))
    return Effect.tryPromise({
      try: async () => {
        // Where it belongs and not where another process, which fetches the same, has got to.
        for (let at = 0; at < chunk.length;) {
          at += (await handle.write(chunk, at, chunk.length - at, have + at)).bytesWritten
        }
        have += chunk.length
        onProgress?.(have, whole)
      },
      catch: unwritable(url)
    })
  })
  const watch = Effect.gen(function* () {
    for (let last = from; ; last = have) {
      yield* Effect.sleep(idle)
      if (have - last < trickle) {
        return yield* setback(`the server sent ${have - last} bytes in ${seconds(idle)}, and was waited for no longer`)
      }
    }
  })
  yield* Effect.raceFirst(body, watch)
  return have
})

const tooLarge = (url: string, limit: number): FetchError => {
  const reason = `the file has more than ${limit} bytes, which is the most that its schema allows (source.bytes)`
  return new FetchError({ url, problem: "too large", reason })
}

/** One attempt: what was fetched, if the file is complete now. */
const attempt = Effect.fnUntraced(function* (url: string, file: string, options: Options) {
  const { bytes: limit = defaultBytes, idle = defaultIdle } = options
  const part = yield* Effect.mapError(PartFile.open(file, url), unwritable(url))
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  const range = part.version === undefined ? {} : { Range: `bytes=${part.bytes}-`, "If-Range": part.version }
  const response = yield* client.get(url, { headers: { "Accept-Encoding": "identity", ...range } }).pipe(
    Effect.mapError(broken(url)),
    Effect.timeoutOrElse({
      duration: idle,
      orElse: () => Effect.fail(setback(`the server did not answer in ${seconds(idle)}`))
    })
  )
  const unsatisfiable = response.status === 416
  // Nothing is left to send: the part is the whole, or it is no part of it.
  const done = unsatisfiable && response.headers["content-range"] === `bytes */${part.bytes}`
  if (!done && !unsatisfiable && (response.status < 200 || response.status >= 300)) {
    const reason = `the server answers ${response.status}`
    if (response.status >= 500 || response.status === 429) return yield* setback(reason)
    return yield* new FetchError({ url, problem: "refused", reason })
  }
  let bytes = part.bytes
  if (!done) {
    const beginning = unsatisfiable
      ? "the server has no more of the file, and what has arrived is not all of it"
      : beginningOf(response, part)
    if (typeof beginning === "string") {
      yield* PartFile.discard(file)
      return yield* setback(beginning)
    }
    const { from, whole } = beginning
    if (whole !== undefined && whole > limit) return yield* tooLarge(url, limit)
    yield* Effect.tryPromise({ try: () => part.handle.truncate(from), catch: unwritable(url) })
    if (from === 0) yield* Effect.mapError(PartFile.note(file, url, versionOf(response)), unwritable(url))
    bytes = yield* receive(url, response, part, beginning, options)
    if (whole !== undefined && bytes !== whole) return yield* setback("the connection ended before the file did")
  }
  const sha256 = yield* Effect.tryPromise({ try: () => PartFile.hash(file, part), catch: unwritable(url) })
  if (sha256 === undefined) return yield* setback("another process fetches the same file into the same folder")
  if (options.sha256 !== undefined && sha256 !== options.sha256) {
    yield* PartFile.discard(file)
    const reason = `the file that arrived has the SHA-256 ${sha256} in place of ${options.sha256}; it was thrown away`
    return yield* new FetchError({ url, problem: "wrong file", reason })
  }
  yield* Effect.tryPromise({ try: () => PartFile.complete(file), catch: unwritable(url) })
  return { file, bytes, sha256 } satisfies Fetched
}, Effect.scoped)

/** Fails where a file is not the one whose hash is declared; without a hash it says nothing of it. */
export const verify = Effect.fnUntraced(function* (url: string, file: string, sha256: string | undefined) {
  if (sha256 === undefined) return
  const actual = yield* Effect.tryPromise({
    try: () => FileHash.sha256(file),
    catch: (error) => JsonFile.because(file)(error as Error)
  })
  if (actual === sha256) return
  const reason = `${file} has the SHA-256 ${actual} in place of ${sha256}: move it away and fetch it again`
  return yield* new FetchError({ url, problem: "wrong file", reason })
})

/**
 * Fetches a file. Until it is complete and its hash, if one is declared, is right, it is called `FILE.part`; a later call
 * goes on from there where the server names the version of its file. A file that grows beyond `bytes` is thrown away.
 */
export const download = Effect.fnUntraced(
  function* (url: string, file: string, options: Options = {}) {
    const { attempts = 4, pause = 500 } = options
    let [failures, furthest] = [0, 0]
    const reached = (bytes: number): void => {
      // Only what no attempt has brought before is progress: a server that begins anew for ever is given up as well.
      if (bytes < furthest + trickle) return
      ;[failures, furthest] = [0, bytes]
    }
    const onProgress = (done: number, total: number | undefined): void => {
      reached(done)
      options.onProgress?.(done, total)
    }
    for (;;) {
      const outcome = yield* attempt(url, file, { ...options, onProgress }).pipe(
        Effect.catchTag("Setback", (error) => Effect.succeed(error)),
        Effect.tapError((error) => (error.problem === "too large" ? PartFile.discard(file) : Effect.void))
      )
      if (!(outcome instanceof Setback)) return outcome
      failures++
      if (failures >= attempts || (outcome.unreachable && failures > 1)) {
        const problem = outcome.unreachable ? "no connection" : "interrupted"
        return yield* new FetchError({ url, problem, reason: outcome.reason })
      }
      yield* Effect.sleep(pause * 2 ** (failures - 1))
    }
  },
  Effect.provideService(HttpClient.TracerPropagationEnabled, false)
)
