/**
 * The paper's tasks and those that stand in for them, in the forms in which people have them: GLUE's zip, files of the hub (JSONL, CSV or
 * Parquet), the authors' own releases. GLUE withholds its test labels: its development part is the test.
 */
import * as Sources from "./Sources.ts"
import type { TaskSchema } from "./TaskSchema.ts"

const glue = { licence: "see gluebenchmark.com/tasks" }

/** GLUE's folder of a task as its zip names it and as the hub does. */
const folders = (...names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.flatMap((name) => [name, `glue/${name}`, `GLUE/${name}`, `glue_data/${name}`])

const dev = { train: "train", test: [["dev", "validation"]] } as const

export const cola: TaskSchema = {
  name: "cola",
  sources: Sources.cola,
  about: "whether a sentence is acceptable English",
  labels: [
    ["unacceptable", "0"],
    ["acceptable", "1"]
  ],
  metric: "mcc",
  ...glue,
  forms: [
    // The zip's files have no header: source, label, star, sentence.
    {
      folders: folders("CoLA"),
      files: { train: [["train.tsv", "train.tsv.gz"]], test: [["dev.tsv", "dev.tsv.gz"]] },
      text: 4,
      label: 2
    },
    { folders: folders("cola", "CoLA"), files: dev, text: "sentence", label: "label" }
  ]
}

export const sst2: TaskSchema = {
  name: "sst-2",
  sources: Sources.sst2,
  about: "whether a film review's sentence or phrase is positive",
  labels: [
    ["negative", "0"],
    ["positive", "1"]
  ],
  metric: "accuracy",
  ...glue,
  forms: [{ folders: folders("SST-2", "sst2", "sst-2"), files: dev, text: "sentence", label: "label" }]
}

export const mrpc: TaskSchema = {
  name: "mrpc",
  about: "whether two sentences of news say the same",
  labels: [
    ["different", "0"],
    ["paraphrase", "1"]
  ],
  metric: "accuracy",
  ...glue,
  forms: [
    {
      folders: folders("MRPC", "mrpc"),
      files: dev,
      text: ["#1 String", "sentence1"],
      pair: ["#2 String", "sentence2"],
      label: ["Quality", "label"]
    }
  ]
}

export const stsb: TaskSchema = {
  name: "sts-b",
  sources: Sources.stsb,
  about: "how near two sentences are in meaning",
  range: [0, 5],
  metric: "pearson",
  licence: "CC BY-SA 4.0 (scores)",
  forms: [
    {
      folders: folders("STS-B", "stsb", "sts-b"),
      files: dev,
      text: "sentence1",
      pair: "sentence2",
      label: ["score", "label"]
    }
  ]
}

export const qqp: TaskSchema = {
  name: "qqp",
  about: "whether two questions ask the same",
  labels: [
    ["different", "0"],
    ["duplicate", "1"]
  ],
  metric: "accuracy",
  ...glue,
  forms: [
    {
      folders: folders("QQP", "qqp", "QQP-10k"),
      files: dev,
      text: ["question1", "sentence1"],
      pair: ["question2", "sentence2"],
      label: ["is_duplicate", "label"],
      // Some lines of the zip have three cells, some questions are empty.
      incomplete: 100
    }
  ]
}

const kindsOfText = ["matched", "mismatched"] as const

/** MNLI with the development sentences of these kinds for its test. */
const mnliWith = (about: string, kinds: ReadonlyArray<(typeof kindsOfText)[number]>) =>
  ({
    about: `whether a hypothesis follows from a premise${about}`,
    labels: [
      ["entailment", "0"],
      ["neutral", "1"],
      ["contradiction", "2"]
    ],
    metric: "accuracy",
    ...glue,
    forms: [
      {
        folders: folders("MNLI", "mnli"),
        files: {
          train: "train",
          test: kinds.map((kind) => [`dev_${kind}`, `validation_${kind}`])
        },
        text: ["sentence1", "premise"],
        pair: ["sentence2", "hypothesis"],
        label: ["gold_label", "label"]
      }
    ]
  }) as unknown as Omit<TaskSchema, "name">

/** Both kinds of development sentences, as the paper's code pools them. */
const pooled = mnliWith("", kindsOfText)
export const mnli: TaskSchema = {
  ...pooled,
  name: "mnli",
  forms: [
    ...pooled.forms,
    { folders: folders("MNLI-10k"), files: dev, text: "sentence1", pair: "sentence2", label: "label" }
  ]
}

/** Tested on the kinds of text that training has. */
export const mnliMatched: TaskSchema = {
  ...mnliWith(", of kinds of text seen in training", ["matched"]),
  name: "mnli-matched"
}

/** Tested on other kinds of text. */
export const mnliMismatched: TaskSchema = {
  ...mnliWith(", of other kinds of text than in training", ["mismatched"]),
  name: "mnli-mismatched"
}

const entailment = [
  ["entailment", "0"],
  ["not_entailment", "1"]
] as const

export const qnli: TaskSchema = {
  name: "qnli",
  about: "whether a sentence answers a question",
  labels: entailment,
  metric: "accuracy",
  ...glue,
  forms: [
    {
      folders: folders("QNLI", "qnli"),
      files: dev,
      text: "question",
      pair: "sentence",
      label: "label"
    },
    { folders: folders("QNLI-10k"), files: dev, text: "sentence1", pair: "sentence2", label: "label" }
  ]
}

export const rte: TaskSchema = {
  name: "rte",
  about: "whether a sentence follows from a text",
  labels: entailment,
  metric: "accuracy",
  ...glue,
  forms: [{ folders: folders("RTE", "rte"), files: dev, text: "sentence1", pair: "sentence2", label: "label" }]
}

const roles = ["background", "conclusions", "methods", "objective", "results"] as const

export const rct: TaskSchema = {
  name: "rct",
  sources: Sources.rct,
  about: "the role of a sentence in the abstract of a trial",
  licence: "PubMed's terms: some abstracts are under copyright",
  labels: roles,
  metric: "accuracy",
  forms: [
    // As the authors publish it.
    {
      folders: ["rct", "PubMed_20k_RCT", "PubMed_20k_RCT_numbers_replaced_with_at_sign", "pubmed-rct/PubMed_20k_RCT"],
      files: { train: "train.txt", validation: "dev.txt", test: "test.txt" },
      format: "abstracts"
    },
    {
      folders: ["rct", "pubmed-rct20k"],
      files: { train: "train", validation: [["dev", "validation"]], test: "test" },
      text: "text",
      label: "label",
      document: "abstract_id"
    },
    // As Gururangan et al. (2020) do: without the abstracts that sentences are from.
    {
      folders: ["rct-20k", "rct-sample"],
      files: { train: "train", validation: "dev", test: "test" },
      text: "text",
      label: "label"
    }
  ]
}

export const agNews: TaskSchema = {
  name: "ag-news",
  sources: Sources.agNews,
  about: "the topic of a piece of news",
  labels: ["World", "Sports", "Business", "Sci/Tech"],
  metric: "accuracy",
  licence: "research, non-commercial",
  forms: [
    // The authors' CSV has no header: class from 1, title, description.
    {
      folders: ["ag_news_csv", "ag-news", "ag_news", "agnews"],
      files: { train: [["train.csv", "train.csv.gz"]], test: [["test.csv", "test.csv.gz"]] },
      title: 2,
      text: 3,
      label: 1,
      labels: ["1", "2", "3", "4"]
    },
    {
      folders: ["ag_news", "ag-news", "agnews", "ag"],
      files: { train: "train", test: "test" },
      text: "text",
      label: "label",
      labels: [
        ["0", "World"],
        ["1", "Sports"],
        ["2", "Business"],
        ["3", "Sci/Tech"]
      ]
    }
  ]
}

/** Ten thousand training rows (Yuan et al. 2020), descriptions alone, beside the authors' test rows. */
export const agNews10k: TaskSchema = {
  name: "ag-news-10k",
  about: agNews.about,
  labels: agNews.labels!,
  metric: agNews.metric,
  licence: agNews.licence!,
  forms: [
    {
      folders: [".", "text"],
      files: { train: "ag_news_train10k", test: "ag_news_test" },
      text: 1,
      label: 2,
      ofPart: { test: { text: 3, label: 1, labels: ["1", "2", "3", "4"] } }
    }
  ]
}

const sentiment = [
  ["negative", "0", "neg"],
  ["positive", "1", "pos"]
] as const

export const imdb: TaskSchema = {
  name: "imdb",
  about: "whether a film review is positive",
  labels: sentiment,
  metric: "accuracy",
  forms: [
    { folders: ["aclImdb", "imdb"], files: { train: "train/", test: "test/" }, format: "folders" },
    {
      folders: ["imdb", ".", "text"],
      files: { train: ["imdb_train"], test: "imdb_test" },
      text: "text",
      label: "label"
    },
    { folders: ["imdb", "plain_text"], files: { train: "train", test: "test" }, text: "text", label: "label" }
  ]
}

const parts = (name: string) => ({ train: `${name}_train`, validation: `${name}_dev`, test: `${name}_test` })
const plain = { train: "train", validation: [["dev", "validation"]], test: "test" } as const

export const csabstruct: TaskSchema = {
  name: "csabstruct",
  sources: Sources.csabstruct,
  about: "the role of a sentence in an abstract of computer science",
  labels: ["background", "objective", "method", "result", "other"],
  metric: "accuracy",
  licence: "Apache-2.0",
  forms: [
    { folders: ["CSAbstruct", "csabstruct"], files: plain, text: "sentences", label: "labels" },
    { folders: [".", "text"], files: parts("csabstruct"), text: "sentences", label: "labels" }
  ]
}

export const piboso: TaskSchema = {
  name: "piboso",
  sources: Sources.piboso,
  about: "the role of a sentence in an abstract of evidence-based medicine",
  labels: ["background", "population", "intervention", "outcome", "study design", "other"],
  metric: "accuracy",
  forms: [
    {
      folders: ["nicta_piboso", "nicta-piboso"],
      files: { train: ["train_clean.txt"], validation: "dev_clean.txt", test: "test_clean.txt" },
      format: "abstracts"
    },
    { folders: [".", "text"], files: parts("nicta_piboso"), format: "abstracts" }
  ]
}

export const chemprot: TaskSchema = {
  name: "chemprot",
  sources: Sources.chemprot,
  about: "how a chemical acts on a protein in a sentence",
  labels: [
    "ACTIVATOR",
    "AGONIST",
    "AGONIST-ACTIVATOR",
    "AGONIST-INHIBITOR",
    "ANTAGONIST",
    "DOWNREGULATOR",
    "INDIRECT-DOWNREGULATOR",
    "INDIRECT-UPREGULATOR",
    "INHIBITOR",
    "PRODUCT-OF",
    "SUBSTRATE",
    "SUBSTRATE_PRODUCT-OF",
    "UPREGULATOR"
  ],
  metric: "accuracy",
  licence: "Apache-2.0 (as SciBERT distributes it)",
  forms: [
    // SciBERT's files are JSONL, whatever they are called.
    {
      folders: ["chemprot"],
      files: { train: "train.txt", validation: "dev.txt", test: "test.txt" },
      format: "jsonl",
      text: "text",
      label: "label"
    },
    { folders: ["chemprot"], files: plain, text: "text", label: "label" },
    { folders: [".", "text"], files: parts("chemprot"), text: "text", label: "label" }
  ]
}

/** All of them. */
export const all: ReadonlyArray<TaskSchema> = [
  cola,
  sst2,
  mrpc,
  stsb,
  qqp,
  mnli,
  mnliMatched,
  mnliMismatched,
  qnli,
  rte,
  rct,
  agNews,
  agNews10k,
  imdb,
  csabstruct,
  piboso,
  chemprot
]

/** A task by its name; hyphens may be left out. */
export const named = (name: string): TaskSchema | undefined => {
  const bare = (text: string) => text.replaceAll(/[-_]/g, "").toLowerCase()
  return all.find((schema) => bare(schema.name) === bare(name))
}
