/**
 * The 13 sets of MoleculeNet (Wu et al. 2018) that the paper's tables 1 and 2 report. Columns are named as in the
 * benchmark's own files and, where that differs, as in the copies that chemprop distributes.
 */
import * as TableSchema from "./TableSchema.ts"

const source = (file: string) => ({ url: `https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/${file}` })

export const bace = TableSchema.make({
  name: "bace",
  about: "1 where the molecule inhibits human beta-secretase 1",
  smiles: ["mol", "smiles"],
  labels: ["Class"],
  task: "classification",
  metric: "roc-auc",
  size: 1513,
  source: source("bace.csv")
})

export const bbbp = TableSchema.make({
  name: "bbbp",
  about: "1 where the molecule crosses the blood-brain barrier",
  smiles: "smiles",
  labels: ["p_np"],
  task: "classification",
  metric: "roc-auc",
  size: 2039,
  source: source("BBBP.csv")
})

export const clintox = TableSchema.make({
  name: "clintox",
  about: "approved by the FDA; failed clinical trials for toxicity",
  smiles: "smiles",
  labels: ["FDA_APPROVED", "CT_TOX"],
  task: "classification",
  metric: "roc-auc",
  size: 1478,
  source: source("clintox.csv.gz")
})

export const sider = TableSchema.make({
  name: "sider",
  about: "side effects of marketed drugs in 27 classes of organs",
  smiles: "smiles",
  labels: { allBut: ["smiles"], count: 27 },
  task: "classification",
  metric: "roc-auc",
  size: 1427,
  source: source("sider.csv.gz")
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
  source: source("tox21.csv.gz")
})

export const toxcast = TableSchema.make({
  name: "toxcast",
  about: "activity in 617 in vitro assays",
  smiles: "smiles",
  labels: { allBut: ["smiles"], count: 617 },
  task: "classification",
  metric: "roc-auc",
  size: 8575,
  source: source("toxcast_data.csv.gz")
})

export const hiv = TableSchema.make({
  name: "hiv",
  about: "1 where the molecule inhibits HIV replication",
  smiles: "smiles",
  labels: ["HIV_active"],
  task: "classification",
  metric: "roc-auc",
  size: 41_127,
  source: source("HIV.csv")
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
  source: source("muv.csv.gz")
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
  source: source("SAMPL.csv")
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
  source: source("delaney-processed.csv")
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
  source: source("Lipophilicity.csv")
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
  source: source("qm7.csv")
})

export const qm9 = TableSchema.make({
  name: "qm9",
  about: "twelve properties computed by density functional theory, in the units of the set",
  smiles: "smiles",
  labels: ["mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "cv", "u0", "u298", "h298", "g298"],
  task: "regression",
  metric: "mae",
  size: 133_885,
  source: source("qm9.csv")
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
