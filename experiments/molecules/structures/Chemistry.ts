/** A pool of worker threads that run RDKit. */
import { Worker } from "node:worker_threads"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Pool from "effect/Pool"
import * as Schema from "effect/Schema"
import type { Kind, Packed } from "./Records.ts"
import type { Answer, Request } from "./worker.ts"

/** RDKit's worker thread has died. Molecules that RDKit refuses are no error. */
export class ChemistryError extends Schema.TaggedError<ChemistryError>()("ChemistryError", {
  reason: Schema.String
}) {
  override get message(): string {
    return `RDKit: ${this.reason}`
  }
}

/** Threads where nothing else is said. */
export const defaultWorkers = 2

/** Works records out of SMILES. */
export class Chemistry extends Context.Service<
  Chemistry,
  {
    /** Calls that are worked on at the same time. */
    readonly workers: number
    /** One record for each SMILES, in order; empty where RDKit refuses the molecule. */
    readonly records: (kind: Kind, smiles: ReadonlyArray<string>) => Effect.Effect<Packed, ChemistryError>
  }
>()("tapweight/data/Chemistry") {}

interface Thread {
  readonly ask: (kind: Kind, smiles: ReadonlyArray<string>) => Effect.Effect<Packed, ChemistryError>
}

const thread = Effect.acquireRelease(
  Effect.sync((): Thread & { readonly worker: Worker } => {
    const worker = new Worker(new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url))
    // A pool that waits for work keeps no process alive.
    worker.unref()
    const pending = new Map<number, (result: Effect.Effect<Packed, ChemistryError>) => void>()
    let dead: ChemistryError | undefined
    let next = 0
    const end = (how: string): void => {
      dead ??= new ChemistryError({ reason: `a worker thread died (${how})` })
      for (const settle of pending.values()) settle(Effect.fail(dead))
      pending.clear()
    }
    worker.on("message", ({ id, packed }: Answer) => {
      pending.get(id)?.(Effect.succeed(packed))
      pending.delete(id)
      if (pending.size === 0) worker.unref()
    })
    worker.on("error", (error) => end(error instanceof Error ? error.message : String(error)))
    worker.on("exit", (code) => end(`exit code ${code}`))
    const ask = (kind: Kind, smiles: ReadonlyArray<string>) =>
      Effect.callback<Packed, ChemistryError>((resume) => {
        if (dead !== undefined) return resume(Effect.fail(dead))
        worker.ref()
        pending.set(next, resume)
        worker.postMessage({ id: next++, kind, smiles } satisfies Request, [])
      })
    return { ask, worker }
  }),
  ({ worker }) => Effect.promise(() => worker.terminate())
)

/** A pool of this many threads, each started when it is first needed and ended with the scope. */
export const layer = (options: { readonly workers?: number } = {}): Layer.Layer<Chemistry> => {
  const workers = options.workers ?? defaultWorkers
  if (!Number.isInteger(workers) || workers < 1) {
    throw new RangeError(`Chemistry: ${workers} workers; give a whole number of at least 1`)
  }
  return Layer.effect(
    Chemistry,
    Effect.gen(function* () {
      const pool = yield* Pool.makeWithTTL({ acquire: thread, min: 0, max: workers, timeToLive: "1 minute" })
      const records = Effect.fnUntraced(function* (kind: Kind, smiles: ReadonlyArray<string>) {
        const one = yield* Pool.get(pool)
        return yield* Effect.onError(one.ask(kind, smiles), () => Pool.invalidate(pool, one))
      }, Effect.scoped)
      return { workers, records }
    })
  )
}
