/** What the paper reports (tables 3, 4, 5, 8 and 10), to stand beside what we measure: percent, and times over finetuning's. */
import type { Method, Settings } from "./Settings.ts"

type Numbers = { readonly [task: string]: number }
type Scores = { readonly [M in Method]?: Numbers }

const three = ["rct", "ag-news", "imdb"] as const
const glue = ["mnli", "qnli", "qqp", "rte", "sst-2", "mrpc", "cola", "sts-b"] as const
const row = (tasks: ReadonlyArray<string>, values: ReadonlyArray<number>): Numbers =>
  Object.fromEntries(tasks.map((task, i) => [task, values[i]!]))

/** Scores by encoder, method and task; a method that the paper did not try on a task has none. */
export const scores: { readonly [encoder in Settings["beside"]]: Scores } = {
  "roberta-base": {
    finetune: { ...row(three, [86.3, 93.2, 94.5]), ...row(glue, [86.7, 92.8, 90.3, 77.8, 94.8, 89.3, 61.6, 91.2]) },
    simcse: { ...row(three, [85.9, 93.0, 94.1]), ...row(glue, [85.6, 90.1, 90.7, 74.6, 91.1, 89.2, 59.7, 91.0]) },
    tapt: { ...row(three, [86.4, 93.5, 94.7]), ...row(glue, [85.2, 91.3, 90.2, 78.2, 93.7, 90.1, 61.5, 90.9]) },
    tapweight: { ...row(three, [86.7, 93.8, 95.1]), ...row(glue, [86.8, 92.5, 91.1, 80.7, 94.9, 90.2, 62.3, 91.2]) }
  },
  "roberta-large": {
    finetune: row(three, [86.9, 94.0, 95.2]),
    simcse: row(three, [86.5, 93.8, 95.0]),
    tapt: row(three, [86.9, 94.2, 95.1]),
    tapweight: row(three, [87.4, 94.8, 95.5])
  },
  "deberta-xlarge": {
    finetune: row(three, [87.5, 94.7, 95.4]),
    simcse: row(three, [87.0, 93.9, 94.7]),
    tapt: row(three, [87.7, 94.1, 95.4]),
    tapweight: row(three, [87.9, 95.0, 96.1])
  },
  "deberta-v3-large": {
    finetune: row(["cola", "mrpc"], [73.0, 91.5]),
    tapweight: row(["cola", "mrpc"], [74.1, 92.1])
  }
}

/** Table 8: training time over finetuning's, on QQP. */
export const costs: { readonly [M in Method]?: number } = { finetune: 1, equal: 2.54, tapt: 1.57, tapweight: 3.76 }

/** Table 10: seconds of the proximal term forwards and backwards, 125 million parameters on an A100. */
export const proximal = { kl: [0.385, 0.484], mean: [0.101, 0.108] } as const

/** A table of the paper: its tasks at our scale and at the paper's, what it compares, and settings that are its own. */
export interface Exhibit {
  readonly title: string
  readonly tasks: readonly [string, ...Array<string>]
  readonly paper: ReadonlyArray<string>
  readonly methods: readonly [Method, ...Array<Method>]
  readonly settings?: Partial<Settings>
}

const compared = ["finetune", "tapt", "simcse", "equal", "tapweight"] as const

/** What `tapweight reproduce` knows of the paper's tables on language; table 10 is a program of its own. */
export const exhibits: { readonly [name: string]: Exhibit } = {
  table3: {
    title: "topics, roles and opinions (accuracy %)",
    tasks: ["piboso", "csabstruct", "ag-news-10k", "imdb"],
    paper: three,
    methods: compared
  },
  table4: {
    title: "GLUE",
    tasks: ["sst-2", "sts-b"],
    paper: glue,
    methods: compared
  },
  table5: {
    title: "DeBERTa v3",
    tasks: ["cola", "mrpc"],
    paper: ["cola", "mrpc"],
    methods: ["finetune", "tapweight"],
    settings: { beside: "deberta-v3-large" }
  },
  table8: {
    title: "training time over finetuning's",
    tasks: ["qqp"],
    paper: ["qqp"],
    methods: ["finetune", "equal", "tapt", "tapweight"],
    settings: { finetunings: ["free"] }
  }
}
