/** Tasks in the forms in which people have them, and one's own by a schema. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NodeServices, Seed } from "tapweight"
import * as Benchmarks from "../../../language/tasks/Benchmarks.ts"
import * as Read from "../../../language/tasks/Read.ts"
import type { Example } from "../../../language/tasks/Task.ts"
import * as Tasks from "../../../language/tasks/Tasks.ts"
import { type Contents, folderOf, parquet } from "../../support/files.ts"

const partsOf = (contents: Contents, name: string) =>
  Effect.gen(function* () {
    const folder = yield* folderOf(contents)
    const place = yield* Tasks.named(folder, name.endsWith(".json") ? join(folder, name) : name)
    const { parts } = yield* Read.read(place.data, place.schema)
    return parts
  })

const lines = (...rows: ReadonlyArray<ReadonlyArray<string | number>>): string =>
  rows.map((row) => `${row.join("\t")}\n`).join("")
const jsonl = (...rows: ReadonlyArray<object>): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("")

/** A task's files in one form, and what its training and its test part are. */
interface Form {
  readonly what: string
  readonly task: string
  readonly contents: Contents
  readonly train: ReadonlyArray<Example>
  readonly test: ReadonlyArray<Example>
}

const quotes = 'He said "no.'
const cola = {
  train: [
    { text: quotes, label: 1 },
    { text: "Him left.", label: 0 }
  ],
  test: [{ text: "They left.", label: 1 }]
}
const pairs = {
  train: [
    { text: "Is it so?", pair: "It's so.", label: 0 },
    { text: "Who?", pair: '"Nobody.', label: 1 }
  ],
  test: [{ text: "Why?", pair: "Because.", label: 1 }]
}
const news = {
  train: [
    { text: "Oil Prices rise", label: 2 },
    { text: 'A "win" Team wins, again', label: 1 }
  ],
  test: [{ text: "Peace Talks begin", label: 0 }]
}
const role = (text: string, label: number, document: string, at: number, of: number): Example => ({
  text,
  label,
  document,
  place: { at, of }
})
const rct = {
  train: [role("We tested.", 2, "24", 0, 2), role("It worked.", 4, "24", 1, 2), role("Why?", 3, "7", 0, 1)],
  test: [role("So be it.", 1, "9", 0, 1)]
}
const raw = (rows: ReadonlyArray<Example>, names: ReadonlyArray<string>): string => {
  const documents = [...new Set(rows.map(({ document }) => document!))]
  const of = (id: string) => rows.filter(({ document }) => document === id)
  return documents
    .map(
      (id) =>
        `###${id}\n${of(id)
          .map(({ label, text }) => `${names[label]}\t${text}\n`)
          .join("")}\n`
    )
    .join("")
}
const roles = ["BACKGROUND", "CONCLUSIONS", "METHODS", "OBJECTIVE", "RESULTS"]
const hub = (rows: ReadonlyArray<Example>): string =>
  jsonl(
    ...rows.map(({ document, label, place, text }) => ({
      abstract_id: document,
      label: roles[label]!.toLowerCase(),
      text,
      sentence_id: place!.at
    }))
  )

/** MNLI of GLUE's zip. */
const inference: Contents = {
  "MNLI/train.tsv": lines(
    ["index", "promptID", "pairID", "genre", "p1", "p2", "s1", "s2", "sentence1", "sentence2", "label1", "gold_label"],
    [0, 1, 2, "g", "( )", "( )", "s", "s", "We left.", "We went.", "neutral", "entailment"]
  ),
  ...Object.fromEntries(
    ["matched", "mismatched"].map((kind) => [
      `MNLI/dev_${kind}.tsv`,
      lines(
        "index promptID pairID genre p1 p2 s1 s2 sentence1 sentence2 label1 label2 label3 label4 label5 gold_label".split(
          " "
        ),
        [0, 1, 2, "g", "", "", "", "", kind, "No.", "a", "b", "c", "d", "e", "contradiction"]
      )
    ])
  )
}

