import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import { FileHash, JsonFile, type Manifest } from "tapweight"

type Data = typeof Manifest.Data.Type

const unstated = "not stated"

const hashOf = (file: string) =>
  Effect.tryPromise({ try: () => FileHash.sha256(file), catch: (error) => JsonFile.because(file)(error as Error) })

/** Files in words: the first and the last of many. */
const said = (files: ReadonlyArray<string>): string =>
  files.length <= 8 ? files.join(", ") : `${files[0]} … ${files.at(-1)} (${files.length} files)`

/** The hash of several files in order; of one alone its own. */
const hashOfAll = (files: ReadonlyArray<string>) =>
  Effect.map(Effect.forEach(files, hashOf), (hashes) =>
    hashes.length === 1 ? hashes[0]! : hash("sha256", hashes.join("\n"))
  )

/**
 * What a run's manifest says of a table or text that it reads, in one file or several. Its licence is not stated where nobody says: most
 * tables come without. Fails with a `RunFileError` where a file cannot be read.
 */
export const ofFiles = ({
  files,
  licence = unstated,
  ...rest
}: Pick<Data, "dropped" | "name" | "read" | "split" | "version"> & {
  readonly files: ReadonlyArray<string>
  readonly licence?: string | undefined
}) => Effect.map(hashOfAll(files), (sha256): Data => ({ ...rest, sha256, licence, source: said(files) }))

/** {@link ofFiles} of one. */
export const ofFile = ({ file, ...rest }: Omit<Parameters<typeof ofFiles>[0], "files"> & { readonly file: string }) =>
  ofFiles({ ...rest, files: [file] })

/** What a run's manifest says of a file of weights. Fails as {@link ofFile} does. */
export const ofWeights = (file: string) =>
  Effect.map(hashOf(file), (sha256): Manifest.Inputs["weights"][number] => ({ file, sha256, licence: unstated }))
