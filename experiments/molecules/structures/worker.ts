/** A worker thread of `Chemistry`: turns lists of SMILES into records. */
import { parentPort } from "node:worker_threads"
import * as Rdkit from "./Rdkit.ts"
import { type Kind, label, type Packed, pack } from "./Records.ts"
import { SvgError } from "./Svg.ts"

/** What a worker is asked for. */
export interface Request {
  readonly id: number
  readonly kind: Kind
  readonly smiles: ReadonlyArray<string>
}
/** What it answers. */
export interface Answer {
  readonly id: number
  readonly packed: Packed
}

const port = parentPort!
let rdkit = await Rdkit.load()
const recorders = new Map<string, ReturnType<typeof Rdkit.recorder>>()

const recorder = (kind: Kind): ReturnType<typeof Rdkit.recorder> => {
  const found = recorders.get(label(kind)) ?? Rdkit.recorder(rdkit, kind)
  recorders.set(label(kind), found)
  return found
}

/** Undefined where RDKit chokes, which may leave it unusable, and so is started anew. */
const attempt = async (kind: Kind, smiles: string): Promise<Uint8Array | undefined> => {
  try {
    return recorder(kind)(smiles)
  } catch (error) {
    if (error instanceof SvgError) throw error
    rdkit = await Rdkit.load()
    recorders.clear()
    return undefined
  }
}

// The first time it may be the molecule before that RDKit choked on.
const record = async (kind: Kind, smiles: string): Promise<Uint8Array> =>
  (await attempt(kind, smiles)) ?? (await attempt(kind, smiles)) ?? new Uint8Array(0)

port.on("message", async ({ id, kind, smiles }: Request) => {
  const records: Array<Uint8Array> = []
  for (const one of smiles) records.push(await record(kind, one))
  const packed = pack(records)
  port.postMessage({ id, packed } satisfies Answer, [packed.bytes.buffer, packed.lengths.buffer])
})
