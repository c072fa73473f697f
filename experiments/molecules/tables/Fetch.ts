/** Files over HTTP that may take several attempts: what has arrived is kept, and the rest asked for. */
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { setTimeout } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { FileHash } from "tapweight"

/** A file that could not be fetched, or is not the one that was declared. */
export class FetchError extends Schema.TaggedError<FetchError>()("FetchError", {
  url: Schema.String,
  problem: Schema.Literals(["no connection", "refused", "interrupted", "wrong file", "unwritable"]),
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.url}: ${this.reason}`
  }
}

export interface Options {
  /** The hash the file must have. */
  readonly sha256?: string
  /** Attempts in a row that may bring nothing: 4 where absent, and 2 where the server cannot be reached at all. */
  readonly attempts?: number
  /** Milliseconds before the second attempt; doubled before each further one. */
  readonly pause?: number
  readonly onProgress?: (done: number, total: number | undefined) => void
}

/** What was fetched. */
export interface Fetched {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

/** What is known of a file that has arrived in part. */
interface Part {
  readonly url: string
  /** The server's name for this version of the file; without one the rest cannot be trusted to belong to the beginning. */
  readonly version: string
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0
  )

const codeOf = (error: unknown): string => {
  const { cause, code } = error as { readonly cause?: unknown; readonly code?: unknown }
  return typeof code === "string" ? code : cause === undefined ? "" : codeOf(cause)
}

const unwritable = /^(?:ENOSPC|EDQUOT|EACCES|EPERM|EROFS|EISDIR|ENOTDIR|EEXIST|EIO)$/

const unreachable = /^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/

/** One attempt: the file's size if it is complete now, undefined if the connection ended before. */
const attempt = async (
  url: string,
  file: string,
  signal: AbortSignal,
  options: Options
): Promise<number | undefined> => {
  const part = `${file}.part`
  const noteFile = `${file}.part.json`
  const note = await readFile(noteFile, "utf8").then(
    (text) => JSON.parse(text) as Part,
    () => undefined
  )
  let have = note?.url === url ? await sizeOf(part) : 0
  const range = note !== undefined && have > 0 ? { Range: `bytes=${have}-`, "If-Range": note.version } : {}
  const response = await fetch(url, { signal, headers: { "Accept-Encoding": "identity", ...range } })
  const total = Number(response.headers.get("content-range")?.split("/")[1] ?? Number.NaN)
  if (response.status === 416) {
    await response.body?.cancel()
    if (total === have) return have
    await Promise.all([rm(part, { force: true }), rm(noteFile, { force: true })])
    return undefined
  }
  if (!response.ok || response.body === null) {
    await response.body?.cancel()
    const reason = `the server answers ${response.status}`
    if (response.status >= 500 || response.status === 429) throw new Error(reason)
    throw new FetchError({ url, problem: "refused", reason })
  }
  if (response.status !== 206) have = 0
  const length = response.headers.get("content-length")
  const whole = response.status === 206 ? total : length === null ? Number.NaN : Number(length)
  const version = response.headers.get("etag") ?? response.headers.get("last-modified")
  if (version === null || version.startsWith("W/")) await rm(noteFile, { force: true })
  else await writeFile(noteFile, JSON.stringify({ url, version } satisfies Part))
  const handle = await open(part, have > 0 ? "a" : "w")
  try {
    for await (const chunk of response.body) {
      await handle.write(chunk as Uint8Array)
      have += (chunk as Uint8Array).length
      options.onProgress?.(have, Number.isNaN(whole) ? undefined : whole)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return Number.isNaN(whole) || have === whole ? have : undefined
}

const errorOf = (url: string, error: unknown): FetchError => {
  const reason = error instanceof Error ? error.message : String(error)
  return new FetchError({ url, problem: unwritable.test(codeOf(error)) ? "unwritable" : "interrupted", reason })
}

const host = (url: string): string => URL.parse(url)?.host ?? url

const fetched = async (url: string, file: string, signal: AbortSignal, options: Options): Promise<Fetched> => {
  const part = `${file}.part`
  await mkdir(dirname(file), { recursive: true })
  const attempts = options.attempts ?? 4
  let last = "the connection ended before the file did"
  for (let failures = 0; failures < attempts;) {
    const before = await sizeOf(part)
    try {
      const bytes = await attempt(url, file, signal, options)
      if (bytes !== undefined) {
        const sha256 = await FileHash.sha256(part)
        if (options.sha256 !== undefined && sha256 !== options.sha256) {
          await Promise.all([rm(part, { force: true }), rm(`${file}.part.json`, { force: true })])
          const reason = `the file that arrived has the SHA-256 ${sha256} in place of ${options.sha256}; it was thrown away`
          throw new FetchError({ url, problem: "wrong file", reason })
        }
        await rename(part, file)
        await rm(`${file}.part.json`, { force: true })
        return { file, bytes, sha256 }
      }
    } catch (error) {
      if (error instanceof FetchError || signal.aborted) throw error
      const code = codeOf(error)
      if (unwritable.test(code)) throw error
      const message = `${(error as Error).message}${code === "" ? "" : ` (${code})`}`
      last = unreachable.test(code) ? `no connection to ${host(url)} (${code})` : message
      if (unreachable.test(code) && failures > 0) break
    }
    failures = (await sizeOf(part)) > before ? 1 : failures + 1
    if (failures < attempts) await setTimeout((options.pause ?? 500) * 2 ** (failures - 1), undefined, { signal })
  }
  const problem = last.startsWith("no connection") ? "no connection" : "interrupted"
  throw new FetchError({ url, problem, reason: last })
}

/** Fails where a file is not the one whose hash is declared; without a hash it says nothing of it. */
export const verify = (url: string, file: string, sha256: string | undefined): Effect.Effect<void, FetchError> =>
  Effect.tryPromise({
    try: async () => {
      if (sha256 === undefined) return
      const found = await FileHash.sha256(file)
      if (found === sha256) return
      const reason = `${file} has the SHA-256 ${found} in place of ${sha256}: move it away and fetch it again`
      throw new FetchError({ url, problem: "wrong file", reason })
    },
    catch: (error) => (error instanceof FetchError ? error : errorOf(url, error))
  })

/**
 * Fetches a file. Until it is complete and its hash, if one is declared, is right, it is called `FILE.part`; a later call
 * goes on from there where the server names the version of its file.
 */
export const download = (url: string, file: string, options: Options = {}): Effect.Effect<Fetched, FetchError> =>
  Effect.tryPromise({
    try: (signal) => fetched(url, file, signal, options),
    catch: (error) => (error instanceof FetchError ? error : errorOf(url, error))
  })
