import * as Result from "effect/Result"
import { assert, describe, it } from "vitest"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import { Costs } from "../../../src/runs/folder/Costs.ts"
import * as Looks from "../../../src/runtime/plan/Looks.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import * as Programs from "../../../src/testing/Programs.ts"
import { triLevel } from "../../support/programs.ts"

const plan = Result.getOrThrow(Plan.make(triLevel()))
/** What a turn of each level takes, on a clock that is made up. */
const true_ = new Map([
  ["pretrain", 2],
  ["finetune", 5],
  ["reweight", 11]
])
const took = (of: Plan.Plan, index: number, each: (level: string) => number): number =>
  of.levels.reduce((sum, level) => sum + (Plan.acts(level, index) ? each(level.name) : 0), 0)

describe("Costs", () => {
  it("tells levels apart by the ticks in which they act, and does not count the first, which compile", () => {
    const costs = new Costs(plan, { pretrain: 64 })
    for (let index = 1; index <= 40; index++) {
      const compiling = index <= 4 ? 1000 : 0
      costs.add({ index, took: compiling + took(plan, index, (level) => true_.get(level)!) })
    }
    const records = costs.take(40, 1.5)
    assert.deepStrictEqual(
      records.map(({ level, turns }) => [level, turns]),
      plan.levels.map((level) => [level.name, Plan.updatesAt(level, 40) / level.repeat])
    )
    // Levels that only ever act together share what they add, by what the plan counts.
    const [pretrain, ...others] = records
    assert.strictEqual(pretrain!.ms, 2)
    assert.strictEqual(pretrain!.bytes, 64)
    assert.closeTo(
      others.reduce((sum, { ms }) => sum + ms!, 0),
      16,
      1e-9
    )
    const [two, three] = others
    assert.closeTo(two!.ms! / three!.ms!, two!.evaluations / three!.evaluations, 1e-9)
    assert.strictEqual(two!.bytes, null)
    // Turns are those since the last record; times go on.
    costs.add({ index: 41, took: 2 })
    assert.deepStrictEqual(
      costs.take(41, 2).map(({ level, ms, turns }) => [level, turns, ms]),
      [["pretrain", 1, 2]]
    )
    assert.deepStrictEqual(costs.take(42, 2), [])
  })

  it("of any plan whose levels come one after another, each has the time that it takes", () => {
    let told = 0
    for (let i = 0; i < 60; i++) {
      const any = Result.getOrThrow(Plan.make(Programs.random(Seed.fold(Seed.make(9), i), 1)))
      const costs = new Costs(any, {})
      const each = (level: string): number => 1 + any.levels.findIndex(({ name }) => name === level)
      const acting = new Set<string>()
      for (let index = 1; index <= 200; index++) {
        acting.add(
          any.levels
            .filter((level) => Plan.acts(level, index))
            .map(({ name }) => name)
            .join()
        )
        costs.add({ index, took: took(any, index, each) })
      }
      const sets = [...acting].filter((set) => set !== "").map((set) => new Set(set.split(",")))
      const nested = sets.every((a) =>
        sets.every((b) => [...a].every((l) => b.has(l)) || [...b].every((l) => a.has(l)))
      )
      const milliseconds = costs.milliseconds()
      assert.isTrue(milliseconds.every((ms) => ms === undefined || ms >= 0))
      if (!nested) continue
      // The whole of the largest set is what its ticks take, whichever way it is shared.
      const largest = sets.toSorted((a, b) => b.size - a.size)[0]!
      const sum = any.levels.reduce((all, { name }, l) => all + (largest.has(name) ? milliseconds[l]! : 0), 0)
      assert.closeTo(
        sum,
        [...largest].reduce((all, name) => all + each(name), 0),
        1e-9,
        `program ${i}`
      )
      told++
    }
    assert.isAbove(told, 20)
  })
})

describe("the interval of looks", () => {
  it("is of whole cycles, and adds no more than two in a hundred gradients, whatever the plan", () => {
    for (let i = 0; i < 100; i++) {
      const any = Result.getOrThrow(Plan.make(Programs.random(Seed.fold(Seed.make(10), i), 1)))
      const every = Looks.every(any)
      for (const { period } of any.levels) assert.strictEqual(every % period, 0)
      let [own, added] = [0, 0]
      for (let index = 1; index <= 20 * every; index++) {
        for (const [l, level] of any.levels.entries()) {
          if (!Plan.acts({ ...level, start: 0, freeze: null }, index)) continue
          own += any.cost[l]!.evaluations
          if (index % every > 0) continue
          added += any.cost[l]!.evaluations + 2 * any.sweeps.find((sweep) => sweep.level === level.name)!.hops.length
        }
      }
      assert.isAbove(added, 0)
      assert.isAtMost(added / own, 0.02 + 1e-12, `program ${i}, every ${every}`)
    }
  })
})
