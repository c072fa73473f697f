/**
 * The 13 sets of MoleculeNet (Wu et al. 2018) that the paper's tables 1 and 2 report. Columns are named as in the
 * benchmark's own files and, where that differs, as in the copies that chemprop distributes.
 */
import * as TableSchema from "./TableSchema.ts"

/** A file as chemprop distributes it, at a commit, which always has the same bytes. */
const chemprop = (file: string, sha256: string) => ({
  url: `https://raw.githubusercontent.com/chemprop/chemprop/b83635bcddaddcdb91d453128edec9f2be0d25cf/data/${file}`,
  sha256
})

export const bace = TableSchema.make({
  name: "bace",
  about: "1 where the molecule inhibits human beta-secretase 1",
  smiles: ["mol", "smiles"],
  labels: ["Class"],
  task: "classification",
  metric: "roc-auc",
  size: 1513,
  source: chemprop("bace.csv", "847be1e38d3798c60df03e1aaf2ccd0f09f9ed89407de78e80463aa637088532")
})

export const bbbp = TableSchema.make({
  name: "bbbp",
  about: "1 where the molecule crosses the blood-brain barrier",
  smiles: "smiles",
  labels: ["p_np"],
  task: "classification",
  metric: "roc-auc",
  size: 2039,
  source: chemprop("BBBP.csv", "a61e17872cbec0743a6147dc802a1f7550acfe8dc1053f881f4c42a3ce2dc597")
})

export const clintox = TableSchema.make({
  name: "clintox",
  about: "approved by the FDA; failed clinical trials for toxicity",
  smiles: "smiles",
  labels: ["FDA_APPROVED", "CT_TOX"],
  task: "classification",
  metric: "roc-auc",
  size: 1478,
  source: chemprop("clintox.csv", "cc561402d058a0d996a9f5e5d02bc20f6652b7003525b32c3598b8da4b24e9b7")
})

export const sider = TableSchema.make({
  name: "sider",
  about: "side effects of marketed drugs in 27 classes of organs",
  smiles: "smiles",
  labels: { allBut: ["smiles"], count: 27 },
  task: "classification",
  metric: "roc-auc",
  size: 1427,
  source: chemprop("sider.csv", "71efc6ac4ca82d6545bc512509863281be0f17234afd7adaf71a71899988302e")
})

export const tox21 = TableSchema.make({
  name: "tox21",
  about: "activity in 7 nuclear receptor and 5 stress response assays",
  smiles: "smiles",
  labels: [
    "NR-AR",
    "NR-AR-LBD",
    "NR-AhR",
    "NR-Aromatase",
    "NR-ER",
    "NR-ER-LBD",
    "NR-PPAR-gamma",
    "SR-ARE",
    "SR-ATAD5",
    "SR-HSE",
    "SR-MMP",
    "SR-p53"
  ],
  task: "classification",
  metric: "roc-auc",
  size: 7831,
  source: chemprop("tox21.csv", "b58cc1f683e78e3c7a1bf7116e9aac0119804018d100f7b8cdb0857941c31aca")
})

export const toxcast = TableSchema.make({
  name: "toxcast",
  about: "activity in 617 in vitro assays",
  smiles: "smiles",
  labels: { allBut: ["smiles"], count: 617 },
  task: "classification",
  metric: "roc-auc",
  size: 8575,
  source: chemprop("toxcast.csv.gz", "4b9b4366b02ce7ec7a0831d60f8c46f153c53c5e122376df887476240496abd4")
})

export const hiv = TableSchema.make({
  name: "hiv",
  about: "1 where the molecule inhibits HIV replication",
  smiles: "smiles",
  labels: ["HIV_active"],
  task: "classification",
  metric: "roc-auc",
  size: 41_127,
  source: chemprop("HIV.csv.gz", "0a4a7390d6f22035c293e8e0d500655d76233b35f0f68ab128f3ceccdd97a297")
})

export const muv = TableSchema.make({
  name: "muv",
  about: "activity in 17 PubChem assays chosen for virtual screening",
  smiles: "smiles",
  labels: [
    "MUV-466",
    "MUV-548",
    "MUV-600",
    "MUV-644",
    "MUV-652",
    "MUV-689",
    "MUV-692",
    "MUV-712",
    "MUV-713",
    "MUV-733",
    "MUV-737",
    "MUV-810",
    "MUV-832",
    "MUV-846",
    "MUV-852",
    "MUV-858",
    "MUV-859"
  ],
  task: "classification",
  metric: "roc-auc",
  size: 93_087,
  source: chemprop("muv.csv.gz", "ee68d1fad0b10440dc494ac3a74cf99168a0b0da9683556b2b48220b88172135")
})

export const freesolv = TableSchema.make({
  name: "freesolv",
  about: "measured hydration free energy, kcal/mol",
  smiles: "smiles",
  labels: [["expt", "freesolv"]],
  task: "regression",
  metric: "rmse",
  range: [-50, 50],
  size: 642,
  source: chemprop("freesolv.csv", "97d74c86228d4c16c0fbbf063bb8280354d8152db09a85ade8517a2f43bd9824")
})

export const esol = TableSchema.make({
  name: "esol",
  about: "measured logarithm of the solubility in water, mol/l",
  smiles: "smiles",
  labels: [["measured log solubility in mols per litre", "logp"]],
  task: "regression",
  metric: "rmse",
  range: [-20, 10],
  size: 1128,
  source: chemprop("delaney.csv", "887aa5930b0a7e7fcb76a2d25dc0ebe11c23878ca2d8d1e2204ca2c46b175140")
})

export const lipo = TableSchema.make({
  name: "lipo",
  about: "measured octanol/water distribution coefficient, logD at pH 7.4",
  smiles: "smiles",
  labels: [["exp", "lipo"]],
  task: "regression",
  metric: "rmse",
  range: [-20, 20],
  size: 4200,
  source: chemprop("lipo.csv", "aa9bd9669188e35efd908758a75561bba402016d901fed2d0d949289abbcf31c")
})

export const qm7 = TableSchema.make({
  name: "qm7",
  about: "atomisation energy, kcal/mol",
  smiles: "smiles",
  labels: ["u0_atom"],
  task: "regression",
  metric: "mae",
  range: [-5000, 0],
  size: 6830,
  source: {
    url: "https://raw.githubusercontent.com/HICAI-ZJU/KANO/766b478fde816ea014c713f380b73e87cd780da8/data/qm7.csv",
    sha256: "eb793e3172c4a74cfb74ef805e6cdea79d1db16fd1f40a42f459297ad6457548"
  }
})

export const qm9 = TableSchema.make({
  name: "qm9",
  about: "twelve properties computed by density functional theory, in the units of the set",
  smiles: "smiles",
  labels: ["mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "cv", "u0", "u298", "h298", "g298"],
  task: "regression",
  metric: "mae",
  size: 133_885,
  // At an address that names no version, and so without a hash.
  source: { url: "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/qm9.csv" }
})

/** All of them, in the order of the paper's tables. */
export const all: ReadonlyArray<TableSchema.TableSchema> = [
  bace,
  bbbp,
  clintox,
  sider,
  tox21,
  toxcast,
  hiv,
  muv,
  freesolv,
  esol,
  lipo,
  qm7,
  qm9
]

/** The set of this name; undefined where there is none. */
export const named = (name: string): TableSchema.TableSchema | undefined => all.find((schema) => schema.name === name)
