import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Browser, Page } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Feed } from "../../../src/runs/watch/Feed.ts"
import * as Server from "../../../src/runs/watch/Server.ts"
import { absent, launch, serious, watched } from "../../support/browser.ts"

const hostile = `<img src=x onerror=alert(1)>`
const folder = mkdtempSync(join(tmpdir(), "tapweight-page-"))
const file = join(folder, "metrics-1.ndjson")
const write = (...records: ReadonlyArray<object>) =>
  appendFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""))
const tick = (k: number) => [
  { t: "step", k, level: "low", w: k, tick: k, loss: 1 / k, gnorm: 1, parts: { [hostile]: 2 } },
  { t: "lambda", k, level: "up", w: k, names: [hostile, "b"], beta: [0, 0], lambda: [0.25, 0.75], entropy: 1 },
  // Equal but for rounding.
  {
    t: "hyper",
    k,
    level: "up",
    norm: k % 2,
    direct: 0,
    parts: [{ via: ["low"], norm: 1, cos: 1 - (k % 2) * 6e-8 }],
    solves: [{ level: "low", solver: "cg", residual: k === 2 ? 0 : 1e-7 }]
  }
]
const status = (state: string, at: number) =>
  writeFileSync(
    join(folder, "status.json"),
    JSON.stringify({
      state,
      tick: at,
      attempt: 1,
      heartbeat: new Date().toISOString(),
      error: state === "failed" ? hostile : null
    })
  )

describe.skipIf(absent !== undefined)(
  `the live page${absent === undefined ? "" : ` (${absent})`}`,
  { timeout: 120_000 },
  () => {
    let browser: Browser
    const serve = async (port: number) => {
      const scope = Effect.runSync(Scope.make())
      const source = Server.sourceOf(`run ${hostile}`, Feed.of(folder))
      const served = await Effect.runPromise(
        Scope.provide(Server.serve(source, { host: "127.0.0.1", port, every: 50 }), scope)
      )
      return { ...served, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
    }
    let served: Awaited<ReturnType<typeof serve>>
    const open = async (options: object = {}): Promise<{ page: Page; faults: Array<string> }> => {
      const page = await browser.newPage(options)
      const { faults } = watched(page, `http://127.0.0.1:${served.port}/`)
      await page.goto(served.url)
      await page.waitForFunction(
        () =>
          (globalThis as any).document.querySelectorAll(".panel").length >= 3 &&
          (globalThis as any).document.querySelectorAll(".panel canvas").length >= 1
      )
      return { page, faults }
    }
    /** The words of the page's log. */
    const words = (page: Page) =>
      page.evaluate(() =>
        [...(globalThis as any).document.querySelectorAll("#words li")].map((li) => li.textContent as string)
      )

    beforeAll(async () => {
      write({ t: "head", v: 1, run: "r", attempt: 1, from: 0, at: "2026-01-01T00:00:00Z" }, ...tick(1), ...tick(2))
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ticks: { value: 10, origin: "default" } }))
      status("running", 2)
      served = await serve(0)
      browser = await launch()
    }, 60_000)
    afterAll(async () => {
      await browser?.close()
      await served?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    it("draws what a run writes as it comes, and says its state; names out of data are text", async () => {
      const { faults, page } = await open()
      assert.strictEqual(await page.textContent("h1"), `run ${hostile}`)
      await page.waitForFunction(() => (globalThis as any).document.querySelector("#state").textContent === "running")
      write(...tick(3))
      await page.waitForFunction(() =>
        (globalThis as any).document.querySelector("#words").textContent.includes("3  low")
      )
      // Seven ticks are left, at the pace of the third.
      status("running", 3)
      await page.waitForFunction(() =>
        /^tick 3 of 10, attempt 1, heard \d+ s ago, about \d+ (s|min) left$/.test(
          (globalThis as any).document.querySelector("#facts").textContent
        )
      )
      const headings = await page.locator(".panel h2").allTextContents()
      assert.sameMembers(headings, [
        "λ, up",
        "loss, low",
        "gradient and update, low",
        "hypergradient, up",
        "cosines with the hypergradient, up",
        "residuals of solves, up"
      ])
      await page.locator("summary").first().click()
      assert.include(await page.locator(".panel").first().innerText(), hostile)
      status("failed", 3)
      await page.waitForFunction(() => (globalThis as any).document.querySelector("#state").textContent === "failed")
      assert.strictEqual(await page.textContent("#error"), hostile)
      assert.strictEqual(await page.locator("img").count(), 0)
      assert.deepStrictEqual(faults, [])
      await page.close()
    })

    it("cut off and back, it has every record once; of a server that was started again everything anew", async () => {
      const { faults, page } = await open()
      const before = (await words(page)).length
      const port = served.port
      // The address holds the first server's token: the second is asked with its own.
      await served.close()
      write(...tick(4), ...tick(5))
      served = await serve(port)
      await page.goto(served.url)
      await page.waitForFunction(() =>
        (globalThis as any).document.querySelector("#words").textContent.includes("5  low")
      )
      // A connection that breaks: what comes meanwhile is told when the browser is back.
      await page.context().setOffline(true)
      write(...tick(6))
      await page.context().setOffline(false)
      write(...tick(7))
      await page.waitForFunction(
        () => (globalThis as any).document.querySelector("#words").textContent.includes("7  low"),
        undefined,
        { timeout: 60_000 }
      )
      const all = await words(page)
      assert.strictEqual(all.length, before + 12)
      assert.strictEqual(new Set(all).size, all.length)
      assert.deepStrictEqual(faults, [])
      await page.close()
    })

    it("fits 320 px, goes by keyboard alone, and has nothing serious to be found, light and dark", async () => {
      for (const colorScheme of ["light", "dark"] as const) {
        const { faults, page } = await open({
          viewport: { width: 320, height: 700 },
          colorScheme,
          reducedMotion: "reduce"
        })
        assert.isAtMost(await page.evaluate(() => (globalThis as any).document.documentElement.scrollWidth), 320)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert.strictEqual(await page.locator("details[open]").count(), 1)
        assert.deepStrictEqual(await serious(page), [])
        assert.deepStrictEqual(faults, [])
        await page.close()
      }
    })
  }
)
