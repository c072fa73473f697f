import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Present from "../../../src/runtime/run/Present.ts"

describe("results that are there already", () => {
  it("are told from those that are still to come", () => {
    assert.strictEqual(Present.valueOf(Effect.succeed(3)), 3)
    assert.isUndefined(Present.valueOf(Effect.sync(() => 3)))
    assert.isUndefined(Present.valueOf(Effect.fail("no")))
  })

  it("make a result that is there too", () => {
    const found = Present.forEach([1, 2, 3], (n) => Effect.succeed(2 * n))
    assert.deepStrictEqual(Present.valueOf(found), [2, 4, 6])
  })

  it.effect("come in order with others, each of which is asked for after the one before", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const found = Present.forEach([1, 2, 3, 4], (n) => {
        asked.push(`asked for ${n}`)
        return n === 2 ? Effect.sync(() => (asked.push("made 2"), 20)) : Effect.succeed(10 * n)
      })
      assert.isUndefined(Present.valueOf(found))
      assert.deepStrictEqual(yield* found, [10, 20, 30, 40])
      assert.deepStrictEqual(asked, ["asked for 1", "asked for 2", "made 2", "asked for 3", "asked for 4"])
    })
  )

  it.effect("end with the first failure, or with what is thrown", () =>
    Effect.gen(function* () {
      const failing = Present.forEach([1, 2, 3], (n) => (n === 2 ? Effect.fail(`no ${n}`) : Effect.succeed(n)))
      assert.strictEqual(yield* Effect.flip(failing), "no 2")
      const throwing = Present.forEach([1, 2], (n) => {
        if (n === 2) throw new RangeError("none")
        return Effect.succeed(n)
      })
      assert.isTrue((yield* Effect.exit(throwing))._tag === "Failure")
    })
  )
})
