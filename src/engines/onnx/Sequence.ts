/** Steps one after another in one request. */
import * as Effect from "effect/Effect"
import type { Compiled, EngineError, Failure, Sequences } from "../Engine.ts"
import type { Called, ChainCache } from "./ChainCache.ts"
import type { Piece } from "../../compiler/onnx/Chain.ts"
import type * as Tree from "../../dsl/Tree.ts"
import { collect, deviceOf, heldBy, hostOf, type Shaped, type Types } from "../Handles.ts"
import { type Numbered, outsideOf } from "../../runtime/step/Numbering.ts"
import type { Numbers } from "../Packed.ts"
import type { Replies } from "./Protocol.ts"
import { failure as engineFailure } from "./WorkerClient.ts"

/** A executable in the worker, with the trees of what it takes, keeps and sends back. */
export interface Loaded {
  readonly id: number
  readonly piece: Piece
  readonly batch: Types
  readonly kept: Shaped
  readonly sent: Shaped
  /** Which arrays of a batch number rows or classes. */
  readonly numberings: ReadonlyArray<Numbered>
}

/** The executables of one function. */
export interface Specialized {
  /** The executable for a state of this form and this batch, whose arrays are added to `found`. */
  readonly find: (form: string, batch: unknown, found: Array<Numbers>) => Loaded | undefined
  readonly load: (state: object, form: string, batch: unknown) => Effect.Effect<Loaded, Failure>
}

/** A step of one engine, with the executables it has become so far. */
export class CompiledStep<S extends Tree.Tree, B extends Tree.Tree, M extends Tree.Tree> implements Compiled<S, B, M> {
  readonly owner: object
  readonly executables: Specialized
  readonly run: Compiled<S, B, M>["run"]
  constructor(owner: object, executables: Specialized, run: Compiled<S, B, M>["run"]) {
    this.owner = owner
    this.executables = executables
    this.run = run
  }
}

/** What running sequences needs of an engine. */
interface Needs {
  /** Whose steps are run. */
  readonly owner: object
  readonly shorten: ChainCache["shorten"]
  readonly ran: (
    calls: ReadonlyArray<Pick<Called, "id" | "arrays">>,
    held: ReadonlyArray<number>,
    consume: boolean
  ) => Effect.Effect<Replies["run"] & { readonly bytes: number }, EngineError>
  readonly release: (device: object) => Effect.Effect<void>
}

/** See `Engine.Sequences`. */
export const make = ({ owner, ran, release, shorten }: Needs): Sequences["run"] => {
  return Effect.fnUntraced(function* (state, given) {
    const { form: first, handles } = heldBy(state)
    let [form, tree]: [string, object] = [first, state]
    const calls: Array<Loaded & Called> = []
    let failure: Failure | undefined
    for (const { batch, step } of given) {
      if (!(step instanceof CompiledStep) || step.owner !== owner) {
        failure = engineFailure("Refused", "a step that another engine has compiled was given to this one")
        break
      }
      const { find, load } = step.executables
      const arrays: Array<Numbers> = []
      let executable = find(form, batch, arrays)
      if (executable === undefined) {
        const made = yield* Effect.result(load(tree, form, batch))
        if (made._tag === "Failure") {
          failure = made.failure
          break
        }
        executable = made.success
        collect(executable.batch, batch, arrays)
      }
      failure = outsideOf(executable.numberings, arrays)
      if (failure !== undefined) break
      calls.push({ ...executable, arrays })
      form = executable.kept.form
      tree = executable.kept.tree
    }
    if (calls.length === 0) return { metrics: [], state: undefined, failure, bytes: 0 }
    const shorter = yield* shorten(calls)
    let reply = yield* Effect.result(ran(shorter, handles, false))
    // Which of the steps failed, only they can tell.
    if (reply._tag === "Success" && reply.success.error !== undefined && shorter.length < calls.length)
      reply = yield* Effect.result(ran(calls, handles, false))
    if (reply._tag === "Failure") return { metrics: [], state: undefined, failure: reply.failure, bytes: 0 }
    const { bytes, done, error, kept, sent } = reply.success
    let words = 0
    const metrics = calls.slice(0, error === undefined ? calls.length : done).map((call) => {
      const found = hostOf(call.sent, sent, words)
      words += call.sent.words
      return found
    })
    const after = error === undefined ? deviceOf(calls.at(-1)!.kept, kept) : undefined
    if (error !== undefined) failure = engineFailure("Threw", error)
    if (failure !== undefined && after !== undefined) yield* release(after)
    return { metrics: metrics as never, state: failure === undefined ? after : undefined, failure, bytes }
  }, Effect.uninterruptible)
}
