/** Columns of Parquet files, a row group at a time. */
import { open } from "node:fs/promises"
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib"
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects
} from "hyparquet"
import type * as Stream from "effect/Stream"
import { TableError } from "./TableError.ts"
import * as TextFile from "./TextFile.ts"

/** Rows of a row group by the names of their columns, and the number of the first, counted from 1. */
export interface Group {
  readonly rows: ReadonlyArray<{ readonly [column: string]: unknown }>
  readonly first: number
}

/** What Node unpacks beside the Snappy of hyparquet itself. */
const compressors: Compressors = {
  GZIP: (bytes) => gunzipSync(bytes),
  ZSTD: (bytes) => zstdDecompressSync(bytes),
  BROTLI: (bytes) => brotliDecompressSync(bytes)
}

const decoder = new TextDecoder("utf-8", { fatal: true })
const parsers = { stringFromBytes: (bytes: Uint8Array | undefined) => bytes && decoder.decode(bytes) }

const broken = (file: string, error: unknown): TableError => {
  if (error instanceof TableError) return error
  const { code, message } = error as Error & { readonly code?: string }
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA")
    return new TableError({ file, problem: "encoding", reason: "a text in it is not UTF-8: write it anew" })
  const unsupported = /unsupported compression codec: (\w+)/.exec(message)
  if (unsupported !== null) {
    const reason = `it is compressed with ${unsupported[1]}: write it with zstd, snappy, gzip, brotli or uncompressed`
    return new TableError({ file, problem: "unreadable", reason })
  }
  const reason = `it is no Parquet file, cut short or damaged (${message}): fetch or write it again`
  return new TableError({ file, problem: "unreadable", reason })
}

async function* groups(
  file: string,
  columnsOf: (names: ReadonlyArray<string>) => ReadonlyArray<string>
): AsyncGenerator<Group> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const buffer: AsyncBuffer = {
      byteLength: size,
      slice: async (start, end = size) => {
        const bytes = new Uint8Array(end - start)
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
        if (bytesRead < bytes.length) throw new Error(`${bytesRead} of ${bytes.length} bytes are there`)
        return bytes.buffer
      }
    }
    const attempt = async <A>(read: () => Promise<A>): Promise<A> => {
      try {
        return await read()
      } catch (error) {
        throw broken(file, error)
      }
    }
    const metadata: FileMetaData = await attempt(() => parquetMetadataAsync(buffer))
    const names = metadata.schema.slice(1).map(({ name }) => name)
    const columns = [...columnsOf(names)]
    let rowStart = 0
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows)
      const options = { file: buffer, metadata, columns, rowStart, rowEnd, compressors, parsers }
      yield { rows: await attempt(() => parquetReadObjects(options)), first: rowStart + 1 }
      rowStart = rowEnd
    }
  } finally {
    await handle.close()
  }
}

/**
 * The rows of a Parquet file with the columns that are chosen from its names. Fails with a `TableError` on a file that is none, is cut
 * short or compressed otherwise than with Snappy, gzip, Zstandard or Brotli.
 */
export const rows = (
  file: string,
  columnsOf: (names: ReadonlyArray<string>) => ReadonlyArray<string>
): Stream.Stream<Group, TableError> => TextFile.streamed(file, () => groups(file, columnsOf))
