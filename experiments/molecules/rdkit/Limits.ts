/**
 * How large a molecule may be. RDKit's time and stack grow with atoms and rings: a chain of 700 atoms hangs it, and grids of
 * some hundred rings keep it busy for seconds. Atoms and rings are counted in the text, so that what is
 * dropped by them is the same everywhere; the limit of time is for what else is slow.
 */
import type { Drop } from "./Descriptor.ts"

export interface Limits {
  /** Atoms that are written, hydrogens in brackets included. */
  readonly atoms: number
  /** Ring closures that are written: the rings of a connected molecule. */
  readonly rings: number
  /** Seconds of processor time for one description of a molecule. */
  readonly seconds: number
}

/** Above every molecule of ten of MoleculeNet's sets: the largest, of SIDER, has 492 atoms, and one of HIV 48 rings. */
export const defaults: Limits = { atoms: 512, rings: 64, seconds: 20 }

const bracket = /\[[^\]]*\]?/g
const organic = /Cl|Br|[BCNOPSFIbcnops*]/g
const closure = /%\(\d*\)|%\d\d|\d/g

/** Which limit a molecule is beyond by its text, if any. */
export const excess = (smiles: string, { atoms, rings }: Limits): Drop | undefined => {
  // What follows a space is a name or an extension.
  const [graph] = smiles.split(/\s/, 1)
  const bare = graph!.replace(bracket, "*")
  if ((bare.match(organic)?.length ?? 0) > atoms) return { reason: "atoms", limit: atoms }
  if ((bare.match(closure)?.length ?? 0) > 2 * rings) return { reason: "rings", limit: rings }
  return undefined
}
