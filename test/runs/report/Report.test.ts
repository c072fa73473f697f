import * as Effect from "effect/Effect"
import { DOMParser } from "linkedom"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Browser } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as JsonFile from "../../../src/files/JsonFile.ts"
import * as NodeServices from "../../../src/files/NodeServices.ts"
import * as Manifest from "../../../src/runs/folder/Manifest.ts"
import * as PlanFile from "../../../src/runs/folder/PlanFile.ts"
import * as ResultFile from "../../../src/runs/folder/ResultFile.ts"
import * as Status from "../../../src/runs/folder/Status.ts"
import * as Config from "../../../src/runs/trial/Config.ts"
import { html } from "../../../src/runs/report/Html.ts"
import * as ReportFile from "../../../src/runs/report/ReportFile.ts"
import { even, thin } from "../../../src/runs/report/Thin.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import { absent, launch, serious, watched } from "../../support/browser.ts"
import type { Wiring } from "../../../src/runtime/plan/Wiring.ts"

/** What would run, load or colour something if it were not escaped. */
const hostile = `<img src=x onerror=alert(1)>"'&\u001b[31m\u202e</script><script>alert(2)</script>`

const level = (name: string, variable: string, more: object = {}) => ({
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
  ...more
})
const estimator = { kind: "implicit", name: "identity", evaluations: 2, evaluationsPerElement: 0, steps: 1 }
const wiring = {
  version: 1,
  top: "upper",
  simultaneous: false,
  fixed: [],
  levels: [
    level("lower", "x", { given: ["b"], estimator }),
    level(hostile.slice(0, 20), "y", { upstream: ["lower"], estimator }),
    level("upper", "b", { upstream: [hostile.slice(0, 20), "lower"] })
  ]
} as unknown as Wiring

let root = ""
const folderOf = (id: string) => ({ id, program: hostile, path: join(root, id) })
const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(Effect.provide(effect, NodeServices.layer))

const scores = ["none", hostile].flatMap((method, m) =>
  Array.from({ length: 4 }, (_, seed) => ({
    method,
    task: "a",
    seed,
    metric: "accuracy",
    split: "test" as const,
    better: "more" as const,
    value: 0.5 + m / 7 + seed / 113
  }))
)

const tables = [
  { title: `Cost ${hostile}`, columns: ["method", "as trained", "paper"], rows: [[hostile, "×3.50", "×3.76"]] }
]

const records = (many: number): string => {
  const lines: Array<object> = [{ t: "head", v: 1, run: "r", attempt: 1, from: 0, at: "2026-01-01T00:00:00Z" }]
  for (let k = 1; k <= many; k++) {
    lines.push({
      t: "step",
      k,
      level: "lower",
      w: k,
      tick: k,
      loss: k === 7 ? "NaN" : 1 / k,
      gnorm: 1,
      parts: { [hostile]: 2 },
      ...(k % 10 === 0 ? { rates: { "": 0.1 / k }, moved: 0.5, taken: 0.7 } : {})
    })
    lines.push({
      t: "lambda",
      k,
      level: "upper",
      w: k,
      names: [hostile, "b"],
      beta: [0, 0],
      lambda: [0.25, 0.75],
      entropy: 1
    })
    lines.push({
      t: "hyper",
      k,
      level: "upper",
      norm: 1 + k,
      direct: 0,
      parts: [
        { via: ["lower"], norm: 1, cos: 1, share: 0.75 },
        { via: [hostile], norm: 1, cos: 1, share: 0.25 }
      ],
      solves: [{ level: "lower", solver: hostile, residual: k % 2 === 0 ? null : 0.01, ok: k % 4 !== 0 }]
    })
    if (k % 100 > 0) continue
    lines.push(
      { t: "cost", k, level: "lower", w: k, turns: 100, ms: 2 + (k % 3), evaluations: 1, bytes: 4096 },
      { t: "cost", k, level: "upper", w: k, turns: 100, ms: 9, evaluations: 3.5, bytes: null },
      { t: "memory", k, w: k, resident: 2 ** 28, peak: 3 * 2 ** 28, heap: 2 ** 20, arrays: 4 }
    )
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("")
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "tapweight-report-"))
  const folder = folderOf("one")
  const plan = Effect.runSync(Effect.fromResult(Plan.fromWiring(wiring)))
  cpSync(new URL(".", import.meta.url).pathname, folder.path, {
    recursive: true,
    filter: (name) => !name.endsWith(".ts")
  })
  await run(
    Effect.gen(function* () {
      yield* Manifest.write(folder, root, {
        program: { problems: {}, files: {} },
        versions: { [hostile]: hostile },
        seeds: { root: 3, algorithm: "threefry", levels: {} },
        data: [
          {
            name: hostile,
            version: null,
            sha256: null,
            read: 10,
            dropped: [{ reason: hostile, rows: 2 }],
            split: { rule: hostile, rows: { train: 8 } },
            licence: hostile,
            source: hostile
          }
        ],
        weights: [],
        engine: { provider: "cpu", threads: 1 }
      })
      yield* JsonFile.writeSealed(join(folder.path, "config.json"), Config.Entries, {
        [hostile]: { value: hostile, origin: "-s" }
      })
      yield* PlanFile.write(folder, { problems: { [hostile]: plan } })
      yield* Status.write(folder, { state: "done", tick: 9, attempt: 1, exit: 0, error: hostile })
      yield* ResultFile.write(folder, { program: hostile, result: null, text: `all well ${hostile}`, scores, tables })
    })
  )
  writeFileSync(join(folder.path, "metrics-1.ndjson"), records(2000))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const page = async (): Promise<string> => readFileSync(await run(ReportFile.write(folderOf("one"))), "utf8")

