import { assert, describe, it } from "vitest"
import type { Score } from "../../../src/runs/folder/Score.ts"
import * as Paired from "../../../src/runs/statistics/Paired.ts"
import * as Standing from "../../../src/runs/statistics/Standing.ts"
import * as StandingText from "../../../src/runs/view/StandingText.ts"

const scores = (
  table: { readonly [method: string]: { readonly [task: string]: ReadonlyArray<number> } },
  better: Score["better"] = "more"
): ReadonlyArray<Score> =>
  Object.entries(table).flatMap(([method, tasks]) =>
    Object.entries(tasks).flatMap(([task, values]) =>
      values.map((value, seed) => ({ method, task, seed, metric: "accuracy", split: "test", better, value }) as const)
    )
  )

const table = {
  none: { a: [0.5, 0.6, 0.55], b: [0.2, 0.2, 0.3] },
  equal: { a: [0.6, 0.7, 0.8], b: [0.3, 0.1, 0.3] },
  learned: { a: [0.9, 0.8, 0.7], b: [0.4, 0.5, 0.5] }
}

describe("Standing", () => {
  it("pairs by seed and corrects over the methods of a task", () => {
    const { tasks } = Standing.of(scores(table), "none")
    const [none, equal, learned] = tasks[0]!.standings
    assert.isUndefined(none!.difference)
    assert.closeTo(equal!.difference!.mean, 0.15, 1e-12)
    assert.strictEqual(equal!.difference!.p, 0.25)
    assert.strictEqual(equal!.difference!.holm, 0.5)
    assert.strictEqual(learned!.difference!.n, 3)
    assert.strictEqual(tasks[0]!.smallest, 0.5)
  })

  it("does not pair seeds that only one has", () => {
    const some = scores(table).filter(({ method, seed }) => method !== "learned" || seed > 0)
    const more = [...some, { ...some[0]!, method: "learned", seed: 9, value: 100 }]
    const learned = Standing.of(more, "none").tasks[0]!.standings.find(({ method }) => method === "learned")!
    assert.strictEqual(learned.values.length, 3)
    assert.strictEqual(learned.difference!.n, 2)
    assert.closeTo(learned.difference!.mean, (0.8 - 0.6 + 0.7 - 0.55) / 2, 1e-12)
  })

  it("ranks over tasks from the better side, whichever it is", () => {
    const more = Standing.of(scores(table), "none").overall
    assert.deepStrictEqual(
      more.map(({ rank }) => rank),
      // On b none and equal have the same mean to rounding: 0.7 / 3.
      [2.75, 2.25, 1]
    )
    const less = Standing.of(scores(table, "less"), "none").overall
    assert.deepStrictEqual(
      less.map(({ rank }) => rank),
      [1.25, 1.75, 3]
    )
    assert.strictEqual(more[2]!.improvement, 1)
    assert.strictEqual(less[2]!.improvement, 0)
    assert.strictEqual(more[2]!.p, 0.5)
    assert.isEmpty(Standing.of(scores({ none: { a: [1] }, equal: { a: [2] } }), "none").overall)
  })

  it("leaves tasks that a method lacks out of what is said over all", () => {
    const some = scores({ ...table, equal: { a: table.equal.a } } as never)
    assert.isEmpty(Standing.of(some, "none").overall)
  })

  it("is better only where the corrected p says so, and on the better side", () => {
    const seeds = Array.from({ length: 6 }, (_, i) => i / 100)
    const [low, high] = [seeds, seeds.map((v, i) => v + 1 + i / 50)]
    const one = Standing.of(scores({ low: { a: low }, high: { a: high } }), "low").tasks[0]!
    assert.isTrue(Standing.isBetter(one, "high", "more", Paired.level))
    assert.isFalse(Standing.isBetter(one, "high", "less", Paired.level))
    assert.isFalse(Standing.isBetter(one, "low", "more", Paired.level))
    const two = Standing.of(scores({ low: { a: low }, high: { a: high }, other: { a: high } }), "low").tasks[0]!
    assert.isFalse(Standing.isBetter(two, "high", "more", Paired.level))
  })

  it("shows as many digits as tell methods apart", () => {
    const close = { low: { a: [2.251, 2.252, 2.253] }, high: { a: [2.2513, 2.2524, 2.2535] } }
    assert.match(StandingText.text(Standing.of(scores(close), "low")), /high +3 +2\.25240 ± 0\.00110 +\+0\.00040 \[/)
    assert.match(
      StandingText.text(Standing.of(scores({ low: { a: [1, 2] }, high: { a: [1, 2] } }), "low")),
      /\+0\.00 \[/
    )
  })

  it("text says how many seeds it would take where there are too few", () => {
    const text = StandingText.text(Standing.of(scores(table), "none"))
    assert.include(text, "3 seeds give no corrected p below 0.500: it takes 7")
    assert.match(text, /learned +3 +0\.800 ± 0\.100 +\+0\.250 \[/)
    assert.match(text, /over 2 tasks +mean rank +better than none/)
  })
})
