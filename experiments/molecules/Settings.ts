import * as Schema from "effect/Schema"
import { Config, Program } from "tapweight"
import * as Limits from "./rdkit/Limits.ts"
import * as Molecules from "./structures/Molecules.ts"
import * as Jigsaw from "./pictures/Jigsaw.ts"
import * as Objectives from "./Objectives.ts"
import { positive, rate, several, share, whole } from "../common/Fields.ts"

/** What is compared. */
export const Method = Schema.Literals(["finetune", "equal", "initial", "bilevel", "tapweight", "final"])
export type Method = typeof Method.Type

/**
 * How a pretrained encoder is finetuned: held near it by γ as level II is, so that what is scored is equation 3's ω, or free to go
 * where it likes, as ImageMol's is.
 */
export const Finetuning = Schema.Literals(["held", "free"])
export type Finetuning = typeof Finetuning.Type

/** Settings that differ between tasks of classification and of regression. */
const Rates = Schema.Struct({
  pretrain: rate,
  /** For ω: level II's, and that of the finetuning that follows every method. */
  finetune: rate,
  /** Level III's, for β. */
  reweight: rate
})

const schema = Schema.Struct({
  ...Program.common,
  /** Seeds to compare over: `seed`, `seed` + 1, … */
  seeds: positive,
  /** Folder of the tables. */
  data: Schema.NonEmptyString,
  /** The tasks: names of MoleculeNet's sets, and .json files that hold schemas of others. */
  sets: Schema.NonEmptyArray(Schema.NonEmptyString).check(Schema.isUnique()),
  methods: Schema.NonEmptyArray(Method).check(Schema.isUnique()),
  /**
   * How molecules are parted 8 : 1 : 1, the same for every seed: by scaffolds as the paper does, at random, or at random
   * within each class of a set with one label.
   */
  split: Schema.Literals(["scaffold", "random", "stratified"]),
  /**
   * Unlabelled molecules: files in `data`, names of known sets or .json files of schemas, how many molecules are drawn from them, and
   * how many of those the clusters' centres are made from (all where null).
   */
  pool: Schema.Struct({
    files: Schema.NonEmptyArray(Schema.NonEmptyString),
    molecules: positive,
    sample: Schema.NullOr(positive)
  }),
  /**
   * Molecules that are larger are dropped before RDKit sees them, and those that take one of its threads so many seconds of processor
   * time; both are counted with the reason.
   */
  limits: Schema.Struct({ atoms: positive, rings: whole, seconds: rate }),
  /** Side of pictures, in pixels. */
  size: Schema.Int.check(Schema.isBetween(Molecules.sizes)),
  network: Schema.Struct({
    width: positive,
    blocks: Schema.NonEmptyArray(positive),
    stem: Schema.Literals(["large", "small"])
  }),
  /** Clusters at each granularity, coarsest first. */
  clusters: Schema.Tuple([several, several, several]),
  permutations: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Jigsaw.candidates })),
  /** Share of puzzles that are left as they are. */
  intact: share,
  augmentation: Schema.Struct({
    flip: share,
    grey: share,
    rotation: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
    fill: Schema.Literals(["black", "white"])
  }),
  /** Rows of a batch; those of levels II and III are at most all of their split. */
  batch: Schema.Struct({ pretrain: positive, finetune: positive, reweight: positive }),
  classification: Rates,
  regression: Rates,
  /** What single sets have in place of `ticks`, of `finetuneTicks` and of the rates of their kind. */
  perSet: Schema.Record(
    Schema.String,
    Schema.Struct({
      ticks: Schema.optionalKey(positive),
      finetuneTicks: Schema.optionalKey(positive),
      rates: Schema.optionalKey(Rates)
    })
  ),
  /**
   * What updates ω. The curvature of a head's loss grows with its features' length and with the share of a task in the mean over
   * tasks, so that SGD with momentum wants a rate of each set's own; Adam takes one for all.
   */
  optimizer: Schema.Literals(["momentum", "adam"]),
  /** SGD's momentum, and weight decay at levels I and II. */
  momentum: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.999 })),
  decay: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  /** Rates fall by `factor` every so many updates. */
  schedule: Schema.Struct({ every: positive, factor: share }),
  /** Strength of the proximal term. */
  gamma: rate,
  /** Strength of the finetuning loss beside the pretraining losses in the bilevel ablation (equation 9). */
  mix: rate,
  /** What λ starts from, a share for each objective by name; equal shares where null. */
  initial: Schema.NullOr(
    Schema.Record(Schema.String, rate).check(
      Schema.makeFilter(
        (lambda) =>
          Math.abs(Object.values(lambda).reduce((sum, share) => sum + share, -1)) < 1e-6 ||
          "expected shares with the sum 1"
      )
    )
  ),
  /** Ticks before λ first moves. */
  warmup: whole,
  /**
   * How curvature meets a vector: the released code's finite difference, or exactly. Across the kinks of a network of
   * relus and pools a difference at any useful distance is off by as much as its own size.
   */
  product: Schema.Literals(["exact", "difference"]),
  /**
   * What level III minimizes on a classification: the task's own loss, as the paper does, or how badly pairs are ranked by
   * standardised outputs. A split by scaffolds may have another share of positives in each part (BBBP: 84 % and 41 %); the loss
   * then asks above all for other frequencies, which AUROC does not see and no weighting of objectives can give.
   */
  validation: Schema.Literals(["loss", "ranking"]),
  /** Distance of the finite-difference evaluations, see `Product.finiteDifference`. */
  radius: rate,
  /**
   * A safetensors file with the encoder's first weights under torchvision's names (ImageMol's, ImageNet's), of this network;
   * random ones where null.
   */
  encoder: Schema.NullOr(Schema.NonEmptyString),
  /** The general pretraining that every method starts from: its updates, 0 for none, and its rate. */
  general: Schema.Struct({ ticks: whole, rate }),
  /** Updates of the finetuning that follows, and how often its validation score is taken. */
  finetuneTicks: positive,
  scoreEvery: positive,
  /** The finetunings that follow, each scored by itself. */
  finetunings: Schema.NonEmptyArray(Finetuning).check(Schema.isUnique()),
  /** Adds an objective that cannot help: coin flips told from pictures. */
  useless: Schema.Boolean
}).check(
  // What follows would call weights learned that could not move.
  Schema.makeFilter(({ batch, methods, perSet, ticks, validation, warmup }) => {
    if (!methods.some((method) => ["bilevel", "tapweight", "final"].includes(method))) return true
    const shortest = Math.min(ticks, ...Object.values(perSet).map((own) => own.ticks ?? ticks))
    if (warmup >= shortest)
      return `λ does not move in ${shortest} ticks after a warmup of ${warmup}: give more ticks or less warmup`
    return (
      validation === "loss" || batch.reweight > 1 || "there is no pair to rank with batch.reweight=1: give 2 or more"
    )
  }),
  Schema.makeFilter(({ initial, methods, useless }) => {
    if (initial === null)
      return !methods.includes("initial") || "the method 'initial' wants initial weights: give initial={…}"
    const [given, names] = [Object.keys(initial), Objectives.names({ useless })]
    return (
      (given.length === names.length && names.every((name) => given.includes(name))) ||
      `initial has shares for ${given.join(", ")}, and the objectives are ${names.join(", ")}`
    )
  })
)

