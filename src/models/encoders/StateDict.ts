/** Weights by the names that PyTorch has for them, as the hub's files hold them. */
import * as Result from "effect/Result"
import type * as NdArray from "../../dsl/values/NdArray.ts"
import { StateDictError } from "../StateDictError.ts"
import type { EncoderConfig } from "./EncoderConfig.ts"
import type { Report } from "./Places.ts"

/** Named arrays, and what stands before the names of an encoder's own. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, NdArray.NdArray>
  /** `bert.`, `roberta.`, `deberta.`, or nothing. */
  readonly prefix: string
}

/** What stands before an encoder's names in files with a head. */
export const prefixOf = ({ family }: EncoderConfig): string => (family === "deberta-v2" ? "deberta." : `${family}.`)

/** Normalisations of checkpoints of 2018 and 2019 call their scale gamma and their offset beta. */
const present = (name: string): string =>
  name.replace(/(LayerNorm|layer_norm)\.gamma$/, "$1.weight").replace(/(LayerNorm|layer_norm)\.beta$/, "$1.bias")

/** A state dict from what a file holds. */
export const make = (config: EncoderConfig, tensors: ReadonlyMap<string, NdArray.NdArray>): StateDict => {
  const prefix = prefixOf(config)
  const renamed = new Map([...tensors].map(([name, array]) => [present(name), array]))
  const own = renamed.has(`${prefix}embeddings.word_embeddings.weight`)
  return { tensors: renamed, prefix: own || !renamed.has("embeddings.word_embeddings.weight") ? prefix : "" }
}

/** What was read, unless anything is missing, left over or misshapen. */
export const checked = <P>(
  [params, { missing, misshapen }]: readonly [params: P, report: Report],
  extra: ReadonlyArray<string>,
  remedy: string
): Result.Result<P, StateDictError> =>
  missing.length + misshapen.length + extra.length === 0
    ? Result.succeed(params)
    : Result.fail(new StateDictError({ missing, extra, misshapen, remedy }))
