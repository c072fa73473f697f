import { assert, describe, it } from "vitest"
import * as Result from "effect/Result"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Moment from "../../../src/runtime/plan/Moment.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import * as Programs from "../../../src/testing/Programs.ts"

describe("moments", () => {
  it("of a plan are the same object where they are equal, and only there", () => {
    let [apart, met] = [0, 0]
    for (let i = 0; i < 20; i++) {
      const plan = Result.getOrThrow(Plan.make(Programs.random(Seed.fold(Seed.make(77), i), 1)))
      const known = new Map<string, Moment.Moment>()
      for (let tick = 1; tick <= 60; tick++) {
        const moment = Moment.at(plan, tick)
        const text = JSON.stringify(moment)
        const before = known.get(text)
        if (before === undefined) apart++
        else met++
        assert.strictEqual(moment, before ?? moment, `program ${i}, tick ${tick}`)
        known.set(text, moment)
      }
      assert.strictEqual(new Set(known.values()).size, known.size)
    }
    assert.isAbove(apart, 30)
    assert.isAbove(met, 500)
  })
})
