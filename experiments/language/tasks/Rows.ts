/** A task's rows out of files: rows of tables, abstracts, folders of texts. */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { isUtf8 } from "node:buffer"
import { basename, join } from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Records from "../../common/tables/Records.ts"
import { type At, TableError } from "../../common/tables/TableError.ts"
import * as TextFile from "../../common/tables/TextFile.ts"
import type { Format, Layout } from "./TaskSchema.ts"

/** A text and its label as a file has them: not looked at yet. */
export interface Row {
  readonly text: unknown
  readonly pair?: unknown
  readonly label: unknown
  readonly document?: string
  readonly file: string
  readonly at: At
}

type Rows = Stream.Stream<ReadonlyArray<Row>, TableError>

/** A cell that says which document a row belongs to. */
const documentOf = (cell: unknown): string | undefined =>
  cell === undefined || cell === null || cell === "" ? undefined : String(cell)

/** The rows of a document whose sentences and labels are lists in one cell each. */
const listed = (
  file: string,
  at: At,
  texts: ReadonlyArray<unknown>,
  labels: unknown
): ReadonlyArray<Row> | TableError => {
  const document = [basename(file), ...Object.values(at)].join(" ")
  if (Array.isArray(labels) && labels.length === texts.length)
    return texts.map((text, i) => ({ text, label: labels[i], document, file, at }))
  const count = Array.isArray(labels) ? `${labels.length} labels` : "no list of labels"
  const reason = `the row has ${texts.length} texts and ${count}: give each text a label`
  return new TableError({ file, problem: "row", ...at, reason })
}

/** A title before its text. */
const joined = (title: unknown, text: unknown): unknown =>
  typeof title === "string" && title.trim() !== "" && typeof text === "string" ? `${title.trim()} ${text.trim()}` : text

const ofTable = (file: string, format: Records.Format, { document, label, pair, text, title }: Layout): Rows =>
  Stream.mapEffect(Records.records(file, format, { text, title, pair, label, document }), (records) => {
    const rows: Array<Row> = []
    for (const { at, cells } of records) {
      if (Array.isArray(cells.text)) {
        const own = listed(file, at, cells.text, cells.label)
        if (own instanceof TableError) return Effect.fail(own)
        rows.push(...own)
        continue
      }
      const of = documentOf(cells.document)
      rows.push({
        text: joined(cells.title, cells.text),
        label: cells.label,
        ...(pair === undefined ? {} : { pair: cells.pair }),
        ...(of === undefined ? {} : { document: of }),
        file,
        at
      })
    }
    return Effect.succeed(rows)
  })

/** Lines `label TAB sentence` under a line `###id`, as PubMed RCT and NICTA-PIBOSO are published. */
const ofAbstracts = (file: string): Rows =>
  Stream.mapAccumEffect(
    TextFile.lines(file),
    () => undefined as string | undefined,
    (state, chunk) => {
      let document = state
      const rows: Array<Row> = []
      for (const { line, text: whole } of chunk) {
        const text = whole.trim()
        if (text === "") continue
        if (text.startsWith("###")) {
          document = text.slice(3).trim()
          continue
        }
        const [label, ...rest] = text.split("\t")
        const wrong = (reason: string) => Effect.fail(new TableError({ file, problem: "row", line, reason }))
        if (document === undefined) return wrong("a sentence stands before the first abstract: a line ###id begins one")
        if (rest.length === 0) return wrong("there is no tab between a label and its sentence")
        rows.push({ text: rest.join(" "), label, document, file, at: { line } })
      }
      return Effect.succeed([document, [rows]] as const)
    }
  )

const isFolder = (path: string): boolean => statSync(path).isDirectory()

/** A folder for each label that holds a text in each file, as aclImdb is published; labels that nobody asks for are passed over. */
async function* inFolders(folder: string, wanted: (label: string) => boolean): AsyncGenerator<ReadonlyArray<Row>> {
  if (!isFolder(folder)) {
    throw new TableError({
      file: folder,
      problem: "unreadable",
      reason: "it is a file, and a folder with a folder for each label is wanted"
    })
  }
  const labels = readdirSync(folder).filter((name) => wanted(name) && isFolder(join(folder, name)))
  // By their numbers: 2_7.txt before 10_8.txt.
  const order = new Intl.Collator("en", { numeric: true }).compare
  for (const label of labels.sort(order)) {
    for (const name of readdirSync(join(folder, label))
      .filter((name) => name.endsWith(".txt"))
      .sort(order)) {
      const file = join(folder, label, name)
      const bytes = readFileSync(file)
      if (!isUtf8(bytes))
        throw new TableError({ file, problem: "encoding", reason: "it is not UTF-8: save it as UTF-8" })
      yield [{ text: bytes.toString("utf8"), label, file, at: {} }]
    }
  }
}

/** The rows of a file, or of a folder, in chunks. `wanted` tells names of labels from other folders. */
export const rows = (file: string, format: Format, layout: Layout, wanted: (label: string) => boolean): Rows => {
  if (format === "abstracts") return ofAbstracts(file)
  if (format === "folders") return TextFile.streamed(file, () => inFolders(file, wanted))
  return ofTable(file, format, layout)
}
