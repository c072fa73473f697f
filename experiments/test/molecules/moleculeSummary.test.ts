import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as MoleculeNet from "../../molecules/tables/MoleculeNet.ts"
import { weightings } from "../../molecules/Landscape.ts"
import type { Row } from "../../molecules/Methods.ts"
import * as Objectives from "../../molecules/Objectives.ts"
import * as Paper from "../../molecules/Paper.ts"
import * as Tables from "../../common/Tables.ts"
import * as Summary from "../../molecules/Summary.ts"
import { config, ofSet, type Settings, small } from "../../molecules/Settings.ts"

/** What is said of settings that are refused. */
const said = (change: Partial<Settings>) =>
  Result.match(Schema.decodeResult(Schema.toType(config.schema))({ ...small, ...change }), {
    onSuccess: () => "",
    onFailure: ({ message }) => message
  })

describe("what is said of molecules", () => {
  it("the landscape's weightings are weights: the centre, corners, and half-way", () => {
    const names = Objectives.names(small)
    const tried = weightings(small)
    assert.strictEqual(tried.length, 1 + 2 * names.length)
    for (const [, lambda] of tried)
      assert.closeTo(
        Object.values(lambda).reduce((sum, weight) => sum + weight, 0),
        1,
        1e-12
      )
    assert.deepStrictEqual(tried[1], ["mg1-only", { mg1: 1, mg2: 0, mg3: 0, jigsaw: 0, mask: 0 }])
  })

  it("every exhibit names known sets", () => {
    const known = new Set(MoleculeNet.all.map(({ name }) => name))
    for (const { paper, sets } of Object.values(Paper.exhibits))
      for (const set of [...sets, ...paper]) assert.isTrue(known.has(set))
    for (const numbers of Object.values(Paper.scores))
      for (const set of Object.keys(numbers)) assert.isTrue(known.has(set))
    // The paper's own averages over the classification sets (tables 1 and 6).
    const average = (method: keyof typeof Paper.scores) =>
      ["bace", "bbbp", "clintox", "sider", "tox21", "toxcast", "hiv", "muv"].reduce(
        (sum, set) => sum + Paper.scores[method][set]! / 8,
        0
      )
    assert.closeTo(average("finetune"), 73.2, 0.06)
    assert.closeTo(average("equal"), 71.1, 0.06)
    assert.closeTo(average("bilevel"), 73.9, 0.06)
    assert.closeTo(average("tapweight"), 75.3, 0.06)
  })

  it("the paper's scale has each set's own steps and rates (appendix C.4)", () => {
    const { presets } = config
    const paper = { ...small, ...presets["paper"] } as Settings
    const steps = (set: string) => ofSet(paper, set).ticks
    assert.deepStrictEqual(
      ["bace", "bbbp", "clintox", "sider", "tox21", "toxcast", "hiv", "muv"].map(steps),
      [3000, 3000, 3000, 3000, 10_000, 10_000, 20_000, 30_000]
    )
    assert.deepStrictEqual(["freesolv", "esol", "lipo", "qm7", "qm9"].map(steps), [1e4, 1e4, 1e4, 1e4, 3e4])
    const rates = (set: string) => {
      const { finetune, pretrain, reweight } = ofSet(paper, set).regression
      return [pretrain, finetune, reweight]
    }
    assert.deepStrictEqual(["esol", "qm9"].map(rates), [
      [0.02, 0.001, 1],
      [0.01, 0.0001, 0.1]
    ])
  })

  it("initial weights are shares of the objectives, and wanted where their method is", () => {
    const initial = { mg1: 0.1, mg2: 0.1, mg3: 0.1, jigsaw: 0.1, mask: 0.6 }
    assert.strictEqual(said({ initial, methods: ["initial", "tapweight"] }), "")
    assert.match(
      said({ initial: { mg1: 0.5, mask: 0.5 } }),
      /initial has shares for mg1, mask, and the objectives are mg1, mg2, mg3/
    )
    assert.match(said({ initial, useless: true }), /the objectives are mg1, mg2, mg3, jigsaw, mask, coin/)
    assert.match(said({ initial: { ...initial, mask: 0.5 } }), /shares with the sum 1/)
    assert.match(said({ methods: ["initial"] }), /wants initial weights/)
  })

  it("weights that cannot move are not called learned", () => {
    assert.match(said({ ticks: 20, warmup: 20 }), /λ does not move in 20 ticks after a warmup of 20/)
    assert.match(said({ perSet: { esol: { ticks: 10 } } }), /in 10 ticks after a warmup of 20/)
    assert.strictEqual(said({ ticks: 20, warmup: 20, methods: ["equal"] }), "")
    const one = { ...small.batch, reweight: 1 }
    assert.match(said({ batch: one }), /no pair to rank with batch\.reweight=1/)
    assert.strictEqual(said({ batch: one, validation: "loss" }), "")
  })

  it("a table shows means, deviations, the paper's number, cost and paired differences", () => {
    const found = (method: string, seed: number, test: number, training: number): Row => ({
      method,
      task: "bace",
      seed,
      pretraining: method === "finetune" ? "" : `${method}/seed-${seed}`,
      scores: [
        { finetuning: "held", validation: test - 0.1, test },
        { finetuning: "free", validation: test, test: test + 0.1 }
      ],
      seconds: { pretraining: training - 10, finetuning: 10, waiting: training / 10 },
      updates: { pretraining: 100, finetuning: 50 }
    })
    const all = [0, 1, 2].flatMap((seed) => [
      found("finetune", seed, 0.7 + seed / 100, 10),
      found("tapweight", seed, 0.75 + seed / 100, 35)
    ])
    const [text, free] = (["held", "free"] as const).map((how) =>
      Summary.ofSet("bace", "roc-auc", Tables.under(all, how), ["finetune", "tapweight"])
    ) as [string, string]
    assert.match(text, /^bace, held \(AUROC %/)
    assert.match(free, /^bace, free .*finetuning alone\s+71\.0 ± 1\.0\s+81\.0 ± 1\.0/s)
    assert.match(text, /finetuning alone\s+61\.0 ± 1\.0\s+71\.0 ± 1\.0\s+80\.1\s+×1\.00\s+\+5\.0, paired p 0\.250/)
    assert.match(text, /TapWeight\s+66\.0 ± 1\.0\s+76\.0 ± 1\.0\s+83\.1\s+×3\.50\s+-/)
    assert.match(
      Tables.inText(Summary.costs(all, ["finetune", "tapweight"])),
      /TapWeight\s+×3\.50\s+×2\.25\s+×3\.29\s+×3\.93$/
    )
    const sets = [
      { name: "bace", metric: "roc-auc" },
      { name: "esol", metric: "rmse" }
    ]
    // The same scores as errors: TapWeight's larger ones are the worse ones.
    const both = [...all, ...all.map((each) => ({ ...each, task: "esol" }))]
    assert.match(
      Summary.wins(Tables.under(both, "held"), ["finetune", "tapweight"], sets),
      /finetuning alone\s+3 of 6 +1\.000$/
    )
    assert.strictEqual(Summary.wins(Tables.under(all, "held"), ["finetune", "tapweight"], sets.slice(0, 1)), "")
    const alone = all.filter(({ method }) => method === "tapweight")
    assert.deepStrictEqual(Summary.costs(alone, ["tapweight"]), [])
    assert.strictEqual(Tables.inText([]), "")
    // Ties are no wins, and the test of signs leaves them out.
    const even = both.map((each) =>
      each.task === "esol" && each.seed === 0 ? { ...each, scores: all[0]!.scores } : each
    )
    assert.match(
      Summary.wins(Tables.under(even, "held"), ["finetune", "tapweight"], sets),
      /finetuning alone\s+3 of 6, 1 equal\s+1\.000$/
    )
    assert.strictEqual(Summary.waiting(all), "waiting for data: 10.0 % of training time")
  })
})
