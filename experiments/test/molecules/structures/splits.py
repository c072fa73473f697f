"""Writes splits.json: scaffold splits and counts as python3-rdkit makes them, for Chemistry.test.ts to compare with.

    /usr/bin/python3 test/data/molecules/splits.py DATA > test/data/molecules/splits.json

DATA holds the MoleculeNet tables. Needs Debian's python3-rdkit.
"""
import csv
import hashlib
import json
import sys

from rdkit import Chem, RDLogger, rdBase
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

RDLogger.DisableLog("rdApp.*")


def scaffold_split(scaffolds):
    """Groups by (size, first index) descending, filled 80/10/10; rows as places among the molecules that parse."""
    groups = {}
    for i, scaffold in enumerate(scaffolds):
        groups.setdefault(scaffold, []).append(i)
    parts = {"train": [], "validation": [], "test": []}
    n = len(scaffolds)
    for group in sorted(groups.values(), key=lambda g: (len(g), g[0]), reverse=True):
        if len(parts["train"]) + len(group) <= 0.8 * n:
            parts["train"] += group
        elif len(parts["train"]) + len(parts["validation"]) + len(group) <= 0.9 * n:
            parts["validation"] += group
        else:
            parts["test"] += group
    return parts


def digest(rows):
    return hashlib.sha256(",".join(map(str, sorted(rows))).encode()).hexdigest()


def describe(path):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))[1:]
    molecules = [Chem.MolFromSmiles(row[0]) for row in rows]
    kept = [molecule for molecule in molecules if molecule is not None]
    chiral = [MurckoScaffoldSmiles(mol=molecule, includeChirality=True) for molecule in kept]
    flat = {MurckoScaffoldSmiles(mol=molecule, includeChirality=False) for molecule in kept}
    parts = scaffold_split(chiral)
    return {
        "rows": len(rows),
        "refused": [i + 1 for i, molecule in enumerate(molecules) if molecule is None],
        "scaffolds": len(flat),
        "chiralScaffolds": len(set(chiral)),
        **{part: {"size": len(rows), "sha256": digest(rows)} for part, rows in parts.items()},
    }


names = ["bace", "bbbp", "sider", "esol", "lipo"]
sets = {name: describe(f"{sys.argv[1]}/{name}.csv") for name in names}
print(json.dumps({"rdkit": rdBase.rdkitVersion, "sets": sets}, indent=2))
