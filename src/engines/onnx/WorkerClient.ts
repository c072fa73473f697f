/** The main thread's end of a compiled engine's worker. */
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { EngineError } from "../Engine.ts"
import type { Answer, Replies, Request } from "./Protocol.ts"

/** What the engine did wrong; at no tick that is known here. */
export const failure = (kind: EngineError["kind"], reason: string): EngineError =>
  new EngineError({ kind, engine: "compiled", tick: null, reason })

/** A worker that answers requests one after another. */
export interface WorkerClient {
  /** Never hangs: a worker that dies fails this request and all later ones. Not interruptible, as a run cannot be. */
  readonly ask: <T extends Request["type"]>(
    request: Extract<Request, { readonly type: T }>,
    transfer?: ReadonlyArray<ArrayBuffer>
  ) => Effect.Effect<Replies[T], EngineError>
  /** Sends a request whose answer nobody waits for. */
  readonly tell: (request: Extract<Request, { readonly type: "release" }>) => void
  readonly worker: Worker
}

type Settle = (result: Effect.Effect<never, EngineError> | Effect.Effect<Replies[keyof Replies]>) => void

const died = (how: string): EngineError =>
  failure("Died", `its worker thread died (${how}), and with it the state it held: go on from the last checkpoint`)

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
    let dead: EngineError | undefined
    const end = (error: EngineError): void => {
      dead ??= error
      for (const settle of pending.values()) settle(Effect.fail(dead))
      pending.clear()
    }
    worker.on("message", (answer: Answer) => {
      const settle = pending.get(answer.id)
      pending.delete(answer.id)
      settle?.("error" in answer ? Effect.fail(failure("Threw", answer.error)) : Effect.succeed(answer.value))
    })
    worker.on("error", (error) => end(died(error instanceof Error ? error.message : String(error))))
    worker.on("exit", (code) => {
      process.off("exit", beforeExit)
      end(died(`exit code ${code}`))
    })
    const ask = (request: Request, transfer: ReadonlyArray<ArrayBuffer> = []) =>
      Effect.uninterruptible(
        Effect.callback<Replies[keyof Replies], EngineError>((resume) => {
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
