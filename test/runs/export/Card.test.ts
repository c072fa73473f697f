import * as Yaml from "effect/encoding/Yaml"
import { assert, describe, it } from "vitest"
import type { Score } from "../../../src/runs/folder/Score.ts"
import * as Card from "../../../src/runs/export/Card.ts"
import type { Manifest } from "../../../src/runs/folder/Manifest.ts"

const hostile = `"]: {x} # <script>*\n# heading`
const scores = [0.5, 0.7].map((value, seed): Score => ({
  method: hostile,
  task: "cola",
  seed,
  metric: "mcc",
  split: "test",
  better: "more",
  value
}))
const manifest = {
  run: "one",
  data: [{ name: hostile, read: 9, dropped: [], split: { rule: "first", rows: {} }, licence: "MIT", source: "here" }],
  weights: [],
  seeds: { root: 3 },
  engine: { provider: "cpu", threads: 1 },
  git: null
} as unknown as Manifest

describe("a model card", () => {
  const text = Card.text(
    manifest,
    { rate: { value: 0.1, origin: "-s" } },
    { program: "p", result: null, text: "said", scores }
  )
  const [, front, body] = /^---\n([^]*?)\n---\n([^]*)$/.exec(text)!

  it("has front matter that says each metric with its seeds and deviation", () => {
    const index = (Yaml.parse(front!) as { "model-index": ReadonlyArray<any> })["model-index"]
    assert.strictEqual(index[0].name, `p ${hostile}`)
    const [metric] = index[0].results[0].metrics
    assert.strictEqual(metric.type, "mcc")
    assert.closeTo(metric.value, 0.6, 1e-12)
    assert.strictEqual(metric.args.seeds, 2)
    assert.closeTo(metric.args.deviation, Math.SQRT2 / 10, 1e-12)
  })

  it("says what the manifest knows, no heading out of data, and none that it cannot fill", () => {
    assert.include(body, "9 rows read, 0 dropped")
    assert.include(body, "    said")
    assert.deepStrictEqual(body!.match(/^#.*$/gm), ["# p one", "## Result", "## Data", "## To repeat"])
    assert.notInclude(body, "<script>")
  })
})