const forms: ReadonlyArray<Form> = [
  {
    what: "GLUE's zip: no header, quotation marks that are text",
    task: "cola",
    contents: {
      "CoLA/train.tsv": lines(["gj04", 1, "", quotes], ["gj04", 0, "*", "Him left."]),
      "CoLA/dev.tsv": lines(["gj04", 1, "", "They left."]),
      "CoLA/test.tsv": lines(["index", "sentence"], [0, "x"])
    },
    ...cola
  },
  {
    what: "JSONL of the hub",
    task: "cola",
    contents: {
      "cola/train.jsonl": jsonl({ sentence: quotes, label: 1, idx: 0 }, { sentence: "Him left.", label: 0, idx: 1 }),
      "cola/validation.jsonl.gz": gzipSync(jsonl({ sentence: "They left.", label: 1, idx: 0 }))
    },
    ...cola
  },
  {
    what: "CSV",
    task: "CoLA",
    contents: {
      "cola/train.csv": 'sentence,label,idx\n"He said ""no.",1,0\nHim left.,0,1\n',
      "cola/validation.csv": "sentence,label,idx\nThey left.,1.0,0\n"
    },
    ...cola
  },
  {
    what: "Parquet of the hub, whose labels are 64-bit integers, in shards",
    task: "cola",
    contents: {
      "glue/cola/train-00000-of-00002.parquet": parquet({ sentence: [quotes], label: [1n], idx: [0] }),
      "glue/cola/train-00001-of-00002.parquet": parquet({ sentence: ["Him left."], label: [0n], idx: [1] }),
      "glue/cola/validation-00000-of-00001.parquet": parquet({ sentence: ["They left."], label: [1n], idx: [0] })
    },
    ...cola
  },
  {
    what: "GLUE's zip, labels in words",
    task: "qnli",
    contents: {
      "QNLI/train.tsv": lines(
        ["index", "question", "sentence", "label"],
        [0, "Is it so?", "It's so.", "entailment"],
        [1, "Who?", '"Nobody.', "not_entailment"]
      ),
      "QNLI/dev.tsv": lines(["index", "question", "sentence", "label"], [0, "Why?", "Because.", "not_entailment"])
    },
    ...pairs
  },
  {
    what: "Parquet of the hub, labels by number, in a folder data",
    task: "qnli",
    contents: {
      "qnli/data/train-00000-of-00001.parquet": parquet({
        question: ["Is it so?", "Who?"],
        sentence: ["It's so.", '"Nobody.'],
        label: [0n, 1n]
      }),
      "qnli/data/validation-00000-of-00001.parquet": parquet({
        question: ["Why?"],
        sentence: ["Because."],
        label: [1n]
      })
    },
    ...pairs
  },
  {
    what: "GLUE's zip, marked with a byte order mark in one part alone",
    task: "mrpc",
    contents: {
      "MRPC/train.tsv": lines(
        ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
        [0, 1, 2, "Is it so?", "It's so."],
        [1, 3, 4, "Who?", '"Nobody.']
      ),
      "MRPC/dev.tsv": `\ufeff${lines(["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"], [1, 5, 6, "Why?", "Because."])}`
    },
    ...pairs
  },
  {
    what: "GLUE's zip with lines of three cells, which are counted",
    task: "qqp",
    contents: {
      "QQP/train.tsv": lines(
        ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
        [1, 2, 3, "Is it so?", "It's so.", 0],
        ["4", "How", "do I"],
        [1, 2, 3, "Who?", '"Nobody.', 1]
      ),
      "QQP/dev.tsv": lines(
        ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
        [1, 2, 3, "Why?", "Because.", 1]
      )
    },
    ...pairs
  },
  {
    what: "GLUE's zip: scores in the last of ten columns",
    task: "stsb",
    contents: {
      "STS-B/train.tsv": lines(
        ["index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2", "score"],
        [0, "g", "f", "2012", "1", "n", "n", "A plane.", "An air plane.", "5.000"],
        [1, "g", "f", "2012", "2", "n", "n", "A man.", 'A "cat.', "0.250"]
      ),
      "STS-B/dev.tsv": lines(
        ["index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2", "score"],
        [0, "g", "f", "2012", "1", "n", "n", "A dog.", "A frog.", "1.5"]
      )
    },
    train: [
      { text: "A plane.", pair: "An air plane.", label: 5 },
      { text: "A man.", pair: 'A "cat.', label: 0.25 }
    ],
    test: [{ text: "A dog.", pair: "A frog.", label: 1.5 }]
  },
  ...(["mnli", "mnli-matched", "mnli-mismatched"] as const).map((task) => ({
    what: "GLUE's zip: 12 columns in training, 16 in both development parts, which are pooled or stand alone",
    task,
    contents: inference,
    train: [{ text: "We left.", pair: "We went.", label: 0 }],
    test: (task === "mnli" ? ["matched", "mismatched"] : [task.slice("mnli-".length)]).map((text) => ({
      text,
      pair: "No.",
      label: 2
    }))
  })),
  {
    what: "the authors' CSV: classes from 1, a title, marks doubled",
    task: "ag-news",
    contents: {
      "ag_news_csv/train.csv": '"3","Oil","Prices rise"\n"2","A ""win""","Team wins, again"\n',
      "ag_news_csv/test.csv": '"1","Peace","Talks begin"\n'
    },
    ...news
  },
  {
    what: "Parquet of the hub: classes from 0",
    task: "ag_news",
    contents: {
      "ag_news/data/train-00000-of-00001.parquet": parquet({
        text: ["Oil Prices rise", 'A "win" Team wins, again'],
        label: [2n, 1n]
      }),
      "ag_news/data/test-00000-of-00001.parquet": parquet({ text: ["Peace Talks begin"], label: [0n] })
    },
    ...news
  },
  {
    what: "folders, with those of other texts beside them",
    task: "imdb",
    contents: {
      "aclImdb/train/neg/2_1.txt": "Bad.<br />Bad.",
      "aclImdb/train/pos/10_8.txt": "Great.",
      "aclImdb/train/pos/2_9.txt": "Good.\n",
      "aclImdb/train/unsup/0_0.txt": "What?",
      "aclImdb/train/labeledBow.feat": "9 0:9",
      "aclImdb/test/neg/0_2.txt": "Meh.",
      "aclImdb/test/urls_neg.txt": "http://x"
    },
    train: [
      { text: "Bad.<br />Bad.", label: 0 },
      { text: "Good.", label: 1 },
      { text: "Great.", label: 1 }
    ],
    test: [{ text: "Meh.", label: 0 }]
  },
  {
    what: "the authors' abstracts",
    task: "rct",
    contents: {
      "PubMed_20k_RCT/train.txt": raw(rct.train, roles),
      "PubMed_20k_RCT/dev.txt": raw(rct.test, roles),
      "PubMed_20k_RCT/test.txt": raw(rct.test, roles).replaceAll("\n", "\r\n")
    },
    ...rct
  },
  {
    what: "JSONL of the hub",
    task: "rct",
    contents: { "rct/train.jsonl": hub(rct.train), "rct/dev.jsonl": hub(rct.test), "rct/test.jsonl": hub(rct.test) },
    ...rct
  },
  {
    what: "lists of an abstract's sentences",
    task: "csabstruct",
    contents: {
      "CSAbstruct/train.jsonl": jsonl({ sentences: ["A.", "B."], labels: ["background", "result"], confs: [1, 1] }),
      "CSAbstruct/dev.jsonl": jsonl({ sentences: ["D."], labels: ["other"] }),
      "CSAbstruct/test.jsonl": jsonl({ sentences: ["C."], labels: ["method"] })
    },
    train: [role("A.", 0, "train.jsonl 1", 0, 2), role("B.", 3, "train.jsonl 1", 1, 2)],
    test: [role("C.", 2, "test.jsonl 1", 0, 1)]
  }
]

