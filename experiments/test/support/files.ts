import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { parquetWriteBuffer } from "hyparquet-writer"

/** Files by their paths in a folder. */
export type Contents = { readonly [path: string]: string | Uint8Array }

/** A folder with these files, gone when the scope ends. */
export const folderOf = (contents: Contents) =>
  Effect.gen(function* () {
    const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
    for (const [path, content] of Object.entries(contents)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), content)
    }
    return folder
  })

/** A Parquet file of these columns. */
export const parquet = (columns: { readonly [name: string]: ReadonlyArray<unknown> }, options = {}): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: Object.entries(columns).map(([name, data]) => ({ name, data: [...data] })),
      ...options
    })
  )
