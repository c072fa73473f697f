import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import { Feed } from "../../../src/runs/watch/Feed.ts"
import type { Change } from "../../../src/runs/watch/News.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tapweight-feed-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const head = (attempt: number, from: number) => ({
  t: "head",
  v: 1,
  run: "r",
  attempt,
  from,
  at: "2026-01-01T00:00:00Z"
})
const step = (k: number, loss: number) => ({ t: "step", k, level: "low", w: k, tick: k * 2, loss })
const text = (...records: ReadonlyArray<object>) => records.map((record) => `${JSON.stringify(record)}\n`).join("")
const file = (attempt: number, trial = "") => join(folder, trial, `metrics-${attempt}.ndjson`)

/** What a page has after some changes. */
const page = () => {
  const lines = new Map<string, Array<readonly [number, number]>>()
  const take = (changes: ReadonlyArray<Change>) => {
    for (const { anew, level, name, points, trial } of changes) {
      const key = [trial, level, name].join("|")
      lines.set(key, [...(anew ? [] : (lines.get(key) ?? [])), ...points.map(([x, value]) => [x, value] as const)])
    }
  }
  return { lines, take }
}

describe("a feed", () => {
  it("tells each number once, wherever a line is cut, and passes over what is no record", () => {
    const feed = Feed.of(folder)
    const bytes = Buffer.from(`${text(head(1, 0))}nonsense\n{"t":"later"}\n${text(step(1, 3), step(2, 2), step(3, 1))}`)
    const { lines, take } = page()
    const cuts = [...Seed.integers(Seed.make(3), 12, bytes.length)].sort((a, b) => a - b)
    for (const [i, cut] of [...cuts, bytes.length].entries()) {
      appendFileSync(file(1), bytes.subarray(i === 0 ? 0 : cuts[i - 1]!, cut))
      take(feed.poll()?.changes ?? [])
    }
    assert.deepStrictEqual(lines.get("|low|loss"), [
      [2, 3],
      [4, 2],
      [6, 1]
    ])
    assert.isUndefined(feed.poll())
  })

  it("lets go of what a later attempt does again, by the run's step and not by the level's count", () => {
    const feed = Feed.of(folder)
    const { lines, take } = page()
    writeFileSync(file(1), text(head(1, 0), step(1, 3), step(2, 2), step(3, 1)))
    take(feed.poll()!.changes)
    writeFileSync(file(2), text(head(2, 2), step(3, 9)))
    take(feed.poll()!.changes)
    assert.deepStrictEqual(lines.get("|low|loss"), [
      [2, 3],
      [4, 2],
      [6, 9]
    ])
    // What the first attempt had not been read of is no longer the run's.
    appendFileSync(file(1), text(step(4, 0)))
    take(feed.poll()?.changes ?? [])
    assert.deepStrictEqual(lines.get("|low|loss"), [
      [2, 3],
      [4, 2],
      [6, 9]
    ])
    const late = page()
    late.take(Feed.of(folder).poll()!.changes)
    assert.deepStrictEqual(late.lines.get("|low|loss"), [
      [2, 3],
      [4, 2],
      [6, 9]
    ])
  })

  it("says to whoever was away what was missed, and to whoever was too long away that there is more", () => {
    const feed = Feed.of(folder)
    writeFileSync(file(1), text(head(1, 0)))
    feed.poll()
    const { lines, take } = page()
    const whole = feed.whole()
    for (let k = 1; k <= 2100; k++) {
      appendFileSync(file(1), text(step(k, k)))
      feed.poll()
      if (k === 100) {
        for (const { changes } of feed.since(whole.number)!) take(changes)
        assert.strictEqual(lines.get("|low|loss")!.length, 100)
        assert.isEmpty(feed.since(feed.whole().number))
      }
    }
    assert.isUndefined(feed.since(whole.number))
    assert.isUndefined(feed.since(1e9))
    assert.isAtMost(feed.whole().changes[0]!.points.length, 2000)
  })

  it("follows trials as they begin, and the status", () => {
    const feed = Feed.of(folder)
    assert.isUndefined(feed.poll())
    mkdirSync(join(folder, "trials/a/b"), { recursive: true })
    writeFileSync(file(1, "trials/a/b"), text(head(1, 0), step(1, 5)))
    writeFileSync(
      join(folder, "status.json"),
      JSON.stringify({ state: "running", tick: 1, attempt: 1, heartbeat: "2026-01-01T00:00:00Z", error: null })
    )
    const news = feed.poll()!
    assert.deepStrictEqual(
      news.changes.map(({ trial }) => trial),
      ["a/b"]
    )
    assert.deepStrictEqual(news.statuses[0], {
      run: "",
      state: "running",
      tick: 1,
      attempt: 1,
      ticks: null,
      beat: Date.UTC(2026, 0, 1),
      error: null
    })
    writeFileSync(join(folder, "status.json"), "{ torn")
    assert.isUndefined(feed.poll())
  })

  it("keeps a bounded number of points of a long run, its ends among them", () => {
    const feed = Feed.of(folder)
    for (let from = 0; from < 100_000; from += 20_000) {
      appendFileSync(
        file(1),
        text(...(from === 0 ? [head(1, 0)] : []), ...Array.from({ length: 20_000 }, (_, i) => step(from + i + 1, 1)))
      )
      feed.poll()
    }
    const { points } = feed.whole().changes[0]!
    assert.isAtMost(points.length, 2000)
    assert.strictEqual(points[0]![2], 1)
    assert.isAbove(points.at(-1)![2], 99_990)
  })
})
