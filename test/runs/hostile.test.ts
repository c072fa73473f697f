import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as JsonFile from "../../src/files/JsonFile.ts"
import * as NodeServices from "../../src/files/NodeServices.ts"
import * as Export from "../../src/runs/export/Export.ts"
import * as Manifest from "../../src/runs/folder/Manifest.ts"
import * as PlanFile from "../../src/runs/folder/PlanFile.ts"
import * as Records from "../../src/runs/folder/Records.ts"
import * as ResultFile from "../../src/runs/folder/ResultFile.ts"
import * as Status from "../../src/runs/folder/Status.ts"
import * as ReportFile from "../../src/runs/report/ReportFile.ts"
import * as Config from "../../src/runs/trial/Config.ts"
import { Feed } from "../../src/runs/watch/Feed.ts"
import { tapweight } from "../support/commandLine.ts"
import { long } from "../support/long.ts"

/** What a terminal or a page would obey. */
const hostile = `<img src=x onerror=alert(1)>"'&\u001b[2J\u001b]0;t\u0007\u202e\r\u0000</script><script>alert(2)</script>`
/** Steps that count; two records each, beside what does not count. */
const steps = long ? 500_000 : 3000

let root = ""
const folder = () => ({ id: "20260101-000000-abcd", program: "p", path: join(root, "runs/p/20260101-000000-abcd") })
const run = <A, E>(effect: Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.runPromise(Effect.provide(effect, NodeServices.layer))

/** The loss of a step in an attempt. */
const loss = (attempt: number, k: number): number => attempt * 1e6 + k
const step = (attempt: number, k: number): string =>
  JSON.stringify({ t: "step", k, level: hostile, w: k / 1000, tick: k, loss: loss(attempt, k), gnorm: 1 })
const score = (k: number): string =>
  JSON.stringify({ t: "eval", k, level: "up", split: "validation", n: 3, metrics: { [hostile]: k } })
const head = (attempt: number, from: number): string =>
  JSON.stringify({ t: "head", v: 1, run: hostile, attempt, from, at: "2026-01-01T00:00:00Z" })

/** Where the second and the third attempt began. */
const begins = [Math.floor(steps / 3), Math.floor(steps / 2)] as const
const attemptOf = (k: number): number => (k <= begins[0] ? 1 : k <= begins[1] ? 2 : 3)

/** An attempt's lines: blocks in another order, some lines twice, some torn, and words that are no records. */
const write = (attempt: number, from: number, to: number, headed: boolean): void => {
  const file = join(folder().path, `metrics-${attempt}.ndjson`)
  writeFileSync(file, headed ? `${head(attempt, from)}\n` : `${head(attempt, from).slice(0, 30)}\n`)
  const blocks = Array.from({ length: Math.ceil((to - from) / 500) }, (_, i) => from + 1 + 500 * i)
  const order = [...Seed.normal(Seed.fold(Seed.make(4), attempt), blocks.length)]
  for (const begin of blocks.toSorted((a, b) => order[blocks.indexOf(a)]! - order[blocks.indexOf(b)]!)) {
    const lines: Array<string> = []
    for (let k = begin; k < Math.min(begin + 500, to + 1); k++) {
      lines.push(step(attempt, k), score(k))
      if (k % 50 === 0)
        lines.push(step(attempt, k), step(attempt, k).slice(0, 40), "null", `{"t":"${hostile}"}`, "[]", hostile)
    }
    appendFileSync(file, `${lines.join("\n")}\n`)
  }
  appendFileSync(file, step(attempt, to + 1).slice(0, -5))
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "tapweight-hostile-"))
  const own = folder()
  const scores = ["a", hostile].flatMap((method, m) =>
    [0, 1].map((seed) => ({
      method,
      task: hostile,
      seed,
      metric: "accuracy",
      split: "test" as const,
      better: "more" as const,
      value: m + seed / 7
    }))
  )
  await run(
    Effect.gen(function* () {
      yield* Effect.promise(() => import("node:fs/promises").then((fs) => fs.mkdir(own.path, { recursive: true })))
      yield* JsonFile.writeSealed(join(own.path, "config.json"), Config.Entries, {
        [hostile]: { value: hostile, origin: hostile }
      })
      yield* PlanFile.write(own, { problems: {} })
      yield* ResultFile.write(own, { program: hostile, result: hostile, text: hostile, scores })
      yield* Status.write(own, { state: "failed", tick: steps, attempt: 3, exit: 1, error: hostile })
      yield* Manifest.write(own, root, {
        program: { problems: {}, files: {} },
        versions: { [hostile]: hostile },
        seeds: { root: 3, algorithm: hostile, levels: {} },
        data: [],
        weights: [{ file: hostile, sha256: "0", licence: hostile }],
        engine: { provider: hostile, threads: 1 }
      })
    })
  )
  write(1, 0, begins[1], true)
  // Its head is torn: it began where its records do.
  write(2, begins[0], begins[1] + Math.floor(steps / 5), false)
  write(3, begins[1], steps, true)
}, 600_000)
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** What it took, in long runs: there the figures are worth a line. */
const measured = async <A>(what: string, use: () => Promise<A>): Promise<A> => {
  const begun = [performance.now(), process.cpuUsage()] as const
  const found = await use()
  if (long) {
    const { system, user } = process.cpuUsage(begun[1])
    const seconds = ((performance.now() - begun[0]) / 1000).toFixed(1)
    const processor = ((system + user) / 1e6).toFixed(1)
    const peak = (process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)
    process.stdout.write(`${what}: ${seconds} s, ${processor} s of processor, at most ${peak} GiB so far\n`)
  }
  return found
}

