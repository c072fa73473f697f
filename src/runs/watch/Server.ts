/** The live page's server: a few files and one stream of events, read-only. */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createRequire, stripTypeScriptTypes } from "node:module"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"
import { quietly } from "../folder/Quietly.ts"
import * as Palette from "../view/Palette.ts"
import * as Access from "./Access.ts"
import type { Feed } from "./Feed.ts"
import type { News } from "./News.ts"

/** A page that cannot be served. */
export class WatchError extends Schema.TaggedError<WatchError>()("WatchError", { reason: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.usage
  }
  override get message(): string {
    return this.reason
  }
}

/** What is looked at: news for whoever stays, everything for whoever comes. */
export interface Source {
  readonly title: string
  /** Looks for what is new; more is at hand where it is `behind`. */
  readonly poll: () => News | undefined
  readonly behind: () => boolean
  readonly whole: () => News
  readonly since: (number: number) => ReadonlyArray<News> | undefined
}

/** A feed as what is looked at, read for so many milliseconds at a time. */
export const sourceOf = (title: string, feed: Feed, patience = Infinity): Source => ({
  title,
  poll: () => feed.poll(patience),
  behind: () => feed.behind,
  whole: () => feed.whole(),
  since: (number) => feed.since(number)
})

/** How a page is served. */
export interface Options {
  readonly host: string
  /** 0 is any that is free. */
  readonly port: number
  /** Milliseconds between two looks at the files. */
  readonly every?: number
}

const own = fileURLToPath(new URL("./page/", import.meta.url))
const uplot = createRequire(import.meta.url)
  .resolve("uplot/package.json")
  .replace(/package\.json$/, "dist/")

/** A script of the page: as it was built, or from its source where this runs from source. */
const script = (name: string) => (): string =>
  import.meta.url.endsWith(".ts")
    ? quietly(() => stripTypeScriptTypes(readFileSync(`${own}${name}.ts`, "utf8")))
    : readFileSync(`${own}${name}.js`, "utf8")

const scripts = ["page", "series", "charts", "graph"]

/** Everything that is served beside the events: no path of a request is ever joined to a folder. */
const assets: { readonly [path: string]: readonly [type: string, read: () => string] } = {
  "/": ["text/html; charset=utf-8", () => readFileSync(`${own}page.html`, "utf8")],
  "/palette.css": ["text/css; charset=utf-8", () => Palette.css],
  "/page.css": ["text/css; charset=utf-8", () => readFileSync(`${own}page.css`, "utf8")],
  "/seeds.js": ["text/javascript; charset=utf-8", script("../../view/Seeds")],
  ...Object.fromEntries(scripts.map((name) => [`/${name}.js`, ["text/javascript; charset=utf-8", script(name)]])),
  "/uplot.css": ["text/css; charset=utf-8", () => readFileSync(`${uplot}uPlot.min.css`, "utf8")],
  "/uplot.js": ["text/javascript; charset=utf-8", () => readFileSync(`${uplot}uPlot.esm.js`, "utf8")]
}

const loopback = new Set(["127.0.0.1", "::1", "localhost"])

/** Whether others than this machine could reach a page that is bound to this host. */
export const isRemote = (host: string): boolean => !loopback.has(host)

/** A line feed in what is sent would end it. */
const event = (name: string, id: string, value: unknown): string =>
  `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(value)}\n\n`

/**
 * Serves a page until the scope ends; gives its address, token and all. An event's id is `START-NUMBER`: who comes back with one is
 * told what came since, and who comes with another start's, or too late, gets everything anew.
 */
export const serve = Effect.fnUntraced(function* (source: Source, { every = 250, host, port }: Options) {
  const token = randomBytes(16).toString("hex")
  const start = randomBytes(4).toString("hex")
  const listeners = new Set<ServerResponse>()
  let bound = port
  const hosts = () => {
    const names = isRemote(host) ? [host, "127.0.0.1", "localhost"] : ["127.0.0.1", "localhost", "[::1]"]
    return names.map((name) => `${name}:${bound}`)
  }
  const idOf = (news: News): string => `${start}-${news.number}`
  const follow = (request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(200, { ...Access.headers, "content-type": "text/event-stream", "x-accel-buffering": "no" })
    const match = /^([0-9a-f]{8})-(\d{1,15})$/.exec(`${request.headers["last-event-id"] ?? ""}`)
    const missed = match?.[1] === start ? source.since(Number(match[2])) : undefined
    if (missed === undefined) {
      const whole = source.whole()
      response.write(event("whole", idOf(whole), { title: source.title, ...whole }))
    } else for (const news of missed) response.write(event("news", idOf(news), news))
    listeners.add(response)
    response.on("close", () => listeners.delete(response))
  }
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value])
    )
    const asked = { method: request.method ?? "", url: request.url ?? "/", headers }
    const verdict = Access.look(asked, { hosts: hosts(), port: bound, token })
    if (verdict._tag === "Refused") {
      response.writeHead(verdict.status, { ...Access.headers, "content-type": "text/plain; charset=utf-8" })
      return void response.end(`${verdict.reason}\n`)
    }
    if (verdict._tag === "Named") {
      response.writeHead(303, { ...Access.headers, location: verdict.location, "set-cookie": verdict.cookie })
      return void response.end()
    }
    const pathname = asked.url.split("?")[0]!
    if (pathname === "/events" && asked.method === "GET") return follow(request, response)
    const asset = Object.hasOwn(assets, pathname) ? assets[pathname] : undefined
    if (asset === undefined) {
      response.writeHead(404, { ...Access.headers, "content-type": "text/plain; charset=utf-8" })
      return void response.end("there is nothing here\n")
    }
    const [type, read] = asset
    response.writeHead(200, { ...Access.headers, "content-type": type })
    response.end(asked.method === "HEAD" ? undefined : read())
  }
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>, WatchError>((resume) => {
      const made = createServer((request, response) => {
        try {
          answer(request, response)
        } catch {
          // What a request says may be no address at all.
          if (!response.headersSent) response.writeHead(400, Access.headers)
          response.end()
        }
      })
      made.once("error", (error) =>
        resume(
          Effect.fail(new WatchError({ reason: `the page cannot be served on ${host}:${port}: ${error.message}` }))
        )
      )
      made.listen(port, host, () => resume(Effect.succeed(made)))
    }),
    (made) =>
      Effect.sync(() => {
        made.close()
        made.closeAllConnections()
      })
  )
  const address = server.address()
  bound = typeof address === "object" && address !== null ? address.port : port
  const tell = () => {
    const news = source.poll()
    if (news === undefined) return
    const text = event("news", idOf(news), news)
    for (const listener of listeners) {
      // One that does not read is let go, and comes back for what it missed: its news would pile up here.
      if (listener.writableLength > 2 ** 23) listener.destroy()
      else listener.write(text)
    }
  }
  tell()
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const timer = { next: undefined as NodeJS.Timeout | undefined }
      const turn = () => {
        tell()
        timer.next = setTimeout(turn, source.behind() ? 20 : every)
      }
      timer.next = setTimeout(turn, every)
      return timer
    }),
    (timer) => Effect.sync(() => clearTimeout(timer.next))
  )
  const shown = host.includes(":") ? `[${host}]` : host
  return { url: `http://${shown}:${bound}/?token=${token}`, port: bound, token }
})
