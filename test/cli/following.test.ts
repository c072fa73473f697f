import { assert, describe, it } from "vitest"
import * as Following from "../../src/cli/sweep/Following.ts"
import type { State } from "../../src/runs/sweep/SweepFolder.ts"

const look = (states: ReadonlyArray<State>): Following.Look => ({ text: "", json: null, states })

describe("how long a sweep still takes", () => {
  it("goes by what was done since it was looked at, and is not said before anything was, nor where nothing is left", () => {
    const first = look(["done", "running", "queued", "queued", "failed"])
    assert.isUndefined(Following.left(first, first, 60))
    const one = look(["done", "done", "running", "queued", "failed"])
    assert.strictEqual(Following.left(first, one, 60), "about 2 min left at this pace")
    assert.strictEqual(Following.left(first, one, 3600), "about 2 h 0 min left at this pace")
    assert.isUndefined(Following.left(first, look(["done", "done", "done", "done", "failed"]), 60))
  })
})
