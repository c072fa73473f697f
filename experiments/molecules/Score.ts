import type * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { Metrics, Mlp, ResNet, type Run, type Tree } from "tapweight"
import * as PictureBatches from "./pictures/PictureBatches.ts"
import * as Finished from "../common/Finished.ts"
import type { Omega } from "./Levels.ts"
import type { Task } from "./Task.ts"

/** What scoring reads of a run, and of a finished model. */
type Vars = { readonly omega: Omega; readonly statistics: ResNet.Statistics }
type Pictures = { readonly pictures: tf.Tensor4D }
type Predicted = { readonly predicted: tf.Tensor2D }

/** Predictions of a finetuned network in evaluation mode. */
const predict = ({ omega, statistics }: Vars, { pictures }: Pictures): Predicted => ({
  predicted: Mlp.affine(omega.head, ResNet.evaluate(omega.encoder, statistics, pictures))
})

const batch = 64

const scorers = { "roc-auc": Metrics.rocAucByTask, rmse: Metrics.rmseByTask, mae: Metrics.maeByTask }

/** Whether a larger score is the better one. */
export const mode = ({ metric }: Pick<Task, "metric">): "max" | "min" => (metric === "roc-auc" ? "max" : "min")

/** The task's metric over all rows of a part, in the labels' own unit; over several tasks their mean. */
const scored = <E, R>(
  { metric, tasks, unit }: Task,
  { labels, pictures }: PictureBatches.Labelled,
  one: (pictures: PictureBatches.EvaluationBatch["pictures"]) => Effect.Effect<ArrayLike<number>, E, R>
) =>
  Effect.gen(function* () {
    const { at, batches } = PictureBatches.inOrder(pictures, batch)
    const predicted: Array<number> = []
    for (let i = 0; i < batches; i++) {
      const next = yield* at(i)
      predicted.push(...Array.from(yield* one(next.pictures)).slice(0, next.count * tasks))
    }
    const own = (values: ArrayLike<number>) =>
      Float64Array.from(values, (v, i) => v * unit.deviation[i % tasks]! + unit.mean[i % tasks]!)
    return scorers[metric](own(labels.data), own(predicted), tasks).mean
  })

/** The score of the run's present model on validation molecules. */
export const ofTick = (tick: Run.Tick<Vars>, task: Task) =>
  scored(task, task.validation, (pictures) =>
    Effect.map(tick.evaluate(predict, { pictures }), ({ predicted }) => predicted.data)
  )

/** The score of a finished model. */
export const ofVars = (vars: Tree.Host<Vars>, task: Task, part: PictureBatches.Labelled) =>
  Effect.scoped(
    Effect.flatMap(Finished.observed(vars, predict), (observe) =>
      scored(task, part, (pictures) => Effect.map(observe({ pictures }), ({ predicted }) => predicted.data))
    )
  )
