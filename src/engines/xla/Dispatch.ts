/** Runs of compiled functions: started on arrays of the device, and what they send waited for. */
import type * as Effect from "effect/Effect"
import type * as Tree from "../../dsl/values/Tree.ts"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import { outsideOf } from "../../runtime/step/Numbering.ts"
import type { Failure } from "../Engine.ts"
import { collect, deviceOf, hostOf, leavesOf, type Shaped, type Types } from "../Handles.ts"
import type * as Client from "./pjrt/Client.ts"
import type { DeviceArrays } from "./DeviceArrays.ts"
import { toFailure, whole } from "./Failure.ts"
import type { Loaded } from "./Loaded.ts"
import type { UploadCache } from "./UploadCache.ts"

/** Milliseconds up to which waiting on this thread costs less than being told from another. */
export const short = 4

export const arraysOf = (types: Types, batch: unknown): ReadonlyArray<Client.Numbers> => {
  const numbers: Array<Client.Numbers> = []
  collect(types, batch, numbers)
  return numbers
}

/** What was sent, in its structure. */
export const received = (sent: Shaped, list: ReadonlyArray<Client.Numbers>): Tree.Host<never> =>
  hostOf(sent, (list[0]?.buffer ?? new ArrayBuffer(0)) as ArrayBuffer)

export interface Dispatch {
  /** Starts a function: what it keeps and what it sends, on the device. Throws. */
  readonly begin: (
    loaded: Loaded,
    state: ReadonlyArray<Client.DeviceBuffer>,
    numbers: ReadonlyArray<Client.Numbers>,
    donate: boolean,
    /** Arrays of batches that are known to be as they were: of calls that follow one another at once. */
    alike?: Set<Client.Numbers>
  ) => Record<"kept" | "sent", ReadonlyArray<Client.DeviceBuffer>>
  /** Starts a function and waits for what it sends; `owns` where the state is consumed. */
  readonly run: (
    loaded: Loaded,
    numbers: ReadonlyArray<Client.Numbers>,
    handles: ReadonlyArray<number>,
    owns: boolean
  ) => Effect.Effect<readonly [never, Tree.Host<never>], Failure>
}

export const make = (client: Client.Client, arrays: DeviceArrays, uploads: UploadCache): Dispatch => {
  const begin: Dispatch["begin"] = (
    { batch, executable, kept, numberings },
    state,
    numbers,
    donate,
    alike = new Set()
  ) => {
    const failure = outsideOf(numberings, numbers)
    if (failure !== undefined) throw failure
    const types = leavesOf<LeafType>(batch)
    const brought: Array<Client.DeviceBuffer> = []
    const passing: Array<Client.DeviceBuffer> = []
    try {
      for (const [i, array] of numbers.entries()) {
        const uploaded = uploads.upload(array, types[i]!, alike)
        brought.push(uploaded.buffer)
        if (uploaded.passing) passing.push(uploaded.buffer)
      }
      const made = client.execute(executable, [...state, ...brought], donate ? state.length : 0)
      const count = kept.leaves.length
      return { kept: made.slice(0, count), sent: made.slice(count) }
    } finally {
      client.release(passing)
    }
  }

  const run: Dispatch["run"] = (loaded, numbers, handles, owns) =>
    whole({
      try: async () => {
        const started = performance.now()
        const made = (() => {
          try {
            return begin(loaded, arrays.buffersOf(handles), numbers, owns)
          } finally {
            if (owns) arrays.drop(handles)
          }
        })()
        try {
          const list = await client.download(made.sent, loaded.milliseconds > short)
          loaded.milliseconds = performance.now() - started
          return [deviceOf(loaded.kept, arrays.keep(made.kept)), received(loaded.sent, list)] as const
        } catch (cause) {
          client.release(made.kept)
          throw cause
        } finally {
          client.release(made.sent)
        }
      },
      catch: toFailure
    })

  return { begin, run }
}
