/** What is worked out of a molecule: as bytes, or why there is nothing. */

/** A kind of description. */
export type Descriptor =
  /** Canonical SMILES and scaffolds, as JSON of {@link Structure}. */
  | { readonly name: "structure" }
  /** The 166 MACCS keys: 21 bytes, key i at bit i (bit 0 is unused), lowest bit of a byte first. */
  | { readonly name: "maccs" }
  /** The picture, uint8 [size, size, 3], raw deflate. */
  | { readonly name: "picture"; readonly size: number }

/** Canonical SMILES, Murcko scaffold with handedness, and without. */
export type Structure = readonly [smiles: string, chiral: string, flat: string]

/** Why a molecule has no description: RDKit does not take it, or it is larger or took longer than the limit that stands beside. */
export type Drop =
  | { readonly reason: "refused" }
  | { readonly reason: "atoms" | "rings" | "seconds"; readonly limit: number }

/** The description of one molecule. */
export type Description = Uint8Array<ArrayBuffer> | Drop

/** Whether there is a description. */
export const isBytes = (description: Description): description is Uint8Array<ArrayBuffer> =>
  description instanceof Uint8Array

/** Why a molecule was dropped, in a few words. */
export const wordsOf = (drop: Drop): string => {
  switch (drop.reason) {
    case "refused":
      return "refused by RDKit"
    case "seconds":
      return `more than ${drop.limit} s of RDKit's time`
    default:
      return `more than ${drop.limit} ${drop.reason}`
  }
}

/** Bytes of MACCS keys. */
export const maccsBytes = 21
/** Bits of MACCS keys, the unused bit 0 included. */
export const maccsBits = 167

/** Side of ImageMol's pictures; smaller ones are drawn as these are and reduced by area. */
export const standardSize = 224

/**
 * Changes whenever the bytes of a description do for the same molecule: the version of RDKit is the one that package.json
 * names, and the number at the end that of the code here.
 */
export const version = "rdkit-2026.9.1-2"

/** A descriptor and its parameters in a word: `structure`, `maccs`, `picture-224`. */
export const label = (descriptor: Descriptor): string =>
  descriptor.name === "picture" ? `picture-${descriptor.size}` : descriptor.name
