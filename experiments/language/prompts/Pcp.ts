/**
 * Prompt-based continued pretraining (PCP; Shi and Lipani 2023) in its four steps: prompts are learned from the labels that there are; what
 * was learned gives each training text a word; hidden tokens of the prompts with these words are learned; and prompts again.
 */
import * as Effect from "effect/Effect"
import { type Dataset, Level, type Optimizer, Problem, type Run, Split, type Tree, Var } from "tapweight"
import * as Finished from "../../common/Finished.ts"
import { masked } from "../objectives/Masked.ts"
import type * as Objective from "../objectives/Objective.ts"
import type { Kind } from "../tasks/Task.ts"
import type { Texts, Tokens } from "./Prompt.ts"
import * as Prompted from "./Prompted.ts"

/** A task as prompts. */
export interface Task extends Split.Split<Prompted.Labelled> {
  readonly kind: Kind
  readonly tokens: Tokens
  /** The prompt in rows of pretraining, which may be shorter. */
  readonly lines: Tokens
  /** Texts of the training part, whatever labels are known. */
  readonly texts: ReadonlyArray<Texts>
}

type Vars = { readonly omega: Prompted.Model }

/** The steps on a task; `setting` is that of rows with labels, `optimizer` that of so many updates. */
export const make = (
  setting: Objective.Setting,
  optimizer: Optimizer.Optimizer,
  { kind, lines, texts, tokens, train }: Task
) => {
  const batch = (labelled: Prompted.Labelled) => Math.min(setting.batch, labelled.texts.length)
  const data = Split.ofTrain(train, (labelled) =>
    Prompted.batches("prompts", { ...setting, batch: batch(labelled) }, tokens, labelled, kind)
  )
  const answer = ({ omega }: Vars, batch: Prompted.Asked) => ({
    answers: Prompted.answers(setting, tokens.words, omega, batch)
  })
  const predicted = <E, R>(texts: ReadonlyArray<Texts>, observe: Prompted.Observe<E, R>) =>
    Prompted.predicted(setting, kind, tokens, texts, observe)

  return {
    /** Steps 1 and 4: the words are learned as the classes' labels. */
    prompting: (from: Prompted.HostModel) => {
      const omega = Var.make("omega", () => from)
      return Problem.close(
        Level.minimize(omega, {
          name: "prompting",
          data,
          optimizer,
          objective: ({ omega }, batch) =>
            Prompted.lossOf(kind, Prompted.answers(setting, tokens.words, omega as Prompted.Model, batch), batch.labels)
        })
      )
    },
    /** What the run's present model predicts. */
    ofTick: (tick: Run.Tick<Vars>, asked: ReadonlyArray<Texts>) =>
      predicted(asked, (batch) => Effect.map(tick.evaluate(answer, batch), ({ answers }) => answers)),
    /** What a finished model predicts. */
    ofVars: (vars: Tree.Host<Vars>, asked: ReadonlyArray<Texts>) =>
      Effect.scoped(
        Effect.gen(function* () {
          const observe = yield* Finished.observed(vars, answer)
          return yield* predicted(asked, (batch) => Effect.map(observe(batch), ({ answers }) => answers))
        })
      ),
    /** Step 3: masked language modelling on the training texts with the words of these labels, which may be hidden as others are. */
    objective: (
      pretraining: Objective.Setting,
      labels: ReadonlyArray<number>,
      head: Prompted.HostModel["masked"]
    ): Objective.Objective<Dataset.DataError> =>
      masked(pretraining, Prompted.sentences("prompts with words", lines, { texts, labels }, kind), { head })
  }
}
