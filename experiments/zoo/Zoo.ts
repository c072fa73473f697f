/** Every problem of the zoo, in the order of its page. */
import { autoLora } from "./architecture/autoLora.ts"
import { darts } from "./architecture/darts.ts"
import { equilibrium } from "./architecture/equilibrium.ts"
import { pruning } from "./architecture/pruning.ts"
import { cleaning } from "./digits/cleaning.ts"
import { distillation } from "./digits/distillation.ts"
import { metaWeightNet } from "./digits/metaWeightNet.ts"
import type { Entry } from "./Entry.ts"
import { logistic } from "./hyperparameters/logistic.ts"
import { ridge } from "./hyperparameters/ridge.ts"
import { selfTuning } from "./hyperparameters/selfTuning.ts"
import { imaml } from "./meta/imaml.ts"
import { maml } from "./meta/maml.ts"
import { reptile } from "./meta/reptile.ts"
import { collapse } from "./toys/collapse.ts"
import { coreset } from "./toys/coreset.ts"
import { pbgd } from "./toys/pbgd.ts"

export const zoo: ReadonlyArray<Entry> = [
  ridge,
  logistic,
  selfTuning,
  cleaning,
  metaWeightNet,
  distillation,
  maml,
  imaml,
  reptile,
  darts,
  autoLora,
  pruning,
  equilibrium,
  pbgd,
  coreset,
  collapse
]