layer(NodeServices.layer)("tasks in the forms that people have", (it) => {
  for (const { contents, task, test, train, what } of forms) {
    it.effect(`${task}: ${what}`, () =>
      Effect.gen(function* () {
        const parts = yield* partsOf(contents, task)
        assert.deepStrictEqual(parts.train.examples, train)
        assert.deepStrictEqual(parts.test!.examples, test)
        assert.strictEqual(parts.train.incomplete, task === "qqp" ? 1 : 0)
      })
    )
  }

  const schema = {
    name: "triage",
    about: "which desk a letter belongs to",
    text: "body",
    label: "desk",
    labels: ["sales", ["support", "help"], "complaints"],
    metric: "macro-f1",
    files: { train: "letters" }
  }
  const letters = [
    ["Where is it?", "help", 1],
    ["How much?", "Sales", 0],
    ["It broke\tin two!", "complaints", 2]
  ] as const
  const own: ReadonlyArray<readonly [string, Contents, object]> = [
    [
      "TSV",
      { "letters.tsv": lines(["body", "desk"], ...letters.map(([text, desk]) => [text.replace("\t", " "), desk])) },
      {}
    ],
    ["CSV", { "letters.csv": `desk,body\n${letters.map(([text, desk]) => `${desk},"${text}"`).join("\n")}` }, {}],
    ["JSONL", { "letters.jsonl": jsonl(...letters.map(([body, desk]) => ({ body, desk }))) }, {}],
    ["Parquet", { "letters.parquet": parquet({ body: letters.map(([b]) => b), desk: letters.map(([, d]) => d) }) }, {}],
    [
      "TSV without a header",
      { "letters.tsv": lines(...letters.map(([text, desk]) => [desk, text.replace("\t", " ")])) },
      { text: 2, label: 1 }
    ],
    [
      "two files",
      {
        "a.jsonl": jsonl({ body: letters[0][0], desk: "support" }),
        "b.jsonl": jsonl(...letters.slice(1).map(([body, desk]) => ({ body, desk })))
      },
      { files: { train: ["a.jsonl", "b.jsonl"] } }
    ]
  ]
  for (const [what, contents, changes] of own) {
    it.effect(`one's own task by ten lines of JSON: ${what}`, () =>
      Effect.gen(function* () {
        const text = JSON.stringify({ ...schema, ...changes }, null, 2)
        const parts = yield* partsOf({ ...contents, "mine.json": text }, "mine.json")
        assert.deepStrictEqual(
          parts.train.examples.map(({ label, text }) => [text.replace("\t", " "), label]),
          letters.map(([text, , label]) => [text.replace("\t", " "), label])
        )
        assert.isUndefined(parts.test)
      })
    )
  }

  it.effect("one's own scores of pairs, by documents", () =>
    Effect.gen(function* () {
      const { label: _, labels: __, ...rest } = schema
      const given = { ...rest, text: "a", pair: "b", label: "y", document: "from", range: [-1, 1], metric: "spearman" }
      const rows = [
        { a: "x", b: "y", y: 0.5, from: 7 },
        { a: "z", b: "w", y: "-1e0", from: 8 },
        { a: "u", b: "v", y: 1, from: 7 }
      ]
      const parts = yield* partsOf({ "mine.json": JSON.stringify(given), "letters.jsonl": jsonl(...rows) }, "mine.json")
      // Sentences of a document stand together.
      assert.deepStrictEqual(parts.train.examples, [
        { text: "x", pair: "y", label: 0.5, document: "7", place: { at: 0, of: 2 } },
        { text: "u", pair: "v", label: 1, document: "7", place: { at: 1, of: 2 } },
        { text: "z", pair: "w", label: -1, document: "8", place: { at: 0, of: 1 } }
      ])
    })
  )
})

