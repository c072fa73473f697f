/** What the paper reports (tables 1, 2, 6, 7 and 9), to stand beside what we measure: AUROC in percent, RMSE, MAE. */
import type { Method } from "./Settings.ts"

type Numbers = { readonly [set: string]: number }

const classification = ["bace", "bbbp", "clintox", "sider", "tox21", "toxcast", "hiv", "muv"] as const
const regression = ["freesolv", "esol", "lipo", "qm7", "qm9"] as const
const row = (values: ReadonlyArray<number>, sets: ReadonlyArray<string>): Numbers =>
  Object.fromEntries(sets.map((set, i) => [set, values[i]!]))

/** Scores by method and set; a method the paper did not try on a set has none. */
export const scores: { readonly [M in Method]: Numbers } = {
  finetune: {
    ...row([80.1, 67.3, 78.5, 63.6, 76.5, 65.4, 75.6, 78.4], classification),
    ...row([3.04, 1.11, 0.76, 141.0, 4.52], regression)
  },
  equal: row([78.8, 66.1, 77.4, 60.3, 74.6, 62.7, 76.9, 71.6], classification),
  initial: {},
  bilevel: row([83.0, 68.5, 79.5, 63.5, 76.3, 65.9, 77.2, 77.3], classification),
  tapweight: {
    ...row([83.1, 71.2, 81.3, 64.5, 77.0, 66.1, 78.4, 80.5], classification),
    ...row([1.91, 1.06, 0.76, 126.0, 4.28], regression)
  },
  final: row([82.3, 81.1, 78.5], ["bace", "clintox", "hiv"])
}

/** Table 9: training time over finetuning's, on MUV and Qm9. */
export const costs: { readonly [M in Method]?: readonly [muv: number, qm9: number] } = {
  finetune: [1, 1],
  equal: [2.18, 2.76],
  tapweight: [3.29, 3.93]
}

/** A table or a figure of the paper: its sets at our scale and at the paper's, and the methods it compares. */
export interface Exhibit {
  readonly title: string
  readonly sets: readonly [string, ...Array<string>]
  readonly paper: ReadonlyArray<string>
  readonly methods: readonly [Method, ...Array<Method>]
}

const five = ["bace", "bbbp", "sider", "esol", "lipo"] as const

/** What `tapweight reproduce` knows, with the sets that are tried where none are named. */
export const exhibits: { readonly [name: string]: Exhibit } = {
  table1: {
    title: "classification (AUROC %)",
    sets: ["bace", "bbbp", "sider"],
    paper: classification,
    methods: ["finetune", "tapweight"]
  },
  table2: { title: "regression (RMSE)", sets: ["esol", "lipo"], paper: regression, methods: ["finetune", "tapweight"] },
  table6: {
    title: "ablations",
    sets: five,
    paper: classification,
    methods: ["finetune", "equal", "bilevel", "tapweight"]
  },
  table7: {
    title: "continued pretraining with the learned final weights",
    sets: five,
    paper: ["bace", "clintox", "hiv"],
    methods: ["tapweight", "final"]
  },
  table9: {
    title: "training time over finetuning's",
    sets: five,
    paper: ["muv", "qm9"],
    methods: ["finetune", "equal", "tapweight"]
  },
  figure2: {
    title: "λ over steps",
    sets: five,
    paper: ["esol", "lipo", "freesolv", "tox21", "toxcast", "clintox"],
    methods: ["tapweight"]
  },
  all: {
    title: "tables 1, 2, 6, 7 and 9, and figure 2",
    sets: five,
    paper: [...classification, ...regression],
    methods: ["finetune", "equal", "bilevel", "tapweight", "final"]
  }
}
