import { assert, describe, it } from "@effect/vitest"
import { ComparisonText } from "tapweight"
import * as Tables from "../../common/Tables.ts"

const row = (method: string, seed: number, test: number, pretraining: number) => ({
  method,
  task: "mood",
  seed,
  scores: [{ finetuning: "frozen", validation: test - 0.1, test }],
  seconds: { pretraining, finetuning: 1 },
  updates: { pretraining: 10, finetuning: 10 }
})
const said = { finetune: "alone", equal: "equal weights", tapweight: "TapWeight" }
const methods = ["finetune", "equal", "tapweight"] as const
const shown: Tables.Shown<(typeof methods)[number]> = {
  task: "mood",
  heading: "mood (accuracy × 100)",
  unit: ComparisonText.percent,
  methods,
  said,
  base: ["equal", "finetune"],
  paper: { heading: "paper", of: (method) => (method === "tapweight" ? "94.9" : undefined) },
  against: { method: "equal", heading: "test − equal", itself: false }
}
const rows = [0, 1].flatMap((seed) => [
  row("finetune", seed, 0.5, 0),
  row("equal", seed, 0.6, 3),
  row("tapweight", seed, 0.63 + seed / 100, 7)
])

describe("tables of methods", () => {
  it("cost is over the first base that was trained, and differences are from the method that is named", () => {
    const text = Tables.ofTask(Tables.under(rows, "frozen"), shown)
    assert.match(text, /alone\s+40\.0 ± 0\.0\s+50\.0 ± 0\.0\s+-\s+×0\.25\s+-10\.0, paired p 0\.500/)
    assert.match(text, /equal weights\s+50\.0 ± 0\.0\s+60\.0 ± 0\.0\s+-\s+×1\.00\s+-\n/)
    assert.match(text, /TapWeight\s+53\.5 ± 0\.7\s+63\.5 ± 0\.7\s+94\.9\s+×2\.00\s+\+3\.5, paired p 0\.500/)
    const rest = rows.filter(({ method }) => method !== "equal")
    assert.match(Tables.ofTask(Tables.under(rest, "frozen"), shown), /TapWeight.*×8\.00\s+-$/)
    const other = Tables.ofTask(Tables.under(rows, "frozen"), { ...shown, against: { ...shown.against, itself: true } })
    assert.match(other, /alone.*\+10\.0, paired/)
    assert.deepStrictEqual(Tables.under(rows, "free" as "frozen"), [])
  })

  it("tasks pull weights apart seed by seed, and seeds that one lacks are left out", () => {
    const one = (task: string, seed: number, share: number) => ({
      method: "solved",
      task,
      seed,
      lambda: [share, 1 - share]
    })
    const learned = [0, 1, 2, 3, 4].flatMap((seed) => [one("a", seed, 0.6 + seed / 100), one("b", seed, 0.5)])
    const text = Tables.apart([...learned, one("a", 5, 0.1)], ["x", "y"])
    assert.match(text, /a over b\s+solved\s+5 of 5, p 0\.063\s+0 of 5, p 0\.063/)
    // A tie is for neither.
    assert.match(Tables.apart([one("a", 0, 0.5), one("b", 0, 0.5)], ["x", "y"]), /0 of 1, p 1\.000/)
    assert.strictEqual(Tables.apart([one("a", 0, 0.5)], ["x", "y"]), "")
    assert.strictEqual(Tables.apart([one("a", 0, 0.5), { ...one("b", 0, 0.4), method: "tapweight" }], ["x", "y"]), "")
  })
})
