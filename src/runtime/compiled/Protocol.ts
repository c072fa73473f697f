/** What the main thread and the worker of a compiled engine say to each other. */
import { size } from "../../dsl/NdArray.ts"
import type { LeafType } from "./Trace.ts"
import type { Lowered, Source } from "./Lower.ts"

/** Numbers as they travel between threads. */
export type Numbers = Float32Array | Int32Array

/** Many arrays in one buffer, end to end: handing over each by itself would cost more than small ones hold. */
export type Packed = ArrayBuffer

/** A copy of arrays, to be handed over to another thread. */
export const pack = (arrays: ReadonlyArray<Numbers>): Packed => {
  const packed = new Int32Array(arrays.reduce((n, array) => n + array.length, 0))
  let at = 0
  for (const array of arrays) {
    packed.set(array instanceof Int32Array ? array : new Int32Array(array.buffer, array.byteOffset, array.length), at)
    at += array.length
  }
  return packed.buffer
}

/** The arrays that were packed, as views of the buffer. */
export const unpack = (types: ReadonlyArray<LeafType>, packed: Packed): ReadonlyArray<Numbers> => {
  let at = 0
  return types.map(({ dtype, shape }) => {
    const length = size(shape)
    const from = 4 * at
    at += length
    return dtype === "float32" ? new Float32Array(packed, from, length) : new Int32Array(packed, from, length)
  })
}

/** Part of a compiled function: a model and where its numbers come from. */
export interface Part {
  readonly model: Uint8Array | undefined
  readonly feeds: Lowered["feeds"]
  readonly draws: Lowered["draws"]
}

/** A compiled function as the worker keeps it. Its inputs are arrays that the worker holds, then arrays that come along. */
export interface Program extends Part {
  readonly inputs: ReadonlyArray<LeafType>
  /** Results that stay with the worker, then results that are sent back. */
  readonly kept: ReadonlyArray<Result>
  readonly sent: ReadonlyArray<Result>
  /** What makes the keys of the noise. */
  readonly keys: (Part & { readonly results: ReadonlyArray<Result> }) | undefined
}
export type Result = LeafType & { readonly source: Source }

/** How ONNX Runtime is to run programs. */
export interface SessionOptions {
  readonly threads: number
  /** Whether threads without work wait for more by spinning. */
  readonly spinning: boolean
}

export type Request =
  | { readonly type: "load"; readonly program: Program; readonly options: SessionOptions }
  | { readonly type: "unload"; readonly program: number }
  | {
      readonly type: "run"
      readonly program: number
      readonly held: ReadonlyArray<number>
      readonly brought: Packed
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
  readonly run: { readonly kept: ReadonlyArray<number>; readonly sent: Packed }
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
