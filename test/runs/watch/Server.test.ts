import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { request } from "node:http"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { News } from "../../../src/runs/watch/News.ts"
import * as Server from "../../../src/runs/watch/Server.ts"

const news = (number: number): News => ({ number, changes: [], words: [`line\n${number}`], statuses: [], pictures: [] })
let last = 0
let due: Array<News> = []
const source: Server.Source = {
  title: "t",
  poll: () => due.shift(),
  behind: () => false,
  whole: () => news(last),
  since: (number) => (number > last ? undefined : Array.from({ length: last - number }, (_, i) => news(number + i + 1)))
}

const scope = Effect.runSync(Scope.make())
let served: { readonly url: string; readonly port: number; readonly token: string }
beforeAll(async () => {
  served = await Effect.runPromise(
    Scope.provide(Server.serve(source, { host: "127.0.0.1", port: 0, every: 20 }), scope)
  )
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const ask = (path: string, headers: { readonly [name: string]: string } = {}, method = "GET") =>
  new Promise<{ status: number; headers: { readonly [name: string]: unknown }; body: string }>((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: served.port, path, method, headers }, (response) => {
      let body = ""
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString()
        // A stream of events has no end of its own.
        if (path.startsWith("/events") && body.includes("\n\n")) setTimeout(() => asked.destroy(), 50)
      })
      response.on("close", () => resolve({ status: response.statusCode!, headers: response.headers, body }))
    })
    asked.on("error", reject)
    asked.end()
  })
const cookie = () => ({ cookie: `tapweight-${served.port}=${served.token}` })

describe("the live page's server", () => {
  it("lets in who has the token, as a cookie that no script reads, and strips it from the address", async () => {
    const named = await ask(`/?token=${served.token}`)
    assert.strictEqual(named.status, 303)
    assert.strictEqual(named.headers["location"], "/")
    assert.match(`${named.headers["set-cookie"]}`, /^tapweight-\d+=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Strict$/)
    assert.strictEqual((await ask("/", cookie())).status, 200)
    assert.strictEqual((await ask("/")).status, 401)
    assert.strictEqual((await ask("/?token=0")).status, 403)
    assert.strictEqual((await ask("/", { cookie: `tapweight-${served.port}=0` })).status, 401)
  })

  it("turns away other names, other pages, and whatever would change something", async () => {
    const own = cookie()
    assert.strictEqual((await ask("/", { ...own, host: "evil.example" })).status, 403)
    assert.strictEqual((await ask("/", { ...own, host: `evil.example:${served.port}` })).status, 403)
    assert.strictEqual((await ask("/", { ...own, origin: "http://evil.example" })).status, 403)
    assert.strictEqual((await ask("/", { ...own, origin: `http://127.0.0.1:${served.port}` })).status, 200)
    assert.strictEqual((await ask("/", { ...own, "sec-fetch-site": "cross-site" })).status, 403)
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
      assert.strictEqual((await ask("/", own, method)).status, 405)
  })

  it("serves its own files and no others, each with a policy that lets nothing else in", async () => {
    for (const path of ["/", "/page.css", "/page.js", "/uplot.js", "/uplot.css"]) {
      const { body, headers, status } = await ask(path, cookie())
      assert.strictEqual(status, 200, path)
      assert.isAbove(body.length, 100, path)
      assert.include(`${headers["content-security-policy"]}`, "default-src 'none'")
      assert.strictEqual(headers["x-content-type-options"], "nosniff")
      assert.notProperty(headers, "access-control-allow-origin")
    }
    for (const path of ["/../package.json", "/%2e%2e/package.json", "/page.ts", "/constructor", "//evil", "/.."]) {
      assert.strictEqual((await ask(path, cookie())).status, 404, path)
    }
  })

  it("tells whoever comes everything, whoever comes back what was missed, and another start's anew", async () => {
    last = 3
    const first = await ask("/events", cookie())
    assert.strictEqual(first.headers["content-type"], "text/event-stream")
    const id = /^event: whole\nid: ([0-9a-f]{8})-3\n/.exec(first.body)![1]!
    last = 5
    const again = await ask("/events", { ...cookie(), "last-event-id": `${id}-3` })
    assert.deepStrictEqual(again.body.match(/^id: .*$/gm), [`id: ${id}-4`, `id: ${id}-5`])
    assert.notInclude(again.body, "event: whole")
    for (const other of [`00000000-3`, `${id}-99`, "x", `${id}-3\nx`.replace("\n", " ")]) {
      assert.match((await ask("/events", { ...cookie(), "last-event-id": other })).body, /^event: whole/, other)
    }
  })

  it("refuses a port that is taken", async () => {
    const taken = await Effect.runPromise(
      Effect.scoped(Effect.flip(Server.serve(source, { host: "127.0.0.1", port: served.port })))
    )
    assert.include(taken.message, "cannot be served")
    assert.isTrue(Server.isRemote("0.0.0.0"))
    assert.isFalse(Server.isRemote("127.0.0.1"))
    due = []
  })
})