describe("a report", () => {
  it("holds no markup out of data, no script, and no address but those of its own parts", async () => {
    const text = await page()
    const document = new DOMParser().parseFromString(text, "text/html")
    assert.isEmpty([...document.querySelectorAll("script, img, iframe, object, embed, link, form")])
    for (const node of document.querySelectorAll("*")) {
      for (const { name, value } of node.attributes as Iterable<{ name: string; value: string }>) {
        assert.notMatch(name, /^on|^src$/)
        if (name === "href") assert.match(value, /^#/)
      }
    }
    // Beside namespaces, which nobody fetches.
    assert.notMatch(text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\/|url\(|@import/)
    assert.notInclude(text, "\u001b")
    assert.notInclude(text, "\u202e")
    assert.include(text, "default-src 'none'")
    assert.isBelow(text.length, 500_000)
  })

  it("says what the run said: result, scores to the digit, settings and their origins, how it ended", async () => {
    const document = new DOMParser().parseFromString(await page(), "text/html")
    const cells = [...document.querySelectorAll("#comparison tbody tr")].map((row) =>
      [...row.querySelectorAll("th, td")].map((cell) => cell.textContent)
    )
    for (const { seed } of scores.slice(0, 4)) {
      const [none, other] = scores
        .filter((score) => score.seed === seed)
        .map(({ value }) => `${Number(value.toPrecision(5))}`)
      assert.deepInclude(cells, [`${seed}`, none, other])
    }
    assert.include(document.querySelector("#result pre")!.textContent, "all well <img src=x")
    assert.include(document.querySelector("#settings")!.textContent, '"<img src=x onerror=alert(1)>')
    assert.include(document.querySelector("header")!.textContent, "done")
    assert.include(document.querySelector("#result")!.textContent, "2 rows of")
    assert.include(document.querySelector("#hypergradient")!.textContent, "2000")
    assert.include(document.querySelector("#result")!.textContent, "was not sound at 500 of 2000 looks")
    assert.include(
      document.querySelector("#comparison")!.textContent,
      "4 seeds give no corrected p below 0.125: it takes 6"
    )
  })

  it("has in its tables the means, deviations and differences of result.json, to the last digit shown, and says who won", async () => {
    const document = new DOMParser().parseFromString(await page(), "text/html")
    const stored = (await run(ResultFile.read(folderOf("one"))))!.scores!
    const of = (method: string) => stored.filter((score) => score.method === method).map(({ value }) => value)
    const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value / values.length, 0)
    const off = (values: ReadonlyArray<number>) =>
      Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1))
    const rows = [...document.querySelectorAll("#comparison table")][0]!.querySelectorAll("tbody tr")
    const [none, other] = [...rows].map((row) =>
      [...row.querySelectorAll("th, td")].map((cell) => `${cell.textContent}`)
    )
    const near = (cell: string, value: number) => {
      const digits = /\.(\d+)/.exec(cell)![1]!.length
      assert.isAtLeast(digits, 3)
      assert.strictEqual(Number(cell), Number(value.toFixed(digits)))
    }
    for (const [row, values] of [
      [none!, of("none")],
      [other!, of(hostile)]
    ] as const) {
      assert.strictEqual(row[1], "4")
      near(row[2]!, mean(values))
      near(row[3]!, off(values))
    }
    near(other![4]!, mean(of(hostile)) - mean(of("none")))
    assert.strictEqual(none![4], "baseline")
    // All four differences agree.
    assert.deepStrictEqual(other!.slice(6), ["0.125", "0.125"])
    assert.include(
      document.querySelector(".verdict")!.textContent,
      "is best with 0.656 ± 0.011, +0.143 over none: it may be noise"
    )
  })

  it("says what levels cost, beside the tables that the program gave, to the letter; rates, norms and shares are drawn", async () => {
    const document = new DOMParser().parseFromString(await page(), "text/html")
    const cells = [...document.querySelectorAll("#cost tr")].map((row) =>
      [...row.querySelectorAll("th, td")].map((cell) => `${cell.textContent}`.trim())
    )
    const stored = (await run(ResultFile.read(folderOf("one"))))!.tables!
    assert.deepStrictEqual(stored, tables)
    const said = (text: string) => text.replace("\u001b", "\\u001b").replace("\u202e", "\\u202e")
    for (const { columns, rows } of stored)
      for (const row of [columns, ...rows]) assert.deepInclude(cells, row.map(said))
    assert.deepInclude(cells, ["lower", "2000", "3", "25 %", "1", "4 KiB"])
    assert.deepInclude(cells, ["upper", "2000", "9", "75 %", "3.5", "-"])
    assert.include(document.querySelector("#cost")!.textContent, "768 MiB at most")
    const captions = [...document.querySelectorAll("figcaption")].map((caption) => `${caption.textContent}`.trim())
    for (const words of [
      "share of each path in the whole",
      "learning rate of lower",
      "norms of the gradient and of the change"
    ])
      assert.isTrue(
        captions.some((caption) => caption.includes(words)),
        words
      )
  })

  it("every figure has a name and its numbers, and every part a heading that it is named by", async () => {
    const document = new DOMParser().parseFromString(await page(), "text/html")
    assert.isAtLeast(document.querySelectorAll("figure").length, 6)
    for (const svg of document.querySelectorAll("svg")) assert.isNotEmpty(svg.getAttribute("aria-label"))
    for (const part of document.querySelectorAll("main section")) {
      assert.strictEqual(part.querySelector("h2")!.id, part.getAttribute("aria-labelledby"))
    }
    for (const link of document.querySelectorAll("nav a")) {
      assert.isNotNull(document.querySelector(link.getAttribute("href")))
    }
    // Three given and upstream edges of the plan in words.
    assert.include(document.querySelector("#levels")!.textContent, "lower is given b by upper")
    assert.include(document.querySelector("#levels")!.textContent, "upper reads the solution x* of lower")
  })
})

