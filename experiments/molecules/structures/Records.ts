/** What is worked out of a molecule, as one record of bytes each; an empty record stands for a molecule that was refused. */

/** A kind of record. */
export type Kind =
  /** Canonical SMILES and scaffolds, as JSON of {@link Structure}. */
  | { readonly name: "structure" }
  /** The 166 MACCS keys: 21 bytes, key i at bit i (bit 0 is unused), lowest bit of a byte first. */
  | { readonly name: "maccs" }
  /** The picture, uint8 [size, size, 3], raw deflate. */
  | { readonly name: "picture"; readonly size: number }

/** Canonical SMILES, Murcko scaffold with handedness, and without. */
export type Structure = readonly [smiles: string, chiral: string, flat: string]

/** Bytes of a record of MACCS keys. */
export const maccsBytes = 21
/** Bits of MACCS keys, the unused bit 0 included. */
export const maccsBits = 167

/** Side of ImageMol's pictures; smaller ones are drawn as these are and reduced by area. */
export const standardSize = 224

/**
 * Changes whenever the bytes of a record do for the same molecule: the version of RDKit is the one that package.json
 * names, and the number at the end that of the code here.
 */
export const version = "rdkit 2026.9.1, records 2"

/** A kind and its parameters in a word: `structure`, `maccs`, `picture-224`. */
export const label = (kind: Kind): string => (kind.name === "picture" ? `picture-${kind.size}` : kind.name)

/** Records one after another, and the length of each. */
export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly lengths: Uint32Array<ArrayBuffer>
}

/** Puts records one after another. */
export const pack = (records: ReadonlyArray<Uint8Array>): Packed => {
  const lengths = Uint32Array.from(records, (record) => record.length)
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const record of records) {
    bytes.set(record, at)
    at += record.length
  }
  return { bytes, lengths }
}
