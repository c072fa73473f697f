/** Tasks out of the addresses that are known for their files. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { dirname, join } from "node:path"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { NodeServices } from "tapweight"
import * as TaskActions from "../../../commands/TaskActions.ts"
import { Source } from "../../../common/fetch/Source.ts"
import * as Benchmarks from "../../../language/tasks/Benchmarks.ts"
import * as Read from "../../../language/tasks/Read.ts"

layer(NodeServices.layer, { excludeTestServices: true })("sources of tasks", (it) => {
  for (const { name, sources = [], ...schema } of Benchmarks.all.filter(({ sources }) => sources !== undefined)) {
    it.effect(`${name}: files are where one of its forms looks for them, at addresses that name a commit`, () =>
      Effect.gen(function* () {
        const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        for (const { file, ...source } of sources) {
          assert.strictEqual(Schema.decodeUnknownSync(Source)(source).url, source.url)
          assert.match(source.url, /^https:\/\/raw\.githubusercontent\.com\/[^/]+\/[^/]+\/[0-9a-f]{40}\//)
          mkdirSync(dirname(join(folder, file)), { recursive: true })
          writeFileSync(join(folder, file), "")
        }
        // All parts are there, and the first of them is empty: nothing else is asked for.
        const error = yield* Effect.flip(Read.read(folder, { name, ...schema }))
        assert.match(error.message, /: there is no row in it$/)
        assert.strictEqual(error.message.split(":")[0], join(folder, sources[0]!.file))
      })
    )
  }

  it.effect("are fetched into the folder of data and read once; what is there is verified", () =>
    Effect.gen(function* () {
      const content = '{"text": "a", "label": "SUBSTRATE"}\n'
      const server = createServer((_, response) => response.writeHead(200).end(content))
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x.txt`
      const to = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const files = ["train.txt", "dev.txt", "test.txt"].map((file) => `chemprot/${file}`)
      const fetch = (sha256?: string) =>
        TaskActions.fetch(
          {
            schema: {
              ...Benchmarks.chemprot,
              sources: files.map((file) => ({ file, url, ...(sha256 === undefined ? {} : { sha256 }) }))
            },
            data: to
          },
          { name: "chemprot", to, format: "json", quiet: true }
        )
      yield* fetch()
      for (const file of files) assert.isTrue(existsSync(join(to, file)))
      const error = yield* Effect.flip(fetch("0".repeat(64)))
      assert.match(error.message, /train\.txt has the SHA-256 [0-9a-f]{64} in place of 0{64}: move it away/)
    })
  )
})