/** Settings of the molecules' experiments. */
export type Settings = (typeof schema)["Type"]

/**
 * A setting that two cores finish: small pictures, a narrow network and half a minute of general pretraining, on real data. As many
 * molecules to a finest cluster as the paper has; upright pictures, since so small a network does not learn to see them turned.
 * General pretraining is no longer than an ω needs to learn a task from it, so that what follows under other weights makes another
 * encoder; finetuning is short, and held near its encoder beside the free one, which makes up for much of any pretraining. γ is
 * as large as leaves ω a model of the task; level III sees most of a small validation split at once.
 */
export const small: Settings = {
  // Settings were chosen on seed 0.
  seed: 1,
  seeds: 3,
  ticks: 400,
  data: "data",
  sets: ["bace"],
  methods: ["finetune", "equal", "bilevel", "tapweight", "final"],
  split: "scaffold",
  pool: { files: ["muv"], molecules: 8000, sample: null },
  limits: Limits.defaults,
  size: 48,
  network: { width: 16, blocks: [1, 1, 1, 1], stem: "large" },
  clusters: [10, 30, 100],
  permutations: 100,
  intact: 0.5,
  augmentation: { flip: 0.5, grey: 0, rotation: 0, fill: "white" },
  batch: { pretrain: 32, finetune: 48, reweight: 112 },
  classification: { pretrain: 0.05, finetune: 0.003, reweight: 15 },
  regression: { pretrain: 0.05, finetune: 0.003, reweight: 15 },
  // Nothing is learned of its 27 labels for a hundred updates.
  perSet: { sider: { finetuneTicks: 300 } },
  optimizer: "adam",
  momentum: 0.9,
  decay: 1e-5,
  schedule: { every: 150, factor: 0.7 },
  gamma: 0.1,
  mix: 0.3,
  initial: null,
  warmup: 20,
  product: "exact",
  validation: "ranking",
  radius: 0.01,
  encoder: null,
  general: { ticks: 600, rate: 0.1 },
  finetuneTicks: 120,
  scoreEvery: 30,
  finetunings: ["held", "free"],
  useless: false
}

