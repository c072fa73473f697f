/** What is wrong with a task's files or schema is said with the place and what to change. */
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NodeServices, Seed } from "tapweight"
import * as Tasks from "../../../language/tasks/Tasks.ts"
import { type Contents, folderOf, parquet } from "../../support/files.ts"

const schema = {
  name: "mine",
  about: "a test",
  text: "body",
  label: "desk",
  labels: ["sales", "help"],
  metric: "accuracy",
  files: { train: "a" }
}
const csv = "body,desk\nOne?,sales\nTwo!,help\nThree,sales\n"

interface Broken {
  readonly what: string
  readonly contents: Contents
  /** What the schema has otherwise, or a known task's name. */
  readonly schema?: object | string
  readonly tag?: string
  readonly message: RegExp
}

const broken: ReadonlyArray<Broken> = [
  { what: "no file", contents: {}, message: /the training part of 'mine' is not here; looked for .*: a \(/ },
  {
    what: "a known task that is not there",
    contents: {},
    schema: "cola",
    message: /the training part of 'cola' is not here; looked for .*CoLA: train.tsv or train.tsv.gz; /
  },
  {
    what: "no development part beside training",
    contents: { "SST-2/train.tsv": "sentence\tlabel\na\t1\n" },
    schema: "sst-2",
    message: /the test part of 'sst-2' is dev or validation, and it is not beside .*train.tsv/
  },
  {
    what: "one shard of two",
    contents: { "qnli/train-00000-of-00002.parquet": parquet({ question: ["a"] }) },
    schema: "qnli",
    message: /1 of 2 parts of 'train' are here: fetch the others/
  },
  {
    what: "a name of no task",
    contents: {},
    schema: "wnli",
    tag: "DataError",
    message: /no task of this name is known; known are cola, /
  },
  { what: "an empty file", contents: { "a.csv": "" }, message: /a.csv: there is no row in it/ },
  { what: "a header alone", contents: { "a.csv": "body,desk\n" }, message: /there is no row in it/ },
  {
    what: "a missing column",
    contents: { "a.csv": "text,desk\nx,help\n" },
    message: /no column 'body'; there are 'text', 'desk'/
  },
  {
    what: "a key that rows lack",
    contents: { "a.jsonl": '{"body":"x","desk":"help"}\n{"body":"y"}\n' },
    message: /a.jsonl, line 2: there is no key 'desk'; there are 'body'/
  },
  {
    what: "two columns of one name",
    contents: { "a.csv": "body,desk,desk\nx,help,help\n" },
    message: /two columns are called 'desk'/
  },
  {
    what: "an unknown label",
    contents: { "a.csv": `${csv}Four,hlep\n` },
    message: /line 5: the label 'hlep' is none of 'sales', 'help': add it to a label's names/
  },
  {
    what: "numbers where labels have names",
    contents: { "a.csv": "body,desk\nx,1\n" },
    message: /line 2: the label '1' is none of 'sales', 'help': add it .* as \["sales", …\]/
  },
  {
    what: "withheld labels",
    contents: { "a.jsonl": '{"body":"x","desk":-1}\n' },
    message: /-1 stands where labels are withheld: .* take the validation file/
  },
  {
    what: "an empty text",
    contents: { "a.csv": `${csv} ,help\n` },
    message: /line 5: the row lacks a cell, its text or its label: mend or remove it, or let 'incomplete'/
  },
  {
    what: "more incomplete rows than may be",
    contents: { "a.tsv": "id\tbody\tdesk\n1\tx\thelp\n2\n3\ty\n" },
    schema: { incomplete: 1 },
    message: /a.tsv, line 4: the row lacks a cell, .*, and 1 such rows may be/
  },
  {
    what: "a row that is long",
    contents: { "a.tsv": "body\tdesk\nx\thelp\ty\n" },
    message: /line 2: the row has 3 cells where the first has 2/
  },
  {
    what: "an open quotation",
    contents: { "a.csv": `${csv}"Four,help\nFive,help\n` },
    message: /quotation marks do not match/
  },
  {
    what: "Latin-1",
    contents: { "a.csv": Buffer.from(`${csv}Fünf,help\n`, "latin1") },
    message: /line 5: it is not UTF-8: save the file as UTF-8/
  },
  {
    what: "half a gzip file",
    contents: { "a.csv.gz": gzipSync(csv.repeat(99)).subarray(0, 50) },
    message: /a.csv.gz: the gzip stream is cut short or damaged/
  },
  {
    what: "half a Parquet file",
    contents: { "a.parquet": parquet({ body: ["x"], desk: ["help"] }).subarray(0, 60) },
    message: /a.parquet: it is no Parquet file, cut short or damaged/
  },
  {
    what: "a label of Parquet that is none",
    contents: { "a.parquet": parquet({ body: ["x", "y"], desk: [0n, 1n] }) },
    schema: {
      labels: [
        ["sales", "1"],
        ["help", "2"]
      ]
    },
    message: /a.parquet, row 1: the label '0' is none of 'sales'\/'1', 'help'\/'2'/
  },
  {
    what: "broken JSON",
    contents: { "a.jsonl": '{"body":"x","desk":"help"}\n{"body":"y"\n' },
    message: /line 2: the line is no JSON/
  },
  {
    what: "one JSON array",
    contents: { "a.json": '[\n{"body":"x"}\n]' },
    message: /line 1: the file is one JSON array; a row a line is wanted/
  },
  {
    what: "a text that is a number",
    contents: { "a.jsonl": '{"body":7,"desk":"help"}' },
    message: /line 1: a text is wanted, and '7' is a number/
  },
  {
    what: "sentences with too few labels",
    contents: { "a.jsonl": '{"body":["x","y"],"desk":["help"]}' },
    message: /line 1: the row has 2 texts and 1 labels: give each text a label/
  },
  {
    what: "a score that is a word, with its range",
    contents: { "a.csv": "body,desk\nx,high\n" },
    schema: { labels: undefined, range: [0, 5], metric: "pearson" },
    message: /line 2: the score 'high' is not a number/
  },
  {
    what: "a score beyond its range",
    contents: { "a.csv": "body,desk\nx,5.01\n" },
    schema: { labels: undefined, range: [0, 5], metric: "pearson" },
    message: /line 2: the score '5.01' is not in 0 to 5/
  },
  {
    what: "a place beyond the columns",
    contents: { "a.tsv": "x\thelp\n" },
    schema: { text: 1, label: 3 },
    message: /column 3 is asked for, and the first row has 2 cells/
  },
  {
    what: "a sentence before any abstract",
    contents: { "a.txt": "help\tx\n" },
    schema: { text: undefined, label: undefined, format: "abstracts" },
    message: /line 1: a sentence stands before the first abstract: a line ###id begins one/
  },
  {
    what: "an abstract's line without a tab",
    contents: { "a.txt": "###1\nhelp\tx\nhelp y\n" },
    schema: { text: undefined, label: undefined, format: "abstracts" },
    message: /line 3: there is no tab between a label and its sentence/
  },
  {
    what: "a folder without the labels' folders",
    contents: { "a/positive/1.txt": "x" },
    schema: { text: undefined, label: undefined, format: "folders" },
    message: /there is no row in it/
  },
  {
    what: "columns of a text file",
    contents: { "a.txt": csv },
    message: /a.txt: its name does not tell its format: let it end in/
  },
  {
    what: "an ending that tells nothing",
    contents: { "a.dat": csv },
    schema: { files: { train: "a.dat" } },
    message: /a.dat: its name does not tell its format: let it end in/
  },
  {
    what: "too few rows",
    contents: { "a.csv": csv },
    tag: "DataError",
    message: /its validation part is empty \(3 rows for training/
  },
  {
    what: "a schema with a key that is none",
    contents: { "a.csv": csv },
    schema: { Label: "x" },
    tag: "RunFileError",
    message: /mine.json: [^]*Label/
  },
  {
    what: "a schema without a column",
    contents: { "a.csv": csv },
    schema: { text: undefined },
    tag: "RunFileError",
    message: /expected the columns 'text' and 'label'/
  },
  {
    what: "a schema of one label",
    contents: { "a.csv": csv },
    schema: { labels: ["sales"] },
    tag: "RunFileError",
    message: /at least two labels/
  },
  {
    what: "a label that is named twice",
    contents: { "a.csv": csv },
    schema: { labels: ["sales", ["help", "SALES"]] },
    tag: "RunFileError",
    message: /label 'sales' is named twice/
  },
  {
    what: "neither labels nor a range",
    contents: { "a.csv": csv },
    schema: { labels: undefined },
    tag: "RunFileError",
    message: /either 'labels', the classes, or 'range'/
  },
  {
    what: "a metric of scores for classes",
    contents: { "a.csv": csv },
    schema: { metric: "pearson" },
    tag: "RunFileError",
    message: /classes are not measured with pearson: take accuracy/
  },
  {
    what: "F1 of three classes",
    contents: { "a.csv": csv },
    schema: { labels: ["a", "b", "c"], metric: "f1" },
    tag: "RunFileError",
    message: /there are 3: take macro-f1/
  },
  {
    what: "columns for a format without them",
    contents: { "a.csv": csv },
    schema: { format: "folders" },
    tag: "RunFileError",
    message: /the format 'folders' have no columns/
  },
  {
    what: "names and places of columns mixed",
    contents: { "a.csv": csv },
    schema: { label: 2 },
    tag: "RunFileError",
    message: /either names or places for all columns/
  }
]

layer(NodeServices.layer)("a broken task is refused", (it) => {
  for (const { contents, message, schema: changes = {}, tag = "TableError", what } of broken) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const mine = JSON.stringify({ ...schema, ...(typeof changes === "string" ? {} : changes) })
        const folder = yield* folderOf({ ...contents, "mine.json": mine })
        const name = typeof changes === "string" ? changes : join(folder, "mine.json")
        const error = yield* Effect.flip(
          Effect.flatMap(Tasks.named(folder, name), (place) => Tasks.make(place, { seed: Seed.make(1) }))
        )
        assert.strictEqual(error._tag, tag, error.message)
        assert.match(error.message, message)
      })
    )
  }
})