describe.skipIf(absent !== undefined)(
  `a report in a browser${absent === undefined ? "" : ` (${absent})`}`,
  { timeout: 120_000 },
  () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await launch()
    }, 60_000)
    afterAll(() => browser?.close())

    it("asks for nothing, runs nothing, fits 320 px, and has nothing serious to be found, light, dark and printed", async () => {
      const file = await run(ReportFile.write(folderOf("one")))
      for (const colorScheme of ["light", "dark"] as const) {
        const page = await browser.newPage({ viewport: { width: 320, height: 800 }, colorScheme })
        const { faults } = watched(page, "file://")
        await page.goto(`file://${file}`)
        assert.isAtMost(await page.evaluate(() => (globalThis as any).document.documentElement.scrollWidth), 320)
        assert.deepStrictEqual(await serious(page), [])
        assert.deepStrictEqual(faults, [])
        await page.close()
      }
      const still = await browser.newContext({ javaScriptEnabled: false })
      const page = await still.newPage()
      await page.goto(`file://${file}`)
      assert.isTrue(await page.locator("#comparison table").first().isVisible())
      await page.emulateMedia({ media: "print" })
      assert.isFalse(await page.locator("nav").isVisible())
      assert.isAbove((await page.pdf()).length, 10_000)
      await still.close()
    })
  }
)

describe("HTML from text", () => {
  it("escapes values, and leaves markup of its own alone", () => {
    assert.strictEqual(
      html`<b a="${`"'`}">${["<", html`<i>${"&"}</i>`, 3]}</b>`.text,
      `<b a="&quot;&#39;">&lt;<i>&amp;</i>3</b>`
    )
  })
})

describe("thinning", () => {
  it("keeps the ends, the extremes and what is not finite, in order, and few points as they are", () => {
    for (let round = 0; round < 20; round++) {
      const values = Array.from(Seed.normal(Seed.fold(Seed.make(7), round), 3000))
      values[1234] = NaN
      const points = values.map((value, k) => [k, value] as const)
      const few = thin(points, 200)
      assert.isAtMost(few.length, 200)
      assert.deepStrictEqual([few[0], few.at(-1)], [points[0], points.at(-1)])
      const finite = values.filter(Number.isFinite)
      assert.isTrue(few.some(([, v]) => v === Math.max(...finite)) && few.some(([, v]) => v === Math.min(...finite)))
      assert.isTrue(few.some(([k]) => k === 1234))
      assert.deepStrictEqual(
        few,
        few.toSorted((a, b) => a[0] - b[0])
      )
      assert.deepStrictEqual(thin(few, 200), few)
    }
    assert.deepStrictEqual(even([1, 2, 3, 4, 5], 3), [1, 3, 5])
  })
})
