/** Where a task's files are. */
import { existsSync, readdirSync, statSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { TableError } from "../../common/tables/TableError.ts"
import { type Column, namesOf } from "../../common/tables/Column.ts"
import type { Files, Form, Format } from "./TaskSchema.ts"

const endings: ReadonlyArray<readonly [ending: string, format: Format | undefined]> = [
  [".tsv", "tsv"],
  [".csv", "csv"],
  [".jsonl", "jsonl"],
  [".ndjson", "jsonl"],
  [".json", "jsonl"],
  [".parquet", "parquet"],
  // Lines of what, only a schema says.
  [".txt", undefined]
]

/** The format that a file's name tells. */
export const formatOf = (file: string): Format | undefined => {
  const name = basename(file).toLowerCase().replace(/\.gz$/, "")
  return endings.find(([ending]) => name.endsWith(ending))?.[1]
}

const shard = /-(\d{5})-of-(\d{5})\.parquet$/

/** The shards `NAME-00000-of-00002.parquet` … in a folder; an error where some lack. */
const shardsOf = (folder: string, name: string): ReadonlyArray<string> | TableError => {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return []
  const own = readdirSync(folder)
    .filter((file) => shard.test(file) && file.replace(shard, "") === name)
    .sort()
  const count = Number(shard.exec(own[0] ?? "")?.[2] ?? 0)
  if (own.length === count) return own.map((file) => join(folder, file))
  const reason = `${own.length} of ${count} parts of '${name}' are here: fetch the others into this folder`
  return new TableError({ file: folder, problem: "missing", reason })
}

/** The files that a name stands for in a folder: one, or the shards of one; none where there is none. */
const under = (folder: string, name: string): ReadonlyArray<string> | TableError => {
  const path = join(folder, name)
  const file = [path, ...endings.flatMap(([ending]) => [`${path}${ending}`, `${path}${ending}.gz`])].find(existsSync)
  if (file !== undefined) return [file]
  const [parent, own] = [dirname(path), basename(path)]
  const shards = shardsOf(parent, own)
  return shards instanceof TableError || shards.length > 0 ? shards : shardsOf(join(parent, "data"), own)
}

const groupsOf = (files: Files): ReadonlyArray<Column> => (typeof files === "string" ? [files] : files)

/** The files of one part by the first names that are there; undefined where one of them is not. */
export const find = (folder: string, files: Files): ReadonlyArray<string> | TableError | undefined => {
  const all: Array<string> = []
  for (const group of groupsOf(files)) {
    let own: ReadonlyArray<string> = []
    for (const name of namesOf(group)) {
      if (own.length > 0) break
      const found = under(folder, name)
      if (found instanceof TableError) return found
      own = found
    }
    if (own.length === 0) return undefined
    all.push(...own)
  }
  return all
}

/** The folders that a form's files may be in, from a folder of data. */
export const foldersOf = (data: string, { folders = ["."] }: Pick<Form, "folders">): ReadonlyArray<string> =>
  folders.map((folder) => join(data, folder))

/** A part's files in words. */
export const said = (files: Files): string =>
  groupsOf(files)
    .map((group) => namesOf(group).join(" or "))
    .join(", ")
