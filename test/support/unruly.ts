import { renameSync, rmSync } from "node:fs"
import * as tf from "@tensorflow/tfjs-core"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Init from "../../src/models/Init.ts"
import * as Config from "../../src/runs/trial/Config.ts"
import * as Program from "../../src/runs/Program.ts"

const ways = ["no", "throw", "object", "deaf", "delete", "move"] as const

/** Several hundred products of large matrices: a step that takes minutes, or next to no time. */
const heavy = (width: number) =>
  Problem.close(
    Level.minimize(Var.make("x", Init.zeros([width, width])), {
      name: "heavy",
      data: Dataset.none,
      optimizer: Optimizer.sgd(0.1),
      objective: ({ x }) => {
        let y: tf.Tensor2D = x
        for (let i = 0; i < 40; i++) y = tf.tanh(tf.matMul(y, x))
        return tf.sum(y)
      }
    })
  )

/** What a program does, after its tenth tick, that it should not. */
const misdeeds = (folder: string): { readonly [way in (typeof ways)[number]]: Effect.Effect<unknown> } => ({
  no: Effect.void,
  throw: Effect.sync(() =>
    setTimeout(() => {
      throw new RangeError("too late")
    })
  ),
  object: Effect.sync(() => void Promise.reject({ code: 7, why: "no reason" })),
  deaf: Effect.uninterruptible(Effect.andThen(Console.error("deaf"), Effect.never)),
  delete: Effect.sync(() => rmSync(folder, { recursive: true })),
  move: Effect.sync(() => renameSync(folder, `${folder}-moved`))
})

/** A program that misbehaves. */
export default Program.make({
  name: "unruly",
  description: "A program that misbehaves",
  config: Config.make({
    schema: Schema.Struct({ ...Program.common, way: Schema.Literals(ways), width: Schema.Int }),
    defaults: { seed: 3, ticks: 40, way: "no", width: 2 }
  }),
  prepare: () => Effect.void,
  problems: (_, { width }) => ({ unruly: heavy(width) }),
  run: (session, { problems, settings: { seed, ticks, way } }) =>
    Effect.map(
      session.trial("", {
        problem: problems.unruly,
        seed,
        ticks,
        checkpointEvery: 5,
        validation: {
          every: 10,
          rows: 1,
          score: (tick) =>
            Effect.as(tick.index === 10 ? misdeeds(session.folder.path)[way] : Effect.sleep("20 millis"), { loss: 1 })
        }
      }),
      (outcome) => ({ result: { tick: outcome.tick }, text: `tick ${outcome.tick}` })
    )
})
