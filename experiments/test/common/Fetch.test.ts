import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { dirname, join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Fetch from "../../common/fetch/Fetch.ts"

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

const bed = Layer.merge(NodeServices.layer, FetchHttpClient.layer)

layer(bed, { excludeTestServices: true })("Fetch", (it) => {
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
      assert.strictEqual(error._tag === "FetchError" ? error.problem : error._tag, "interrupted")
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

  /** The beginning of the file, as an attempt that was cut leaves it. */
  const cut = (file: string, url: string, note = JSON.stringify({ url, version: '"1"' })) => {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(`${file}.part`, content.subarray(0, 100_000))
    writeFileSync(`${file}.part.json`, note)
  }
  const ending = (response: ServerResponse, from: number, headers: { readonly [name: string]: string }) => {
    response.writeHead(206, { "Content-Length": content.length - from, ...headers }).end(content.subarray(from))
  }
  const range = (from: number) => `bytes ${from}-${content.length - 1}/${content.length}`
  const foreign: { readonly [name: string]: (response: ServerResponse) => void } = {
    "that starts at 0": (response) => ending(response, 0, { ETag: '"1"', "Content-Range": range(0) }),
    "that starts behind what is there": (response) =>
      ending(response, 200_000, { ETag: '"1"', "Content-Range": range(200_000) }),
    "of another version": (response) => ending(response, 100_000, { ETag: '"2"', "Content-Range": range(100_000) }),
    "that does not say where it starts": (response) => ending(response, 100_000, { ETag: '"1"' })
  }
  for (const [name, answer] of Object.entries(foreign)) {
    it.effect(`a part ${name} is not joined to what has arrived`, () =>
      Effect.gen(function* () {
        const file = yield* target
        const { ranges, url } = yield* serving((request, response) =>
          request.headers.range === undefined ? send(request, response, { etag: '"1"' }) : answer(response)
        )
        cut(file, url)
        yield* Fetch.download(url, file, { pause: 1 })
        assert.deepStrictEqual(ranges, ["bytes=100000-", undefined])
        assert.isTrue(readFileSync(file).equals(content))
      })
    )
    it.effect(`a server that sends a part ${name} whatever it is asked is given up`, () =>
      Effect.gen(function* () {
        const file = yield* target
        const { ranges, url } = yield* serving((_, response) => answer(response))
        cut(file, url)
        const error = yield* Effect.flip(Fetch.download(url, file, { pause: 1 }))
        assert.match(error.message, /the server sends /)
        assert.strictEqual(ranges.length, 4)
        assert.isFalse(existsSync(file))
      })
    )
  }

  it.effect("a server that has another version each time and never all of it is given up", () =>
    Effect.gen(function* () {
      const file = yield* target
      const { ranges, url } = yield* serving((request, response, count) =>
        send(request, response, { etag: `"${count}"`, length: 50_000 })
      )
      const error = yield* Effect.flip(Fetch.download(url, file, { pause: 1 }))
      assert.strictEqual(error._tag === "FetchError" ? error.problem : error._tag, "interrupted")
      assert.isAtMost(ranges.length, 9)
    })
  )

  it.effect("the rest in pieces is as good as the rest at once", () =>
    Effect.gen(function* () {
      const file = yield* target
      const { url } = yield* serving((request, response) => {
        const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "bytes=0-")![1])
        const end = Math.min(from + 70_000, content.length)
        const headers = { ETag: '"1"', "Content-Range": `bytes ${from}-${end - 1}/${content.length}` }
        if (request.headers.range === undefined) return send(request, response, { etag: '"1"', length: 70_000 })
        response.writeHead(206, { "Content-Length": end - from, ...headers }).end(content.subarray(from, end))
      })
      yield* Fetch.download(url, file, { sha256, attempts: 2, pause: 1 })
      assert.isTrue(readFileSync(file).equals(content))
    })
  )

  const slow: { readonly [name: string]: readonly [Handler, RegExp] } = {
    "does not answer": [() => {}, /the server did not answer in 0\.2 s/],
    "begins an answer and falls silent": [
      (_, response) => void response.writeHead(200, { "Content-Length": 9000 }).write("x".repeat(2000)),
      /the server sent \d+ bytes in 0\.2 s/
    ],
    "sends a byte now and then": [
      (_, response) => {
        response.writeHead(200, { "Content-Length": content.length })
        const timer = setInterval(() => response.write("x"), 20)
        response.on("close", () => clearInterval(timer))
      },
      /the server sent \d+ bytes in 0\.2 s, and was waited for no longer/
    ]
  }
  for (const [name, [handler, message]] of Object.entries(slow)) {
    it.effect(`a server that ${name} is waited for so long and no longer`, () =>
      Effect.gen(function* () {
        const file = yield* target
        const { ranges, url } = yield* serving(handler)
        const error = yield* Effect.flip(Fetch.download(url, file, { attempts: 2, pause: 1, idle: 200 }))
        assert.match(error.message, message)
        assert.isAtMost(ranges.length, 3)
      })
    )
  }

  it.effect("no more is taken than the limit, whether or not the server says how much there is", () =>
    Effect.gen(function* () {
      const endless: Handler = (_, response) => {
        response.writeHead(200, { ETag: '"1"' })
        const more = (): void => {
          while (response.write(content));
          response.once("drain", more)
        }
        more()
      }
      const stated: Handler = (request, response) => send(request, response, { etag: '"1"' })
      for (const handler of [endless, stated]) {
        const file = yield* target
        const { ranges, url } = yield* serving(handler)
        const error = yield* Effect.flip(Fetch.download(url, file, { bytes: content.length - 1, pause: 1 }))
        assert.strictEqual(error._tag === "FetchError" ? error.problem : error._tag, "too large")
        assert.match(error.message, /more than 299999 bytes/)
        assert.deepStrictEqual([ranges.length, readdirSync(dirname(file))], [1, []])
      }
      const file = yield* target
      const { url } = yield* serving(stated)
      yield* Fetch.download(url, file, { bytes: content.length })
    })
  )

  it.effect("what else bears the names of a part is not written to", () =>
    Effect.gen(function* () {
      for (const name of [".part", ".part.json"]) {
        for (const how of ["symbolic link", "hard link", "fifo"] as const) {
          const file = yield* target
          const { url } = yield* serving((request, response, count) =>
            send(request, response, { etag: '"1"', ...(count === 1 ? { length: 50_000 } : {}) })
          )
          const victim = join(dirname(file), "..", "victim")
          // What would be gone on from, were it the part's own.
          const text = name === ".part" ? content.subarray(0, 7) : JSON.stringify({ url, version: '"1"' })
          cut(file, url)
          writeFileSync(victim, text)
          yield* (yield* FileSystem.FileSystem).remove(`${file}${name}`)
          if (how === "symbolic link") symlinkSync(victim, `${file}${name}`)
          if (how === "hard link") linkSync(victim, `${file}${name}`)
          if (how === "fifo") assert.strictEqual(spawnSync("mkfifo", [`${file}${name}`]).status, 0)
          yield* Fetch.download(url, file, { sha256, pause: 1 })
          assert.deepStrictEqual(readFileSync(victim), Buffer.from(text), `${how} ${name}`)
          assert.isTrue(readFileSync(file).equals(content))
          assert.deepStrictEqual(readdirSync(dirname(file)), ["set.csv"])
        }
      }
    })
  )

  it.effect("a note that says nothing is no hindrance: the file begins anew", () =>
    Effect.gen(function* () {
      for (const note of ["", '{"url": "htt', "null", '{"version": 1}', "x".repeat(100_000)]) {
        const file = yield* target
        const { ranges, url } = yield* serving((request, response) => send(request, response, { etag: '"1"' }))
        cut(file, url, note)
        yield* Fetch.download(url, file, { sha256, attempts: 1 })
        assert.deepStrictEqual(ranges, [undefined])
      }
    })
  )

  it.effect("two processes that fetch the same file end with the file", () =>
    Effect.gen(function* () {
      const file = yield* target
      const { url } = yield* serving((request, response) => send(request, response, { etag: '"1"' }))
      yield* Effect.all(
        [1, 2, 3].map(() => Fetch.download(url, file, { attempts: 20, pause: 1 })),
        { concurrency: "unbounded" }
      )
      assert.isTrue(readFileSync(file).equals(content))
    })
  )
})