layer(NodeServices.layer)("what a manifest says of a task", (it) => {
  it.effect("each part with its hash and rows; of many files the first and the last", () =>
    Effect.gen(function* () {
      const review = (part: string, i: number) => [
        `aclImdb/${part}/${i % 2 ? "pos" : "neg"}/${i}_1.txt`,
        `review ${part} ${i}`
      ]
      const reviews = (part: string, count: number) => Array.from({ length: count }, (_, i) => review(part, i))
      const contents = Object.fromEntries([...reviews("train", 40), ...reviews("test", 4)])
      const folder = yield* folderOf(contents)
      const place = yield* Tasks.named(folder, "imdb")
      const { inputs } = yield* Tasks.make(place, { seed: Seed.make(1) })
      assert.deepStrictEqual(
        inputs.map(({ licence, name, read }) => [name, read, licence]),
        [
          ["imdb train", 40, "not stated"],
          ["imdb test", 4, "not stated"]
        ]
      )
      assert.match(inputs[0]!.source, /train\/neg\/0_1\.txt … .*train\/pos\/39_1\.txt \(40 files\)$/)
      assert.match(inputs[0]!.split.rule, /^imdb: 36 train, 4 validation, 4 test; validation 11\.1 % of rows$/)
      // One letter of one review is another data set.
      writeFileSync(join(folder, "aclImdb/train/pos/39_1.txt"), "review train 93")
      const changed = yield* Tasks.make(place, { seed: Seed.make(1) })
      assert.notStrictEqual(changed.inputs[0]!.sha256, inputs[0]!.sha256)
      assert.strictEqual(changed.inputs[1]!.sha256, inputs[1]!.sha256)
    })
  )
})

describe("known tasks", () => {
  it("have names of their own, and labels that no other label of theirs has", () => {
    assert.strictEqual(new Set(Benchmarks.all.map(({ name }) => name.replaceAll("-", ""))).size, Benchmarks.all.length)
    for (const { forms, labels = [], name, range } of Benchmarks.all) {
      assert.strictEqual(range === undefined, labels.length > 1, name)
      for (const own of [labels, ...forms.flatMap((form) => (form.labels === undefined ? [] : [form.labels]))]) {
        const names = own.flatMap((label) => label).map((label) => label.toLowerCase())
        assert.strictEqual(new Set(names).size, names.length, name)
        assert.strictEqual(own.length, labels.length, name)
      }
    }
    assert.strictEqual(Benchmarks.named("STS_B"), Benchmarks.stsb)
    assert.isUndefined(Benchmarks.named("wnli"))
  })
})
