import { assert, describe, it } from "vitest"
import * as Report from "../../bench/peers/Report.ts"
import type { Round, Side } from "../../bench/peers/Side.ts"

const sides: ReadonlyArray<Side> = [
  { name: "onnx", ours: true, runs: { engine: "compiled" } },
  { name: "xla", ours: true, runs: { engine: "xla" } },
  { name: "betty", ours: false, runs: { script: "betty_side.py" } },
  { name: "jax", ours: false, runs: { script: "jax_side.py" } }
]

const round = (step: number, start: number, peak: number, loss = 1): Round => ({
  step: { wall: step, cpu: 10 * step },
  start: { wall: start, cpu: start },
  peak,
  losses: [[loss, 2]]
})

const row = (jax: Report.Measured): Report.Row => ({
  name: "small",
  title: "a small one",
  targets: { betty: 4, jax: 1.1 },
  tolerance: 0.01,
  sides: {
    onnx: { rounds: [round(3, 100, 200), round(9, 50, 210), round(4, 60, 220)] },
    xla: { rounds: [round(2, 500, 300), round(2, 100, 300), round(2, 100, 300)] },
    betty: { rounds: [round(10, 900, 700)] },
    jax
  }
})

describe("the table of peers", () => {
  it("holds medians against the best of our ways", () => {
    const found = Report.summary(row({ rounds: [round(2.1, 700, 310)] }), sides, "wall")
    assert.strictEqual(found.best, "xla")
    assert.strictEqual(found.each["onnx"]!.step, 4)
    assert.strictEqual(found.each["onnx"]!.start, 100)
    assert.strictEqual(found.each["onnx"]!.startAgain, 60)
    assert.deepStrictEqual(found.ratios, { betty: 5, jax: 1.05 })
    assert.strictEqual(found.start, 1.4)
    assert.strictEqual(Report.summary(row({ rounds: [] }), sides, "cpu").each["betty"]!.step, 100)
  })

  it("says what is reached, and what is not", () => {
    const text = Report.text([row({ rounds: [round(2.1, 1200, 310)] })], sides, "wall")
    assert.include(
      text,
      "| small | xla | 5.00 (≥ 4: reached) | 1.05 (≥ 1.1: not reached) | 2.40 (≥ 2: reached) | 1.03 (≥ 1: reached) |"
    )
    assert.notInclude(text, "not the same computation")
  })

  it("shows a side that did not run as a dash, with its reason", () => {
    const text = Report.text([row({ rounds: [], failure: "not installed" })], sides, "wall")
    assert.include(text, "| small | xla | 5.00 (≥ 4: reached) | – (≥ 1.1) | – (≥ 2) | – (≥ 1) |")
    assert.include(text, "| small | 4.000 | 2.000 | 10.0 | – |")
    assert.include(text, "- small, jax: not installed")
  })

  it("says so where a side computed something else", () => {
    const text = Report.text([row({ rounds: [round(2, 700, 310, 1.02)] })], sides, "wall")
    assert.include(text, "jax 2e-2 (**not the same computation**)")
  })
})