/** Control characters, and marks that turn the direction of text, but for ends of lines. */
const obeyed = /(?!\n)[\p{Cc}\u202a-\u202e]/u

describe(`a hostile run folder of ${2 * steps} records that count`, { timeout: 600_000 }, () => {
  it("is read whole: every step once, in order, from the attempt that counts", async () => {
    const { attempts, records } = await measured("read", () => run(Records.history(folder())))
    assert.strictEqual(attempts, 3)
    const own = records.filter((record) => record.t === "step")
    assert.strictEqual(own.length, steps)
    assert.isTrue(own.every(({ k, loss: value }, i) => k === i + 1 && value === loss(attemptOf(k), k)))
    assert.strictEqual(records.filter(({ t }) => t === "eval").length, steps)
  })

  it("is exported whole, and no cell is a formula", async () => {
    const file = await measured("csv", () => run(Export.write(folder(), "csv", join(root, "out.csv"))))
    const bytes = readFileSync(file)
    let [rows, at] = [0, 0]
    for (let end = bytes.indexOf("\r\n"); end >= 0; end = bytes.indexOf("\r\n", at)) {
      rows++
      at = end + 2
    }
    // The heading; a loss and the norm of a gradient, and a score.
    assert.strictEqual(rows, 1 + 3 * steps)
    assert.strictEqual(at, bytes.length)
    const board = await measured("tensorboard", () => run(Export.write(folder(), "tensorboard", join(root, "board"))))
    assert.isTrue(board.startsWith(root))
    await measured("parquet", () => run(Export.write(folder(), "parquet", join(root, "out.parquet"))))
  })

  it("is a page in which nothing runs, and that says all of it", async () => {
    const file = await measured("report", () => run(ReportFile.write(folder(), join(root, "report.html"))))
    const page = readFileSync(file, "utf8")
    assert.notInclude(page, "<img")
    assert.notInclude(page, "<script")
    assert.notMatch(page, obeyed)
    assert.isBelow(page.length, 2 ** 20)
    assert.include(page, `${Number(loss(3, steps).toPrecision(5))} at last, over ${steps} updates`)
  })

  it("is watched whole, in bounded memory", async () => {
    const feed = Feed.of(folder().path)
    await measured("watch", async () => {
      let polls = 0
      do {
        feed.poll(100)
        polls++
        assert.isBelow(polls, 100_000)
      } while (feed.behind)
    })
    const whole = feed.whole()
    const series = whole.changes.find(({ name }) => name === "loss")!
    assert.isAtMost(series.points.length, 2000)
    assert.strictEqual(series.points[0]![1], loss(1, 1))
    assert.isAbove(series.points.at(-1)![2], steps - 100)
    for (const [i, [x, value, k]] of series.points.entries()) {
      assert.strictEqual(x, k)
      assert.strictEqual(value, loss(attemptOf(k), k))
      if (i > 0) assert.isAbove(k, series.points[i - 1]![2])
    }
    assert.strictEqual(whole.statuses[0]!.error, hostile)
    assert.isAtMost(whole.words.length, 200)
  })

  it("show, compare and tail print nothing that a terminal obeys", async () => {
    for (const args of [["show"], ["compare"], ["tail", "-n", "20"]]) {
      const [command, ...more] = args
      const { code, err, out } = await measured(command!, () =>
        tapweight([command!, "abcd", ...more, "--runs", join(root, "runs")])
      )
      assert.strictEqual(code, 0, err)
      assert.notMatch(out.replaceAll("\n", ""), obeyed, command)
      assert.include(out, command === "tail" ? "loss" : "<img")
    }
  })
})
