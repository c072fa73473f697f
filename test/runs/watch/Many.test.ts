import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Browser } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { thin } from "../../../src/runs/report/Thin.ts"
import { Feed } from "../../../src/runs/watch/Feed.ts"
import type { News, Stepped } from "../../../src/runs/watch/News.ts"
import * as Server from "../../../src/runs/watch/Server.ts"
import { absent, launch, serious, watched } from "../../support/browser.ts"
import { long } from "../../support/long.ts"

const hostile = `<img src=x onerror=alert(1)>`
const root = mkdtempSync(join(tmpdir(), "tapweight-many-"))
const names = ["rate=0.1, seed 0", "rate=0.1, seed 1", `rate=${hostile}, seed 0`]
const folderOf = (i: number) => join(root, `${i}`)
const records = (i: number, from: number, to: number): string =>
  Array.from({ length: to - from }, (_, at) => {
    const k = from + at + 1
    return [
      {
        t: "step",
        k,
        level: "low",
        w: k,
        tick: k,
        loss: (i + 1) / k,
        rates: { "": 0.1 },
        moved: 1,
        taken: 1,
        gnorm: 2
      },
      { t: "lambda", k, level: "up", w: k, names: ["a", "b"], beta: [0, 0], lambda: [0.3, 0.7], entropy: 1 },
      { t: "cost", k, level: "low", w: k, turns: 1, ms: 2 + i, evaluations: 3, bytes: 4000 },
      { t: "cost", k, level: "up", w: k, turns: 1, ms: 5 + i, evaluations: 7, bytes: 80 },
      { t: "memory", k, w: k, resident: 1e8, peak: 2e8, heap: 1e7, arrays: 12 }
    ]
      .map((record) => `${JSON.stringify(record)}\n`)
      .join("")
  }).join("")
const status = (i: number, state: string, tick: number) =>
  writeFileSync(
    join(folderOf(i), "status.json"),
    JSON.stringify({
      state,
      tick,
      attempt: 1,
      heartbeat: new Date().toISOString(),
      error: state === "failed" ? hostile : null
    })
  )
const level = (name: string, variable: string, more: object) => ({
  name,
  variable,
  given: [],
  upstream: [],
  unroll: 1,
  repeat: 1,
  warmup: 0,
  freeze: null,
  restart: false,
  optimizer: "sgd(0.1)",
  data: "none",
  estimator: null,
  period: 1,
  start: 0,
  ...more
})
const plan = {
  version: 1,
  simultaneous: false,
  levels: [level("low", hostile, { given: ["b"] }), level("up", "b", { upstream: ["low"] })],
  fixed: [],
  sweeps: [],
  cost: []
}

