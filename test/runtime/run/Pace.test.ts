import { assert, describe, it } from "vitest"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Pace from "../../../src/runtime/run/Pace.ts"
import { stream } from "../../../src/testing/Draws.ts"

interface Problem {
  readonly milliseconds: number
  readonly bytes?: number
  readonly state?: number
  readonly cycle?: number
}

/** Runs to `last`; gives the lengths of the calls and how many ticks were run again for the looks. */
const follow = (last: number, problem: Problem, looks: (tick: number) => boolean) => {
  const { bytes = 0, cycle = 1, milliseconds, state = 100 } = problem
  const lengths: Array<number> = []
  let [pace, again] = [Pace.start, 0]
  for (let tick = 0; tick < last;) {
    const ticks = Pace.length(pace, { tick, last, state, cycle })
    lengths.push(ticks)
    pace = Pace.ran(pace, { ticks, milliseconds: ticks * milliseconds, bytes: ticks * bytes })
    let known = 0
    for (let i = 1; i <= ticks; i++) {
      if (!looks(tick + i)) continue
      pace = Pace.looked(pace, tick + i, i === ticks)
      if (i === ticks) continue
      again += i - known
      known = i
    }
    tick += ticks
  }
  return { lengths, again }
}
const never = () => false

describe("how many ticks to ask for", () => {
  it("calls cover all ticks, each at least one, never more than allowed", () => {
    for (let i = 0; i < 300; i++) {
      const draw = stream(Seed.fold(Seed.make(3), i))
      const last = 1 + draw.below(500)
      const chance = draw.pick([0, 0.01, 0.1, 0.5, 1])
      const problem = {
        milliseconds: 10 ** (3 * draw.unit() - 2),
        bytes: draw.pick([0, 100, 1e5, 1e7]),
        state: draw.pick([10, 1e5, 5e5]),
        cycle: 1 + draw.below(12)
      }
      const { lengths } = follow(last, problem, () => draw.chance(chance))
      assert.strictEqual(
        lengths.reduce((a, b) => a + b, 0),
        last
      )
      for (const ticks of lengths) {
        assert.isTrue(Number.isInteger(ticks) && ticks >= 1 && ticks <= Pace.mostTicks)
        if (ticks === 1) continue
        assert.isAtMost(ticks * problem.milliseconds, Pace.mostMilliseconds)
        assert.isAtMost(2 * problem.state + ticks * problem.bytes, Pace.mostBytes)
      }
    }
  })

  it("tiny ticks soon come by the dozen; long ones and large ones come one by one", () => {
    assert.deepStrictEqual(follow(191, { milliseconds: 0.01 }, never).lengths, [1, 2, 4, 8, 16, 32, 64, 64])
    assert.deepStrictEqual(follow(5, { milliseconds: 3 }, never).lengths, [1, 1, 1, 1, 1])
    assert.deepStrictEqual(follow(3, { milliseconds: 0.1, bytes: 2 ** 20 }, never).lengths, [1, 1, 1])
    assert.deepStrictEqual([Pace.holds(2 ** 10), Pace.holds(2 ** 19)], [true, false])
  })

  it("calls end where looks are expected, so that none is run again", () => {
    for (const rhythm of [1, 2, 5, 10, 50]) {
      const { again, lengths } = follow(1000, { milliseconds: 0.01 }, (tick) => tick % rhythm === 0)
      // At most the first look falls inside of a call.
      assert.isAtMost(again, rhythm)
      assert.isAtMost(lengths.length, Math.ceil(1000 / Math.min(rhythm, Pace.mostTicks)) + 16)
    }
    const two = follow(3000, { milliseconds: 0.01 }, (tick) => tick % 50 === 0 || tick % 75 === 0)
    assert.isAtMost(two.again, 200)
  })

  it("looks that nobody can foresee have at most two thirds of the ticks run again", () => {
    for (const chance of [0.02, 0.1, 0.3, 0.7]) {
      const draw = stream(Seed.make(8))
      const { again } = follow(3000, { milliseconds: 0.01 }, () => draw.chance(chance))
      assert.isAtMost(again, 2000, `${chance}`)
    }
  })

  it("looks that have ended are forgotten", () => {
    const { lengths } = follow(2000, { milliseconds: 0.01 }, (tick) => tick <= 20)
    assert.strictEqual(lengths.at(-2), Pace.mostTicks)
  })

  it("calls end with a cycle where they are as long as one", () => {
    const { lengths } = follow(1000, { milliseconds: 0.1, cycle: 10 }, never)
    let tick = 0
    for (const ticks of lengths) {
      tick += ticks
      if (ticks >= 10) assert.strictEqual(tick % 10, 0)
    }
    assert.strictEqual(lengths.at(-2), 50)
  })
})
