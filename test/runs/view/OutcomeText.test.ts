import { assert, it } from "vitest"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as OutcomeText from "../../../src/runs/view/OutcomeText.ts"

it("short variables are shown whole, large ones in a few numbers, and λ as it was last reported", () => {
  const many = Float32Array.from({ length: 100 }, (_, i) => i)
  const vars = {
    beta: NdArray.float32([2], [0.5, -0.25]),
    theta: { w: NdArray.float32([10, 10], many), b: NdArray.float32([1], [-10]) },
    table: NdArray.float32([100], many)
  }
  const step = { t: "lambda", level: "reweight", w: 0, names: ["mlm", "order"], beta: [], entropy: 0 } as const
  const lambda = OutcomeText.lambdas([
    { ...step, k: 1, lambda: [0.5, 0.5] },
    { ...step, k: 2, lambda: [0.75, 0.25] },
    { ...step, k: 2, level: "other", names: [], lambda: [1] }
  ])
  assert.deepStrictEqual(lambda, { reweight: { mlm: 0.75, order: 0.25 }, other: { 0: 1 } })
  assert.deepStrictEqual(OutcomeText.text(vars, lambda).split("\n"), [
    "beta   0.5 -0.25",
    "theta  101 numbers in 2 tensors: mean 48.911, deviation 29.467, from -10 to 99",
    "table  100 numbers: mean 49.5, deviation 29.011, from 0 to 99",
    "λ      mlm 0.750  order 0.250  (reweight, at its last update)",
    "λ      0 1.000  (other, at its last update)"
  ])
  assert.deepStrictEqual(OutcomeText.short(vars), { beta: [0.5, -0.25] })
})

it("a few numbers of several arrays are shown by path", () => {
  const net = { a: NdArray.scalar(0.5), layers: [{ b: NdArray.float32([2], [1, -2]) }] }
  assert.strictEqual(OutcomeText.text({ net }, {}), "net  a 0.5  layers.0.b 1 -2")
})
