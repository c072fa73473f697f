// What a dataset of one's own has to hold, as tests: batches are a function of (seed, index), bad rows are refused by line; and
// laws that the problem with it obeys.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { CompiledEngine, NodeServices, Seed } from "tapweight"
import { Law } from "tapweight/testing"
import { assert, describe, it } from "vitest"
import { file, problem, readings } from "./06-own-dataset.ts"

const seed = Seed.make(1)

/** Batches of the dataset as a run draws them. */
const batches = (from: string, indices: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const draw = yield* readings("readings", from, ["roof", "yard"], 8, 0.2).open
    return yield* Effect.forEach(indices, (index) => draw(seed, index))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

describe("readings", () => {
  it("draws a batch that depends on (seed, index) alone", async () => {
    const [third, first, thirdAgain] = await Effect.runPromise(batches(file, [3, 1, 3]))
    assert.deepStrictEqual(third, thirdAgain)
    assert.notDeepEqual(third, first)
    // Drawn after others or by itself: a run that is resumed at a tick gets the batch it would have had.
    assert.deepStrictEqual(await Effect.runPromise(batches(file, [3])), [third!])
  })

  it("refuses a row that is no reading, by its line", async () => {
    const directory = mkdtempSync(join(tmpdir(), "readings-"))
    try {
      const bad = join(directory, "bad.csv")
      writeFileSync(bad, "sensor,hour,value\nroof,1.0,0.5\nyard,noon,0.5\n")
      const error = await Effect.runPromise(Effect.flip(batches(bad, [0])))
      assert.match(String(error), /dataset 'readings': line 3 is 'yard,noon,0.5'/)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe("the problem with it", () => {
  const laws = {
    "has the hypergradient that its estimator claims": Law.hypergradient(problem, { cases: 1, solveTicks: 200 }),
    "goes on as if it had not been stopped": Law.resume(problem, { cases: 2 })
  }
  for (const [what, law] of Object.entries(laws)) {
    it(what, () => Effect.runPromise(Effect.provide(law, [CompiledEngine.layer(), NodeServices.layer])))
  }
})
