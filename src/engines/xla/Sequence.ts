/** Steps one after another, all started before the first is waited for. */
import * as Effect from "effect/Effect"
import type * as Tree from "../../dsl/values/Tree.ts"
import type { Compiled, Failure, Sequences } from "../Engine.ts"
import { deviceOf, heldBy } from "../Handles.ts"
import type * as Client from "./pjrt/Client.ts"
import type { DeviceArrays } from "./DeviceArrays.ts"
import { arraysOf, type Dispatch, received, short } from "./Dispatch.ts"
import { toFailure, whole } from "./Failure.ts"
import type { Loaded, Specialized } from "./Loaded.ts"

/** A step of this engine: a sequence needs its compiled forms. */
export interface Step extends Compiled<never, never, never> {
  readonly find: Specialized
}

/** See `Engine.Sequences`. */
export const make = (client: Client.Client, arrays: DeviceArrays, { begin }: Dispatch): Sequences["run"] =>
  Effect.fnUntraced(function* (device, given) {
    const { form: first, handles } = heldBy(device)
    let [form, tree]: [string, object] = [first, device]
    const calls: Array<{ readonly loaded: Loaded; readonly batch: ReadonlyArray<Client.Numbers> }> = []
    let failure: Failure | undefined
    for (const { batch, step } of given) {
      const loaded = yield* Effect.result((step as unknown as Step).find(tree, form, batch))
      if (loaded._tag === "Failure") {
        failure = loaded.failure
        break
      }
      calls.push({ loaded: loaded.success, batch: arraysOf(loaded.success.batch, batch) })
      form = loaded.success.kept.form
      tree = loaded.success.kept.tree
    }
    const metrics: Array<Tree.Host<never>> = []
    const started = performance.now()
    // The first step leaves the state it is given; each of the others takes over what the one before leaves.
    let state = arrays.buffersOf(handles)
    const alike = new Set<Client.Numbers>()
    const sent: Array<ReadonlyArray<Client.DeviceBuffer>> = []
    try {
      for (const [i, { batch, loaded }] of calls.entries()) {
        const before = state
        try {
          const made = begin(loaded, before, batch, i > 0, alike)
          state = [...made.kept]
          sent.push(made.sent)
        } finally {
          if (i > 0) client.release(before)
        }
      }
    } catch (cause) {
      failure = toFailure(cause)
      state = []
    }
    const long = calls.some(({ loaded }) => loaded.milliseconds > short)
    const downloaded = (buffers: ReadonlyArray<Client.DeviceBuffer>) =>
      Effect.result(whole({ try: () => client.download(buffers, long), catch: toFailure }))
    const all = yield* downloaded(sent.flat())
    let next = 0
    for (const [i, buffers] of sent.entries()) {
      // Which of the steps failed, only they can tell.
      const list = all._tag === "Failure" ? yield* downloaded(buffers) : undefined
      if (list?._tag === "Failure") {
        failure = list.failure
        break
      }
      const numbers = all._tag === "Success" ? all.success.slice(next, (next += buffers.length)) : list!.success
      metrics.push(received(calls[i]!.loaded.sent, numbers))
    }
    if (all._tag === "Failure") failure ??= all.failure
    for (const buffers of sent) client.release(buffers)
    const each = (performance.now() - started) / Math.max(1, calls.length)
    for (const { loaded } of calls) loaded.milliseconds = each
    if (failure === undefined && calls.length > 0) {
      const after = deviceOf(calls.at(-1)!.loaded.kept, arrays.keep(state))
      return { metrics: metrics as never, state: after, failure, bytes: 0 }
    }
    if (sent.length > 0) client.release(state)
    return { metrics: metrics as never, state: undefined, failure, bytes: 0 }
  }, Effect.uninterruptible)
