/** Unlabelled text: documents, each a list of sentences in order, as a stream that may be larger than memory. */
import * as Stream from "effect/Stream"
import type { TableError } from "../../common/tables/TableError.ts"
import type { Example } from "../tasks/Task.ts"

/** Sentences in the order in which they stand; at least one. */
export interface Document {
  readonly sentences: ReadonlyArray<string>
}

/** Documents in chunks, each time the same in the same order. */
export interface Corpus {
  readonly name: string
  readonly documents: Stream.Stream<ReadonlyArray<Document>, TableError>
  /** The files that it is read from; none where its text is in memory. */
  readonly files: ReadonlyArray<string>
  readonly licence?: string
}

/** A corpus of documents in memory. */
export const ofDocuments = (name: string, documents: ReadonlyArray<Document>): Corpus => ({
  name,
  documents: documents.length === 0 ? Stream.empty : Stream.make(documents),
  files: []
})

/**
 * The text of labelled examples: sentences of one document stand together in their order, every other text is a document, and so is
 * the other text of a pair.
 */
export const ofExamples = (name: string, examples: ReadonlyArray<Example>): Corpus => {
  const documents: Array<{ readonly sentences: Array<string> }> = []
  let last: string | undefined
  for (const { document, pair, text } of examples) {
    if (document !== undefined && document === last) documents.at(-1)!.sentences.push(text)
    else documents.push({ sentences: [text] })
    if (pair !== undefined) documents.push({ sentences: [pair] })
    last = document
  }
  return ofDocuments(name, documents)
}
