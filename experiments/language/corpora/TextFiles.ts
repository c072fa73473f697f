/** Corpora out of files: text, JSONL, CSV, TSV or Parquet, gzipped or not. */
import { existsSync, readdirSync, statSync } from "node:fs"
import { basename, join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Column } from "../../common/tables/Column.ts"
import * as Records from "../../common/tables/Records.ts"
import { TableError } from "../../common/tables/TableError.ts"
import * as TextFile from "../../common/tables/TextFile.ts"
import * as Files from "../tasks/Files.ts"
import type { Corpus, Document } from "./Corpus.ts"

/**
 * What a line or a row is: a `sentence` of the document that blank lines end, a `document` whose sentences are to be told, or a text that
 * stands `alone`.
 */
export const Unit = Schema.Literals(["sentence", "document", "alone"])
export type Unit = typeof Unit.Type

export interface Options {
  readonly unit?: Unit
  /** The column of a text in files that have columns: `text`, `sentence`, `content` or `sentences` where absent. */
  readonly column?: Column
}

type Documents = Stream.Stream<ReadonlyArray<Document>, TableError>

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" })

/** The sentences of a text by Unicode's rules (UAX 29) for English; an end of line ends a sentence. */
export const sentencesOf = (text: string): ReadonlyArray<string> =>
  Array.from(segmenter.segment(text), ({ segment }) => segment.trim()).filter((sentence) => sentence !== "")

/** Sentences that a document has at most: lines without a blank one among them are a document each so many. */
export const longest = 512

const isBlank = (text: string): boolean => text.trim() === ""

/** Lines as sentences; blank ones end documents. */
const bySentence = (lines: Stream.Stream<ReadonlyArray<TextFile.Line>, TableError>): Documents =>
  Stream.mapAccum(
    lines,
    () => [] as Array<string>,
    (open, chunk) => {
      const documents: Array<Document> = []
      let sentences = open
      const close = (): void => {
        if (sentences.length > 0) documents.push({ sentences })
        sentences = []
      }
      for (const { text } of chunk) {
        if (isBlank(text)) {
          close()
          continue
        }
        sentences.push(text.trim())
        if (sentences.length === longest) close()
      }
      return [sentences, [documents]] as const
    },
    { onHalt: (sentences) => (sentences.length === 0 ? [] : [[{ sentences }]]) }
  )

const one: { readonly [U in Exclude<Unit, "sentence">]: (text: string) => ReadonlyArray<string> } = {
  document: sentencesOf,
  alone: (text) => [text.trim()]
}

const ofLines = (file: string, unit: Unit): Documents =>
  unit === "sentence"
    ? bySentence(TextFile.lines(file))
    : Stream.map(TextFile.lines(file), (chunk) =>
        chunk.flatMap(({ text }) => (isBlank(text) ? [] : [{ sentences: one[unit](text) }]))
      )

const usual = ["text", "sentence", "content", "sentences"] as const

/** Rows of a table: lists are documents of their sentences, texts are what the unit says; a `sentence` stands alone here. */
const ofTable = (file: string, format: Records.Format, { column = usual, unit = "sentence" }: Options): Documents =>
  Stream.mapEffect(Records.records(file, format, { text: column }), (records) => {
    const documents: Array<Document> = []
    for (const {
      at,
      cells: { text }
    } of records) {
      if (text === undefined || text === null) continue
      const list = Array.isArray(text) ? text : undefined
      if (!(list ?? [text]).every((part) => typeof part === "string")) {
        const reason = `a text or a list of texts is wanted, and there is ${JSON.stringify(text).slice(0, 60)}`
        return Effect.fail(new TableError({ file, problem: "value", ...at, reason }))
      }
      const sentences =
        list === undefined
          ? one[unit === "sentence" ? "alone" : unit](text as string)
          : (list as ReadonlyArray<string>).map((sentence) => sentence.trim())
      const own = sentences.filter((sentence) => sentence !== "")
      if (own.length > 0) documents.push({ sentences: own })
    }
    return Effect.succeed(documents)
  })

/** The documents of one file; its ending tells its format, and what tells none is text. */
const ofFile = (file: string, options: Options): Documents => {
  const format = Files.formatOf(file)
  if (format === undefined || format === "abstracts" || format === "folders")
    return ofLines(file, options.unit ?? "sentence")
  return ofTable(file, format, options)
}

/** The files that a path stands for: itself, or those of a folder by their names. */
const filesOf = (path: string): ReadonlyArray<string> | TableError => {
  if (!existsSync(path)) return new TableError({ file: path, problem: "missing", reason: "there is no such file" })
  if (!statSync(path).isDirectory()) return [path]
  const files = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map(({ name }) => name)
  if (files.length === 0)
    return new TableError({ file: path, problem: "empty", reason: "there is no file in the folder" })
  return files.sort(new Intl.Collator("en", { numeric: true }).compare).map((name) => join(path, name))
}

/**
 * The corpus of a file or of a folder's files. Fails with a `TableError` where there is none; its documents fail with one where a file
 * is not text, is cut short or lacks its column.
 */
export const corpus = Effect.fnUntraced(function* (path: string, options: Options = {}) {
  const files = filesOf(path)
  if (files instanceof TableError) return yield* files
  const documents = Stream.flatMap(Stream.fromIterable(files), (file) => ofFile(file, options))
  return {
    name: basename(path),
    documents: Stream.filter(documents, (chunk) => chunk.length > 0),
    files
  } satisfies Corpus as Corpus
})
