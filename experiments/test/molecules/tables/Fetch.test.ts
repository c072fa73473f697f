import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Fetch from "../../../molecules/tables/Fetch.ts"

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251))
const sha256 = createHash("sha256").update(content).digest("hex")

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void

/** A server on this machine; gives its address and the ranges that it was asked for. */
const serving = (handle: Handler) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly ranges: Array<string | undefined>; readonly close: () => void }>(
      (resume) => {
        const ranges: Array<string | undefined> = []
        const server = createServer((request, response) => {
          ranges.push(request.headers.range)
          handle(request, response, ranges.length)
        })
        server.listen(0, "127.0.0.1", () => {
          const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/set.csv`
          const close = () => {
            server.closeAllConnections()
            server.close()
          }
          resume(Effect.succeed({ url, ranges, close }))
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

/** Sends `length` bytes of what was asked for and breaks off, or all of it. */
const send = (
  request: IncomingMessage,
  response: ServerResponse,
  options: { readonly etag?: string; readonly length?: number; readonly body?: Buffer }
) => {
  const { body = content, etag, length } = options
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0)
  const asked = from > 0 && request.headers["if-range"] === etag
  const rest = asked ? body.subarray(from) : body
  response.writeHead(asked ? 206 : 200, {
    "Content-Length": rest.length,
    ...(etag === undefined ? {} : { ETag: etag }),
    ...(asked ? { "Content-Range": `bytes ${from}-${body.length - 1}/${body.length}` } : {})
  })
  if (length === undefined) return response.end(rest)
  response.write(rest.subarray(0, length), () => setTimeout(() => response.destroy(), 20))
}

const target = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()),
  (folder) => join(folder, "deep", "set.csv")
)

layer(NodeServices.layer, { excludeTestServices: true })("Fetch", (it) => {
  it.effect("fetches a file, says how far it is, and leaves nothing else behind", () =>
    Effect.gen(function* () {
      const file = yield* target
      const { url } = yield* serving((request, response) => send(request, response, { etag: '"1"' }))
      const told: Array<readonly [number, number | undefined]> = []
      const onProgress = (done: number, total: number | undefined) => void told.push([done, total])
      const got = yield* Fetch.download(url, file, { sha256, onProgress })
      assert.deepStrictEqual(got, { file, bytes: content.length, sha256 })
      assert.isTrue(readFileSync(file).equals(content))
      assert.deepStrictEqual(told.at(-1), [content.length, content.length])
      assert.isFalse(existsSync(`${file}.part`) || existsSync(`${file}.part.json`))
    })
  )

  it.effect("goes on after interruptions, as many as there are while each brings something", () =>
    Effect.gen(function* () {
      const file = yield* target
      const { ranges, url } = yield* serving((request, response, count) =>
        send(request, response, { etag: '"1"', ...(count < 8 ? { length: 40_000 } : {}) })
      )
      yield* Fetch.download(url, file, { sha256, attempts: 7, pause: 1 })
      assert.isTrue(readFileSync(file).equals(content))
      assert.isAbove(ranges.filter((range) => range?.startsWith("bytes=")).length, 3)
    })
  )

  it.effect("a later call goes on where an earlier one has given up", () =>
    Effect.gen(function* () {
      const file = yield* target
      let cut = true
      const { ranges, url } = yield* serving((request, response) =>
        cut && request.headers.range !== undefined
          ? response.destroy()
          : send(request, response, { etag: '"1"', ...(cut ? { length: 100_000 } : {}) })
      )
      const error = yield* Effect.flip(Fetch.download(url, file, { attempts: 2, pause: 1 }))
      assert.strictEqual(error.problem, "interrupted")
      const arrived = readFileSync(`${file}.part`).length
      assert.isAbove(arrived, 0)
      cut = false
      yield* Fetch.download(url, file, { sha256 })
      assert.strictEqual(ranges.at(-1), `bytes=${arrived}-`)
      assert.isTrue(readFileSync(file).equals(content))
    })
  )

  it.effect("begins anew where the file on the server has changed, or the server cannot name its version", () =>
    Effect.gen(function* () {
      const other = Buffer.from(content.toReversed())
      for (const etags of [
        ['"1"', '"2"'],
        [undefined, undefined]
      ] as const) {
        const file = yield* target
        const { url } = yield* serving((request, response, count) => {
          const [body, etag] = count === 1 ? [content, etags[0]] : [other, etags[1]]
          send(request, response, {
            body,
            ...(etag === undefined ? {} : { etag }),
            ...(count === 1 ? { length: 50_000 } : {})
          })
        })
        yield* Fetch.download(url, file, { pause: 1 })
        assert.isTrue(readFileSync(file).equals(other))
      }
    })
  )

  it.effect("throws a file away that is not the one declared", () =>
    Effect.gen(function* () {
      const file = yield* target
      const { url } = yield* serving((request, response) => send(request, response, { etag: '"1"' }))
      const error = yield* Effect.flip(Fetch.download(url, file, { sha256: "0".repeat(64) }))
      assert.strictEqual(error.problem, "wrong file")
      assert.include(error.message, sha256)
      assert.isFalse(existsSync(file) || existsSync(`${file}.part`))
    })
  )

  it.effect("a busy server is asked again, a missing file is not", () =>
    Effect.gen(function* () {
      const file = yield* target
      const busy = yield* serving((request, response, count) =>
        count < 3 ? response.writeHead(503).end() : send(request, response, {})
      )
      yield* Fetch.download(busy.url, file, { sha256, pause: 1 })
      assert.strictEqual(busy.ranges.length, 3)
      const empty = yield* serving((_, response) => void response.writeHead(404).end())
      const error = yield* Effect.flip(Fetch.download(empty.url, file, { pause: 1 }))
      assert.deepStrictEqual([error.problem, empty.ranges.length], ["refused", 1])
      assert.match(error.message, /the server answers 404/)
    })
  )

  it.effect("says that there is no connection, and that a folder cannot be written", () =>
    Effect.gen(function* () {
      const file = yield* target
      const { close, url } = yield* serving(() => {})
      close()
      const error = yield* Effect.flip(Fetch.download(url, file, { attempts: 2, pause: 1 }))
      assert.strictEqual(error.problem, "no connection")
      assert.match(error.message, /no connection to 127\.0\.0\.1:\d+ \(ECONNREFUSED\)/)
      const other = yield* Effect.flip(Fetch.download(url, "/dev/null/set.csv", {}))
      assert.strictEqual(other.problem, "unwritable")
    })
  )
})