/** Serves a source for as long as it is used. */
const serving = async <A>(source: Server.Source, every: number, use: (url: string, port: number) => Promise<A>) => {
  const scope = Effect.runSync(Scope.make())
  try {
    const made = Scope.provide(Server.serve(source, { host: "127.0.0.1", port: 0, every }), scope)
    const { port, url } = await Effect.runPromise(made)
    return await use(url, port)
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

describe.skipIf(absent !== undefined)(
  `a page of several runs${absent === undefined ? "" : ` (${absent})`}`,
  { timeout: 180_000 },
  () => {
    let browser: Browser
    beforeAll(async () => {
      for (const [i] of names.entries()) {
        mkdirSync(folderOf(i))
        const head = { t: "head", v: 1, run: "r", attempt: 1, from: 0, at: "2026-01-01T00:00:00Z" }
        writeFileSync(join(folderOf(i), "metrics-1.ndjson"), `${JSON.stringify(head)}\n${records(i, 0, 5)}`)
        writeFileSync(join(folderOf(i), "plan.json"), JSON.stringify({ problems: { one: plan } }))
        status(i, i === 2 ? "failed" : "running", 5)
      }
      browser = await launch()
    }, 60_000)
    afterAll(async () => {
      await browser?.close()
      rmSync(root, { recursive: true, force: true })
    })

    it("lays them over one another by method and seed, with states, levels and costs; a queued one comes later", async () => {
      const watching = names.map((name, i) => ({ name, path: folderOf(i) }))
      const feed = new Feed(() => [...watching, { name: "rate=1, seed 9", path: folderOf(9), state: "queued" }])
      await serving(Server.sourceOf("sweep rates", feed), 50, async (url, port) => {
        const page = await browser.newPage({ viewport: { width: 1000, height: 3000 } })
        const { faults } = watched(page, `http://127.0.0.1:${port}/`)
        await page.goto(url)
        await page.waitForFunction(() => (globalThis as any).document.querySelectorAll(".panel canvas").length >= 4)
        assert.strictEqual(await page.inputValue("#trial"), "*")
        assert.deepStrictEqual(await page.locator("#states tr").count(), 4)
        assert.include(await page.locator("#states").innerText(), hostile)
        assert.include(await page.locator("#states").innerText(), "· queued")
        assert.match(await page.locator("#state").innerText(), /2 running/)
        const titles = await page.locator(".panel h2").allTextContents()
        for (const title of ["λ, up", "loss, low", "rate, low", "cost: milliseconds of a turn", "memory, bytes"])
          assert.include(titles, title)
        const loss = page.locator(".panel", { has: page.locator("h2", { hasText: "loss, low" }) })
        const labels = await loss.locator(".u-legend .u-label").allTextContents()
        assert.deepStrictEqual(labels.slice(1), ["rate=0.1, seed 0", "rate=0.1, seed 1", `rate=${hostile}, seed 0`])
        const costs = page.locator(".panel", { has: page.locator("h2", { hasText: "milliseconds" }) })
        await costs.locator("summary").click()
        await page.waitForFunction(
          () => (globalThis as any).document.querySelectorAll(".panel details[open] tr").length > 0
        )
        assert.include(await costs.locator("table").last().innerText(), "rate=0.1, seed 1, up")
        // Plans that are the same are one picture, with an edge of either kind.
        assert.strictEqual(await page.locator("#graph figure").count(), 1)
        assert.strictEqual(await page.locator("#graph path[stroke-dasharray]").count(), 1)
        assert.include(await page.locator("#graph svg").textContent(), "min <img src=x")
        await page.waitForFunction(() => (globalThis as any).document.querySelectorAll("#graph .acting").length === 1)
        await page.selectOption("#trial", names[1]!)
        await page.waitForFunction(
          () => (globalThis as any).document.querySelector(".panel .u-legend .u-label:last-child") !== null
        )
        mkdirSync(folderOf(9))
        status(9, "done", 1)
        appendFileSync(join(folderOf(0), "metrics-1.ndjson"), records(0, 5, 6))
        await page.waitForFunction(() =>
          (globalThis as any).document.querySelector("#states").innerText.includes("✓ done")
        )
        assert.strictEqual(await page.locator("img").count(), 0)
        assert.deepStrictEqual(faults, [])
        await page.close()
      })
    })

    it("fits 320 px, and has nothing serious to be found, light and dark", async () => {
      const feed = new Feed(() => names.map((name, i) => ({ name, path: folderOf(i) })))
      await serving(Server.sourceOf("runs", feed), 50, async (url, port) => {
        for (const colorScheme of ["light", "dark"] as const) {
          const page = await browser.newPage({ viewport: { width: 320, height: 700 }, colorScheme })
          const { faults } = watched(page, `http://127.0.0.1:${port}/`)
          await page.goto(url)
          await page.waitForFunction(() => (globalThis as any).document.querySelectorAll(".panel").length >= 4)
          assert.isAtMost(await page.evaluate(() => (globalThis as any).document.documentElement.scrollWidth), 320)
          assert.deepStrictEqual(await serious(page), [])
          assert.deepStrictEqual(faults, [])
          await page.close()
        }
      })
    })

    it.skipIf(!long)(
      "200 series of 20,000 points stay fluid: what an update costs is far from what a quarter of a second has",
      async () => {
        const [trials, levels, length] = [10, 20, 20_000]
        const keys = Array.from({ length: trials * levels }, (_, i) => ({
          trial: `method ${i % 5} seed ${Math.floor((i % trials) / 5)}`,
          level: `level ${Math.floor(i / trials)}`,
          name: "loss"
        }))
        const value = (series: number, k: number) => Math.sin(k / 500 + series) + Math.sin(k * 12.9898 + series) / 4
        const points = keys.map((_, series) =>
          Array.from({ length }, (_, k): Stepped => [k + 1, value(series, k + 1), k + 1, 1])
        )
        let [number, step] = [0, length]
        const news = (changes: News["changes"]): News => ({ number, changes, words: [], statuses: [], pictures: [] })
        const source: Server.Source = {
          title: "many",
          behind: () => false,
          poll: () => {
            number++
            step++
            const point = (series: number): Stepped => [step, value(series, step), step, 1]
            return news(keys.map((key, series) => ({ ...key, anew: false, points: [point(series)] })))
          },
          // As a feed thins them.
          whole: () => news(keys.map((key, i) => ({ ...key, anew: true, points: thin(points[i]!, 1000) }))),
          since: () => []
        }
        await serving(source, 250, async (url) => {
          const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
          const client = await page.context().newCDPSession(page)
          // Processor time of the page's thread: how long it takes beside that depends on who else computes.
          await client.send("Performance.enable", { timeDomain: "threadTicks" })
          const spent = async () => {
            const { metrics } = await client.send("Performance.getMetrics")
            return metrics.find(({ name }) => name === "TaskDuration")!.value
          }
          await page.goto(url)
          await page.selectOption("#trial", "*")
          await page.waitForFunction(() => (globalThis as any).document.querySelectorAll(".panel canvas").length >= 4)
          assert.strictEqual(await page.locator(".panel").count(), levels)
          const loaded = await spent()
          const from = number
          await page.waitForFunction((wanted) => (globalThis as any).performance.now() > wanted, 0)
          for (let i = 0; i < 4; i++) {
            await page.mouse.wheel(0, 400)
            await page.waitForTimeout(1000)
          }
          const updates = number - from
          const each = (1000 * ((await spent()) - loaded)) / updates
          if (process.env["TAPWEIGHT_TESTS"] === "long")
            process.stdout.write(
              `loaded in ${loaded.toFixed(2)} s, an update ${each.toFixed(1)} ms of processor time\n`
            )
          assert.isAtLeast(updates, 3)
          assert.isBelow(loaded, 5)
          assert.isBelow(each, 125)
          // What was asked for meanwhile was answered: the page draws what it shows now.
          await page.selectOption("#trial", keys[0]!.trial)
          await page.waitForFunction(
            () => (globalThis as any).document.querySelectorAll(".panel .u-legend tr").length >= 2
          )
          await page.close()
        })
      }
    )
  }
)
