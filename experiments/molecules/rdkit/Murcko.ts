/**
 * Murcko scaffolds (Bemis and Murcko 1996): rings, the chains that link them, and what is doubly bonded to either. The
 * library has no such method for JavaScript; this one works on its JSON form of a molecule.
 */
import type { MainModule, Mol } from "@rdkit/rdkit"

interface Atom {
  readonly z?: number
  impHs?: number
  stereo?: string
}
interface Bond {
  readonly atoms: readonly [number, number]
  readonly bo?: number
  readonly stereo?: string
  readonly stereoAtoms?: ReadonlyArray<number>
}
interface Graph {
  readonly atoms: ReadonlyArray<Atom>
  readonly bonds: ReadonlyArray<Bond>
  readonly extensions?: ReadonlyArray<{ readonly cipCodes?: ReadonlyArray<readonly [number, string]> }>
}
interface Document {
  readonly molecules: readonly [Graph]
}

/** Which atoms belong to the scaffold: atoms of degree one are taken off until none is left. */
const scaffoldAtoms = ({ atoms, bonds }: Graph, near: ReadonlyArray<ReadonlyArray<number>>): Uint8Array => {
  const framework = new Uint8Array(atoms.length).fill(1)
  const degrees = near.map((atoms) => atoms.length)
  const leaves = degrees.flatMap((degree, atom) => (degree <= 1 ? [atom] : []))
  for (let leaf = leaves.pop(); leaf !== undefined; leaf = leaves.pop()) {
    if (framework[leaf] === 0) continue
    framework[leaf] = 0
    for (const atom of near[leaf]!) if (framework[atom] === 1 && --degrees[atom]! <= 1) leaves.push(atom)
  }
  const kept = framework.slice()
  for (const { atoms, bo } of bonds) {
    if (bo === 2 && atoms.some((atom) => framework[atom] === 1)) for (const atom of atoms) kept[atom] = 1
  }
  return kept
}

const opposite: { readonly [stereo: string]: string } = { cis: "trans", trans: "cis" }

/** The scaffold as a molecule of its own, or undefined where there is no ring. */
const cut = (document: Document): Document | undefined => {
  const [graph] = document.molecules
  const near: ReadonlyArray<Array<number>> = graph.atoms.map(() => [])
  for (const { atoms } of graph.bonds) {
    near[atoms[0]]!.push(atoms[1])
    near[atoms[1]]!.push(atoms[0])
  }
  const kept = scaffoldAtoms(graph, near)
  const places = new Int32Array(graph.atoms.length)
  const atoms: Array<Atom> = []
  for (const [i, atom] of graph.atoms.entries()) if (kept[i] === 1) places[i] = atoms.push({ ...atom }) - 1
  if (atoms.length === 0) return undefined

  const bonds: Array<Bond> = []
  for (const { stereo, stereoAtoms, ...bond } of graph.bonds) {
    const [a, b] = bond.atoms
    if (kept[a] !== 1 || kept[b] !== 1) {
      if (kept[a] === kept[b]) continue
      // Hydrogen takes the place of what is cut off, and the atom's handedness goes with it.
      const end = atoms[places[kept[a] === 1 ? a : b]!]!
      end.impHs = (end.impHs ?? 0) + (bond.bo ?? 1)
      delete end.stereo
      continue
    }
    const moved = { ...bond, atoms: [places[a]!, places[b]!] as const }
    // Cis or trans is said of one neighbour at each end; where that one is cut off, its counterpart lies opposite.
    const references = stereoAtoms?.map((atom) => {
      const end = near[a]!.includes(atom) ? a : b
      return kept[atom] === 1 ? atom : near[end]!.find((other) => kept[other] === 1 && other !== a && other !== b)
    })
    if (stereo === undefined || references === undefined || references.includes(undefined)) {
      bonds.push(moved)
      continue
    }
    const exchanged = references.filter((atom, i) => atom !== stereoAtoms![i]).length === 1
    bonds.push({
      ...moved,
      stereo: exchanged ? (opposite[stereo] ?? stereo) : stereo,
      stereoAtoms: references.map((atom) => places[atom!]!)
    })
  }
  return { ...document, molecules: [{ atoms, bonds }] }
}

/** What is read of the molecule that a document describes, or undefined where RDKit refuses it. */
const rebuilt = <A>(rdkit: MainModule, document: Document, use: (mol: Mol) => A): A | undefined => {
  const mol = rdkit.get_mol(JSON.stringify(document))
  if (mol === null) return undefined
  try {
    return use(mol)
  } finally {
    mol.delete()
  }
}

/** A scaffold as canonical SMILES, with and without handedness; both are empty where there is no ring. */
export interface Scaffold {
  readonly chiral: string
  readonly flat: string
}

/**
 * The scaffold of a molecule, or undefined where RDKit refuses what is left of it. Expects legacy stereo perception, as
 * RDKit for Python has it, and leaves it so.
 */
export const scaffold = (rdkit: MainModule, mol: Mol): Scaffold | undefined => {
  const document = cut(JSON.parse(mol.get_json()) as Document)
  if (document === undefined) return { chiral: "", flat: "" }
  const [{ atoms, bonds }] = document.molecules
  const oriented = bonds.some(({ stereo }) => stereo !== undefined)
  const handed = oriented || atoms.some(({ stereo, z }) => z === 7 && stereo !== undefined)
  const read = (mol: Mol) => {
    const chiral = mol.get_smiles()
    // Handedness and isotopes are all that flat SMILES leave out.
    const flat = /[@/\\]|\[\d/.test(chiral) ? mol.get_smiles(JSON.stringify({ doIsomericSmiles: false })) : chiral
    return { chiral, flat, graph: handed ? (JSON.parse(mol.get_json()) as Document).molecules[0] : undefined }
  }
  let found = rebuilt(rdkit, document, read)
  if (found === undefined) return undefined
  if (found.graph === undefined) return { chiral: found.chiral, flat: found.flat }

  // A nitrogen that no four different groups make a centre counts for RDKit before 2023 as inverting.
  const coded = new Set(found.graph.extensions?.flatMap(({ cipCodes }) => cipCodes?.map(([atom]) => atom) ?? []))
  const inverting = atoms.filter(({ stereo, z }, i) => z === 7 && stereo !== undefined && !coded.has(i))
  if (inverting.length > 0) {
    for (const atom of inverting) delete atom.stereo
    found = rebuilt(rdkit, document, read) ?? found
  }

  // Legacy perception forgets what JSON says of double bonds; the new one keeps it, but sees more centres than legacy.
  if (oriented) {
    for (const [i, atom] of atoms.entries()) if (found.graph?.atoms[i]!.stereo === undefined) delete atom.stereo
    rdkit.use_legacy_stereo_perception(false)
    try {
      const smiles = rebuilt(rdkit, document, (mol) => mol.get_smiles())
      if (smiles !== undefined && /[/\\]/.test(smiles)) return { chiral: smiles, flat: found.flat }
    } finally {
      rdkit.use_legacy_stereo_perception(true)
    }
  }
  return { chiral: found.chiral, flat: found.flat }
}
