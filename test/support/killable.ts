import * as Effect from "effect/Effect"
import * as Config from "../../src/runs/trial/Config.ts"
import * as Program from "../../src/runs/Program.ts"
import { triLevel } from "./programs.ts"

/** A stochastic three-level program that checkpoints often: something to kill. */
export default Program.make({
  name: "killable",
  description: "A three-level program that checkpoints every 5 ticks",
  config: Config.make({ schema: Program.Common, defaults: { seed: 3, ticks: 300 } }),
  prepare: () => Effect.void,
  problems: () => ({ killable: triLevel() }),
  run: (session, { problems, settings: { seed, ticks } }) =>
    Effect.map(
      session.trial("", {
        problem: problems.killable,
        seed,
        ticks,
        checkpointEvery: 5,
        validation: {
          every: 20,
          rows: 12,
          score: (tick) => Effect.succeed({ loss: tick.levels["reweight"]!.loss }),
          select: { metric: "loss", mode: "min" }
        }
      }),
      (outcome) => ({
        result: { tick: outcome.tick, selection: outcome.selection },
        text: `best at ${outcome.selection.best?.tick}`
      })
    )
})
