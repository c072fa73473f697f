/** The main thread's end of a compiled engine's worker. */
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Failure } from "../Engine.ts"
import type { Answer, Replies, Request } from "./Protocol.ts"

/** A request that was not carried out. `Died`: the worker is gone, and with it every number it held. */
export class WorkerError extends Schema.TaggedError<WorkerError>()("WorkerError", {
  kind: Schema.Literals(["Failed", "Died"]),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** What a request that was not carried out means to a step. */
export const failure = ({ reason }: WorkerError): Failure => ({ level: "", reason })

/** A worker that answers requests one after another. */
export interface WorkerClient {
  /** Never hangs: a worker that dies fails this request and all later ones. Not interruptible, as a run cannot be. */
  readonly ask: <T extends Request["type"]>(
    request: Extract<Request, { readonly type: T }>,
    transfer?: ReadonlyArray<ArrayBuffer>
  ) => Effect.Effect<Replies[T], WorkerError>
  /** Sends a request whose answer nobody waits for. */
  readonly tell: (request: Extract<Request, { readonly type: "release" }>) => void
  readonly worker: Worker
}

type Settle = (result: Effect.Effect<never, WorkerError> | Effect.Effect<Replies[keyof Replies]>) => void

const died = (how: string): WorkerError =>
  new WorkerError({
    kind: "Died",
    reason: `the engine's worker thread died (${how}), and with it the state it held: go on from the last checkpoint`
  })

const longestRun = 60_000

/**
 * ONNX Runtime would keep a device id and a database of events in the user's cache folder, and send them. It reads this
 * when it is loaded, from the environment of the process: a worker's own `env` is a copy that native code never sees.
 */
const disableTelemetry = (): void => {
  process.env["ORT_DISABLE_TELEMETRY"] = "1"
}

/** Starts a worker; the scope's end lets a run in progress finish and then ends the worker. */
export const make: Effect.Effect<WorkerClient, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    disableTelemetry()
    const flags = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(
      new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url),
      { workerData: flags }
    )
    // A process that exits ends its threads, and one that is inside of ONNX Runtime would abort instead.
    const beforeExit = (): void => {
      Atomics.store(flags, 1, 1)
      Atomics.wait(flags, 0, 1, longestRun)
    }
    process.on("exit", beforeExit)
    const pending = new Map<number, Settle>()
    let next = 0
    let dead: WorkerError | undefined
    const end = (error: WorkerError): void => {
      dead ??= error
      for (const settle of pending.values()) settle(Effect.fail(dead))
      pending.clear()
    }
    worker.on("message", (answer: Answer) => {
      const settle = pending.get(answer.id)
      pending.delete(answer.id)
      settle?.(
        "error" in answer
          ? Effect.fail(new WorkerError({ kind: "Failed", reason: answer.error }))
          : Effect.succeed(answer.value)
      )
    })
    worker.on("error", (error) => end(died(error instanceof Error ? error.message : String(error))))
    worker.on("exit", (code) => {
      process.off("exit", beforeExit)
      end(died(`exit code ${code}`))
    })
    const ask = (request: Request, transfer: ReadonlyArray<ArrayBuffer> = []) =>
      Effect.uninterruptible(
        Effect.callback<Replies[keyof Replies], WorkerError>((resume) => {
          if (dead !== undefined) return resume(Effect.fail(dead))
          pending.set(next, resume)
          worker.postMessage({ id: next++, request }, transfer)
        })
      )
    const tell = (request: Request): void => {
      if (dead === undefined) worker.postMessage({ id: next++, request }, [])
    }
    return { ask, tell, worker } as WorkerClient
  }),
  ({ ask, worker }) =>
    // Terminating a worker inside of a run would abort the process: it is asked to end, behind whatever it is doing.
    Effect.andThen(
      Effect.ignore(ask({ type: "close" })),
      Effect.callback<void>((resume) => {
        if (worker.threadId === -1) return resume(Effect.void)
        worker.once("exit", () => resume(Effect.void))
      })
    )
)
