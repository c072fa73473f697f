import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { type Dataset, Seed, Split } from "tapweight"
import * as Brown from "./Corpus.ts"
import * as Passages from "../text/Passages.ts"
import * as Vocabulary from "../text/Vocabulary.ts"

/** Genre classification on few labels: what the experiment's methods share. */
export interface Task extends Split.Split<Passages.Rows> {
  readonly vocabulary: Vocabulary.Vocabulary
  /** Documents that pretraining may read: all but the test part. */
  readonly unlabelled: ReadonlyArray<Brown.Document>
  readonly classes: number
}

/** Sizes of a task. */
export interface Options {
  readonly vocabulary: number
  /** Tokens of a passage. */
  readonly length: number
  /** Labelled passages of each genre. */
  readonly perGenre: { readonly train: number; readonly validation: number; readonly test: number }
}

/** The task of one seed: documents are split anew, so that seeds differ in data as well as in initial values. */
export const make = (options: Options, seed: number): Effect.Effect<Task, Dataset.DataError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const documents = yield* Brown.corpus
    const root = Seed.fold(Seed.make(seed), "task")
    const split = Passages.split(Seed.fold(root, "split"), documents, { validation: 0.2, test: 0.25 })
    const vocabulary = Vocabulary.make(split.unlabelled, options.vocabulary)
    const rows = yield* Split.mapEffect(split, (documents, part) =>
      Passages.labelled(Seed.fold(root, part), vocabulary, documents, {
        length: options.length,
        perGenre: options.perGenre[part]
      })
    )
    return {
      vocabulary,
      unlabelled: split.unlabelled,
      ...rows,
      classes: Brown.genreNames.length
    }
  })
