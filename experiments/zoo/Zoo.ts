/** Every problem of the zoo, in the order of its page. */
import { autoLora } from "./architecture/autoLora.ts"
import { darts } from "./architecture/darts.ts"
import { equilibrium } from "./architecture/equilibrium.ts"
import { pruning } from "./architecture/pruning.ts"
import { cleaning } from "./digits/cleaning.ts"
import { distillation } from "./digits/distillation.ts"
import { ignoring } from "./digits/ignoring.ts"
import { metaPretraining } from "./digits/metaPretraining.ts"
import { metaWeightNet } from "./digits/metaWeightNet.ts"
import { reweight } from "./digits/reweight.ts"
import type { Entry } from "./Entry.ts"
import { logistic } from "./hyperparameters/logistic.ts"
import { ridge } from "./hyperparameters/ridge.ts"
import { selfTuning } from "./hyperparameters/selfTuning.ts"
import { imaml } from "./meta/imaml.ts"
import { maml } from "./meta/maml.ts"
import { reptile } from "./meta/reptile.ts"
import { doge } from "./text/doge.ts"
import { doremi } from "./text/doremi.ts"
import { metaWeighting } from "./text/metaWeighting.ts"
import { collapse } from "./toys/collapse.ts"
import { coreset } from "./toys/coreset.ts"
import { minimax } from "./toys/minimax.ts"
import { nonSingleton } from "./toys/nonSingleton.ts"
import { pbgd } from "./toys/pbgd.ts"
import { policy } from "./toys/policy.ts"

export const zoo: ReadonlyArray<Entry> = [
  ridge,
  logistic,
  selfTuning,
  cleaning,
  reweight,
  metaWeightNet,
  ignoring,
  metaPretraining,
  distillation,
  doge,
  doremi,
  metaWeighting,
  maml,
  imaml,
  reptile,
  darts,
  autoLora,
  pruning,
  equilibrium,
  policy,
  pbgd,
  nonSingleton,
  minimax,
  coreset,
  collapse
]
