import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { type Engine, Metrics, type Run, type Split, type Tree } from "tapweight"
import type { Rows } from "../text/Passages.ts"
import * as TextBatches from "../text/TextBatches.ts"
import * as Finished from "../common/Finished.ts"
import { classify, logits, type Omega } from "./Levels.ts"

/** What scoring reads of a run, and of a finished model. */
type Vars = { readonly omega: Omega }
type HostVars = Tree.Host<Vars>
type Ids = { readonly ids: tf.Tensor2D }
type Classes = { readonly classes: tf.Tensor1D }

const predict = ({ omega }: Vars, { ids }: Ids): Classes => ({
  classes: tf.argMax(logits(omega, ids), 1)
})

const batch = 60

/** Accuracy over all rows, given a way to predict one batch. */
const scored = <E, R>(
  rows: Rows,
  one: (batch: { readonly ids: Rows["ids"] }) => Effect.Effect<ArrayLike<number>, E, R>
) =>
  Effect.map(
    Effect.forEach(TextBatches.inOrder(rows, batch), ({ count, ids }) =>
      Effect.map(one({ ids }), (classes) => Array.from(classes).slice(0, count))
    ),
    (predicted) => Metrics.accuracy(Array.from(rows.labels.data), predicted.flat())
  )

/** Genre Metrics.accuracy of the run's present model. */
export const ofTick = (tick: Run.Tick<Vars>, rows: Split.Validation<Rows>) =>
  scored(rows, (ids) => Effect.map(tick.evaluate(predict, ids), ({ classes }) => classes.data))

/** Genre Metrics.accuracy of a finished model. */
export const ofVars = (
  vars: HostVars,
  rows: Rows
): Effect.Effect<number, ReturnType<ReturnType<typeof Run.failedAt>>, Engine> =>
  Effect.scoped(
    Effect.flatMap(Finished.observed(vars, predict), (observe) =>
      scored(rows, (ids) => Effect.map(observe(ids), ({ classes }) => classes.data))
    )
  )

const loss = ({ omega }: Vars, rows: { readonly ids: tf.Tensor2D; readonly labels: tf.Tensor1D }) => ({
  loss: classify(omega, rows)
})

/** Mean cross-entropy of the run's present model over all rows, in nats. */
export const lossOfTick = (tick: Run.Tick<Vars>, rows: Split.Validation<Rows>) =>
  Effect.map(tick.evaluate(loss, rows), (found) => found.loss.data[0]!)
