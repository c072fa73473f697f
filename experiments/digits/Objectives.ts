/** The pretraining objectives: four questions that pictures answer, and one that none does. */
import * as tf from "@tensorflow/tfjs-core"
import { Mlp, Objective, type TapWeight } from "tapweight"
import * as Net from "./Net.ts"
import type * as Pretext from "./Pretext.ts"

/** Features by the name of the pictures that they are of. */
type Seen = { readonly [view in Pretext.View]: tf.Tensor2D }

/** An objective: the pictures that it reads, and its loss. */
interface Question {
  readonly reads: ReadonlyArray<Pretext.View>
  readonly loss: (theta: Net.Theta, batch: Pretext.Batch, seen: Seen) => tf.Scalar
}

const temperature = 0.2
/** What drawing no ink at all costs in squared error, roughly: with it as unit the objective starts at about 1. */
const blank = 0.1

/** The objectives by name. */
const questions = {
  /** Which of the others is another view of this one? (Chen et al. 2020) */
  contrast: {
    reads: ["first", "second"],
    loss: ({ contrast }, _, { first, second }) =>
      Objective.contrastive(Mlp.affine(contrast, first), Mlp.affine(contrast, second), temperature)
  },
  /** By how many right angles is it turned? (Gidaris et al. 2018) */
  rotation: {
    reads: ["turned"],
    loss: ({ rotation }, { turns }, { turned }) => Objective.crossEntropy(Mlp.affine(rotation, turned), turns)
  },
  /** In which order are its quarters? (Noroozi and Favaro 2016) */
  jigsaw: {
    reads: ["shuffled"],
    loss: ({ jigsaw }, { order }, { shuffled }) => Objective.crossEntropy(Mlp.affine(jigsaw, shuffled), order)
  },
  /** What does it look like where it is covered? (Pathak et al. 2016) */
  fill: {
    reads: ["covered"],
    loss: ({ fill }, { clean }, { covered }) =>
      tf.div(Objective.meanSquaredError(Mlp.affine(fill, covered), clean), blank)
  },
  /** Which way did a coin fall? No picture says. */
  coin: {
    reads: ["first"],
    loss: (theta, { coin }, { first }) => Objective.crossEntropy(Mlp.affine(theta.coin, first), coin)
  }
} satisfies { readonly [name: string]: Question }

/** An objective's name. */
export type Name = keyof typeof questions
/** All of them, in order. */
export const names = Object.keys(questions) as ReadonlyArray<Name>
/** A weight for each objective. */
export type Shares = { readonly [N in Name]: number }

/** Some of the objectives, as `TapWeight` takes them: one pass of the encoder over the pictures that they read. */
export const of = (some: ReadonlyArray<Name>): TapWeight.Objectives<Net.Theta, Pretext.Batch, Name, Seen> => {
  const reads = [...new Set(some.flatMap((name): ReadonlyArray<Pretext.View> => questions[name].reads))]
  return {
    pass: ({ encoder }, batch) => {
      const h = Net.encode(encoder, tf.concat(reads.map((view) => batch[view])) as tf.Tensor2D)
      const rows = h.shape[0] / reads.length
      return Object.fromEntries(
        reads.map((view, i) => [view, tf.slice(h, [i * rows, 0], [rows, h.shape[1]])])
      ) as unknown as Seen
    },
    objectives: Object.fromEntries(some.map((name) => [name, (questions[name] as Question).loss])) as never
  }
}
