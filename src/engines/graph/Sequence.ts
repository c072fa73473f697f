/** Steps one after another in one request. */
import * as Effect from "effect/Effect"
import type * as Tree from "../../dsl/values/Tree.ts"
import { outsideOf } from "../../runtime/step/Numbering.ts"
import { type Compiled, EngineError, type Failure, type Sequences } from "../Engine.ts"
import { collect, deviceOf, heldBy, hostOf } from "../Handles.ts"
import type { Numbers } from "../Packed.ts"
import type { Backend, Call, Loaded } from "./Backend.ts"

/** The forms of one function, by what it is called with. */
export interface Specialized<L> {
  /** The form for a state and this batch, whose arrays are added to `found`. */
  readonly find: (form: string, batch: unknown, found: Array<Numbers>) => L | undefined
  readonly load: (state: object, form: string, batch: unknown) => Effect.Effect<L, Failure>
}

/** A step of one engine, with the forms it has taken so far. */
export class CompiledStep<S extends Tree.Tree, B extends Tree.Tree, M extends Tree.Tree> implements Compiled<S, B, M> {
  readonly owner: object
  readonly forms: Specialized<Loaded>
  readonly run: Compiled<S, B, M>["run"]
  constructor(owner: object, forms: Specialized<Loaded>, run: Compiled<S, B, M>["run"]) {
    this.owner = owner
    this.forms = forms
    this.run = run
  }
}

/** See `Engine.Sequences`. */
export const make = <L extends Loaded>(backend: Backend<L>): Sequences["run"] =>
  Effect.fnUntraced(function* (state, given) {
    const { form: first, handles } = heldBy(state)
    let [form, tree]: [string, object] = [first, state]
    const calls: Array<Call<L>> = []
    let failure: Failure | undefined
    for (const { batch, step } of given) {
      if (!(step instanceof CompiledStep) || step.owner !== backend) {
        const reason = "a step that another engine has compiled was given to this one"
        failure = new EngineError({ kind: "Refused", engine: backend.name, tick: null, reason })
        break
      }
      const { find, load } = step.forms as Specialized<L>
      const arrays: Array<Numbers> = []
      let loaded = find(form, batch, arrays)
      if (loaded === undefined) {
        const made = yield* Effect.result(load(tree, form, batch))
        if (made._tag === "Failure") {
          failure = made.failure
          break
        }
        loaded = made.success
        collect(loaded.batch, batch, arrays)
      }
      failure = outsideOf(loaded.numberings, arrays)
      if (failure !== undefined) break
      calls.push({ loaded, arrays })
      form = loaded.kept.form
      tree = loaded.kept.tree
    }
    if (calls.length === 0) return { metrics: [], state: undefined, failure, bytes: 0 }
    const reply = yield* Effect.result(backend.run(calls, handles, false))
    if (reply._tag === "Failure") return { metrics: [], state: undefined, failure: reply.failure, bytes: 0 }
    const { bytes, done, error, kept, sent } = reply.success
    let words = 0
    const metrics = calls.slice(0, error === undefined ? calls.length : done).map(({ loaded }) => {
      const found = hostOf(loaded.sent, sent, words)
      words += loaded.sent.words
      return found
    })
    const after = error === undefined ? deviceOf(calls.at(-1)!.loaded.kept, kept) : undefined
    failure = error ?? failure
    if (failure !== undefined && after !== undefined) yield* backend.release(kept)
    return { metrics: metrics as never, state: failure === undefined ? after : undefined, failure, bytes }
  }, Effect.uninterruptible)
