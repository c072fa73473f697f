/** RDKit (WebAssembly), one molecule at a time. Only worker threads load this: it starts in 0.1 s and holds 7 MB of code. */
import { createRequire } from "node:module"
import { deflateRawSync } from "node:zlib"
import type { MainModule, Mol } from "@rdkit/rdkit"
import * as Murcko from "./Murcko.ts"
import * as Raster from "./Raster.ts"
import { type Description, type Descriptor, maccsBytes, standardSize, type Structure } from "./Descriptor.ts"
import * as Svg from "./Svg.ts"

/** Starts RDKit, with the stereo perception of RDKit for Python and without its log. */
export const load = async (): Promise<MainModule> => {
  const module = createRequire(import.meta.url)("@rdkit/rdkit") as { readonly default: () => Promise<MainModule> }
  const rdkit = await module.default()
  rdkit.disable_logging()
  rdkit.use_legacy_stereo_perception(true)
  return rdkit
}

/**
 * How RDKit is asked to draw for a picture of this size. Below the standard size, lines are widened to one pixel at least,
 * and letters and the gap of a double bond enlarged, so that atoms, bonds and their order survive the reduction.
 */
const drawing = (size: number): string => {
  const side = Math.max(size, standardSize)
  const small = { bondLineWidth: Math.max(2, (1.1 * side) / size), minFontSize: 16, multipleBondOffset: 0.22 }
  return JSON.stringify({ width: side, height: side, ...(size < standardSize ? small : {}) })
}

/** Draws a molecule: uint8 [size, size, 3], valid until the next drawing. */
export const drawer = (size: number): ((mol: Mol) => Uint8Array) => {
  const [options, canvas] = [drawing(size), Raster.canvas(size)]
  const scale = size / Math.max(size, standardSize)
  return (mol) => canvas.draw(Svg.shapes(mol.get_svg_with_highlights(options)), scale)
}

const refused: Description = { reason: "refused" }

const structure = (rdkit: MainModule, mol: Mol): Description => {
  const scaffold = Murcko.scaffold(rdkit, mol)
  if (scaffold === undefined) return refused
  const names: Structure = [mol.get_smiles(), scaffold.chiral, scaffold.flat]
  return new TextEncoder().encode(JSON.stringify(names))
}

/** Describes a molecule, given by its SMILES. */
export const describer = (rdkit: MainModule, descriptor: Descriptor): ((smiles: string) => Description) => {
  const draw = descriptor.name === "picture" ? drawer(descriptor.size) : undefined
  return (smiles) => {
    const mol = smiles === "" ? null : rdkit.get_mol(smiles)
    if (mol === null) return refused
    try {
      if (draw !== undefined) return Uint8Array.from(deflateRawSync(draw(mol), { level: 1 }))
      if (descriptor.name === "structure") return structure(rdkit, mol)
      return Uint8Array.from((mol.get_maccs_fp_as_uint8array() as Uint8Array).subarray(0, maccsBytes))
    } finally {
      mol.delete()
    }
  }
}