const long = { ticks: 10_000 }
const quantum = { pretrain: 0.01, finetune: 0.0001, reweight: 0.1 }

/**
 * The paper's setting (appendix C.4), for a GPU: batches of 1,024 and 64, ResNet18 on pictures of 224 pixels, and each set's
 * steps and rates. What the paper leaves open is as its released code has it, but for the finetuning that follows, which is ours. It
 * starts from ImageMol's weights (`encoder`) and pretrains in general only where it is told to (`general.ticks`).
 */
const paper: Partial<Settings> = {
  ticks: 3000,
  pool: { files: ["muv", "hiv"], molecules: 134_000, sample: null },
  size: 224,
  network: { width: 64, blocks: [2, 2, 2, 2], stem: "large" },
  clusters: [100, 1000, 10_000],
  intact: 0.8,
  augmentation: { flip: 0.5, grey: 0.2, rotation: 360, fill: "black" },
  batch: { pretrain: 1024, finetune: 64, reweight: 64 },
  classification: { pretrain: 0.02, finetune: 0.05, reweight: 200 },
  regression: { pretrain: 0.02, finetune: 0.001, reweight: 1 },
  perSet: {
    muv: { ticks: 30_000 },
    hiv: { ticks: 20_000 },
    tox21: long,
    toxcast: long,
    lipo: long,
    esol: long,
    freesolv: long,
    qm7: { ticks: 10_000, rates: quantum },
    qm9: { ticks: 30_000, rates: quantum }
  },
  optimizer: "momentum",
  mix: 1,
  schedule: { every: 100, factor: 0.9 },
  gamma: 0.001,
  warmup: 0,
  product: "difference",
  validation: "loss",
  general: { ticks: 0, rate: 0.02 },
  finetuneTicks: 2000,
  scoreEvery: 100,
  finetunings: ["free"]
}

/** The settings as one set has them. */
export const ofSet = (settings: Settings, name: string): Settings => {
  const { rates, ...own } = settings.perSet[name] ?? {}
  return { ...settings, ...own, ...(rates === undefined ? {} : { classification: rates, regression: rates }) }
}

/** The settings of every program on molecules. */
export const config = Config.make({ schema, defaults: small, presets: { paper } })
