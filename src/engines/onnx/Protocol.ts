/** What the main thread and the worker of a compiled engine say to each other. */
import type { LeafType } from "../../compiler/graph/Graph.ts"
import type { Packed } from "../Packed.ts"
import type { Executable } from "../../compiler/onnx/Executable.ts"
import type { Provider } from "../../compiler/onnx/Onnx.ts"

/** How ONNX Runtime is to run executables. */
export interface ExecutableOptions {
  readonly provider: Provider
  readonly threads: number
  /** Whether threads without work wait for more by spinning. */
  readonly spinning: boolean
}

/** One step of a run. */
export interface Call {
  readonly executable: number
  /** Where the arrays that come along lie: from this word of what is packed; if below zero, lent under minus this number. */
  readonly brought: ReadonlyArray<number>
}

/** An array that the worker is to keep, because it comes along with run after run. */
export interface Loan {
  readonly id: number
  readonly dtype: "float32" | "int32"
  readonly at: number
  readonly length: number
}

/** What comes along with a run. */
export interface Load {
  readonly packed: Packed
  readonly lent: ReadonlyArray<Loan>
  /** TransferCache that have ended. */
  readonly returned: ReadonlyArray<number>
}

export type Request =
  | { readonly type: "load"; readonly executable: Executable; readonly options: ExecutableOptions }
  | { readonly type: "unload"; readonly executable: number }
  | {
      readonly type: "run"
      readonly held: ReadonlyArray<number>
      /** One after another, each on what the one before has left. */
      readonly calls: ReadonlyArray<Call>
      readonly load: Load
      /** Whether the held inputs end with this run, however it ends. */
      readonly consume: boolean
    }
  | { readonly type: "upload"; readonly types: ReadonlyArray<LeafType>; readonly packed: Packed }
  | { readonly type: "download"; readonly handles: ReadonlyArray<number> }
  | { readonly type: "release"; readonly handles: ReadonlyArray<number> }
  | { readonly type: "live" }
  | { readonly type: "close" }

/** What each request is answered with. */
export interface Replies {
  readonly load: number
  readonly unload: undefined
  readonly run: {
    /** What the last call has left, if none failed. */
    readonly kept: ReadonlyArray<number>
    /** What the calls have sent, end to end, as far as they went. */
    readonly sent: Packed
    readonly done: number
    /** Why the call after those failed. */
    readonly error: string | undefined
  }
  readonly upload: ReadonlyArray<number>
  readonly download: Packed
  readonly release: undefined
  readonly live: number
  readonly close: undefined
}

export interface Envelope {
  readonly id: number
  readonly request: Request
}
export type Answer =
  | { readonly id: number; readonly value: Replies[keyof Replies] }
  | { readonly id: number; readonly error: string }
