import * as Effect from "effect/Effect"
import { FileHash, JsonFile, type Manifest } from "tapweight"

type Data = typeof Manifest.Data.Type

const unstated = "not stated"

const hashOf = (file: string) =>
  Effect.tryPromise({ try: () => FileHash.sha256(file), catch: (error) => JsonFile.because(file)(error as Error) })

/**
 * What a run's manifest says of a table that it reads. Its licence is not stated: MoleculeNet's tables come without. Fails
 * with a `RunFileError` where the file cannot be read.
 */
export const ofFile = ({
  file,
  ...rest
}: Pick<Data, "dropped" | "name" | "read" | "split" | "version"> & { readonly file: string }) =>
  Effect.map(hashOf(file), (sha256): Data => ({
    ...rest,
    sha256,
    licence: unstated,
    source: file
  }))

/** What a run's manifest says of a file of weights. Fails as {@link ofFile} does. */
export const ofWeights = (file: string) =>
  Effect.map(hashOf(file), (sha256): Manifest.Inputs["weights"][number] => ({ file, sha256, licence: unstated }))
