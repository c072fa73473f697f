/** A pool of worker threads that run RDKit. */
import { Worker as Thread } from "node:worker_threads"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Pool from "effect/Pool"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import { ExitCode } from "tapweight"
import * as Worker from "effect/workers/Worker"
import type { Description, Descriptor } from "./Descriptor.ts"
import * as Limits from "./Limits.ts"
import type { Request } from "./worker.ts"

/** RDKit's worker thread has died. Molecules that RDKit refuses are no error. */
export class ChemistryError extends Schema.TaggedError<ChemistryError>()("ChemistryError", {
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.failed
  }
  override get message(): string {
    return `RDKit: ${this.reason}`
  }
}

/** Threads where nothing else is said. */
export const defaultWorkers = 2

/** Describes molecules, given by their SMILES. */
export class Chemistry extends Context.Service<
  Chemistry,
  {
    /** Calls that are worked on at the same time. */
    readonly workers: number
    /**
     * One description for each SMILES, in order. A molecule that takes more than `seconds` of processor time is dropped
     * ({@link Limits.defaults} where absent); it is not counted how large it is.
     */
    readonly describe: (
      descriptor: Descriptor,
      smiles: ReadonlyArray<string>,
      options?: { readonly seconds?: number }
    ) => Effect.Effect<ReadonlyArray<Description>, ChemistryError>
  }
>()("tapweight/data/Chemistry") {}

/** Between two looks at what a thread is busy with. */
const pause = 250

const spawn = (): Thread =>
  new Thread(new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url))

const died = (how: string): ChemistryError => new ChemistryError({ reason: `a worker thread died (${how})` })

/** One worker thread, which describes one list after another. */
const worker = Effect.gen(function* () {
  const thread = spawn()
  // A pool that waits for work keeps no process alive.
  thread.unref()
  const rpc = yield* (yield* Worker.WorkerPlatform)
    .spawn<Description, Request>(0)
    .pipe(Effect.provide(Worker.layerSpawner(() => thread)), Effect.orDie)
  let answers: Array<Description> = []
  let wanted = 0
  let complete = Deferred.makeUnsafe<void>()
  const ready = Deferred.makeUnsafe<void>()
  const inbox = yield* Effect.forkScoped(
    rpc.run(
      (description) =>
        Effect.sync(() => {
          answers.push(description)
          if (answers.length === wanted) Deferred.doneUnsafe(complete, Effect.void)
        }),
      { onSpawn: Effect.asVoid(Deferred.succeed(ready, undefined)) }
    )
  )
  yield* Effect.addFinalizer(() => {
    // One that was let go would not keep the process alive until it has ended.
    thread.ref()
    return Effect.promise(() => thread.terminate())
  })
  const lost = Effect.catch(Fiber.join(inbox), (error) => Effect.fail(died(error.message)))
  const processor = Effect.promise(() => thread.cpuUsage()).pipe(
    Effect.map(({ system, user }) => (system + user) / 1e6),
    // A thread that has ended answers nothing; that it has is heard elsewhere.
    Effect.catchDefect(() => Effect.never)
  )
  /** Ends when one molecule has taken so long. The clock on the wall would count what else the machine does. */
  const watch = Effect.fnUntraced(function* (seconds: number) {
    for (let [current, begun] = [-1, 0]; ;) {
      yield* Effect.sleep(pause)
      const used = yield* processor
      if (answers.length !== current) [current, begun] = [answers.length, used]
      else if (used - begun >= seconds) return
    }
  })
  /** Descriptions in order; fewer than asked for where one took too long, after which the thread is of no use. */
  const describe = Effect.fnUntraced(function* (
    descriptor: Descriptor,
    smiles: ReadonlyArray<string>,
    seconds: number
  ) {
    ;[answers, wanted, complete] = [[], smiles.length, Deferred.makeUnsafe<void>()]
    // Starting RDKit is no molecule's time.
    yield* Effect.raceFirst(Deferred.await(ready), lost)
    yield* Effect.mapError(rpc.send({ descriptor, smiles }), (error) => died(error.message))
    yield* Effect.raceAllFirst([Deferred.await(complete), lost, watch(seconds)])
    return answers
  })
  /** Keeps the process alive while there is work. */
  const working = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => thread.ref()),
      () => effect,
      () => Effect.sync(() => thread.unref())
    )
  return { describe: (...request: Parameters<typeof describe>) => working(describe(...request)) }
})

/** A pool of this many threads, each started when it is first needed and ended with the scope. */
export const layer = (options: { readonly workers?: number } = {}): Layer.Layer<Chemistry> => {
  const workers = options.workers ?? defaultWorkers
  if (!Number.isInteger(workers) || workers < 1) {
    throw new RangeError(`Chemistry: ${workers} workers; give a whole number of at least 1`)
  }
  return Layer.effect(
    Chemistry,
    Effect.gen(function* () {
      const pool = yield* Pool.makeWithTTL({ acquire: worker, min: 0, max: workers, timeToLive: "1 minute" })
      /** What one thread makes of a list, up to a molecule that takes it too long. */
      const round = Effect.fnUntraced(function* (
        descriptor: Descriptor,
        smiles: ReadonlyArray<string>,
        seconds: number
      ) {
        const one = yield* Pool.get(pool)
        const answers = yield* Effect.onError(one.describe(descriptor, smiles, seconds), () =>
          Pool.invalidate(pool, one)
        )
        if (answers.length === smiles.length) return answers
        yield* Pool.invalidate(pool, one)
        return [...answers, { reason: "seconds", limit: seconds } as const]
      }, Effect.scoped)
      const describe = Effect.fnUntraced(function* (
        descriptor: Descriptor,
        smiles: ReadonlyArray<string>,
        { seconds = Limits.defaults.seconds }: { readonly seconds?: number } = {}
      ) {
        const all: Array<Description> = []
        while (all.length < smiles.length) all.push(...(yield* round(descriptor, smiles.slice(all.length), seconds)))
        return all
      })
      return { workers, describe }
    })
  ).pipe(Layer.provide(NodeWorker.layerPlatform))
}
