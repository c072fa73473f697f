/** WebAssembly on this thread: functions are modules of their own, arrays lie in a memory that they share. */
import * as Effect from "effect/Effect"
import { CompileError } from "../../compiler/graph/CompileError.ts"
import { lower } from "../../compiler/webassembly/Lower.ts"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import { EngineError } from "../Engine.ts"
import type { Backend, Call, Loaded, Reply } from "../graph/Backend.ts"
import { loadedOf } from "../graph/Recording.ts"
import type { Numbers } from "../Packed.ts"
import { Heap } from "./Heap.ts"
import { Instance } from "./Instance.ts"

/** A function as a module in the heap. */
export interface WebAssemblyLoaded extends Loaded {
  readonly instance: Instance
}

/** An array in the heap. */
interface Held {
  readonly address: number
  readonly words: number
}

const failure = (kind: EngineError["kind"], cause: unknown): EngineError =>
  new EngineError({
    kind,
    engine: "webassembly",
    tick: null,
    reason: typeof cause === "string" ? cause : Sentence.of(cause)
  })

class WebAssemblyBackend implements Backend<WebAssemblyLoaded> {
  readonly name = "webassembly"
  readonly #heap = new Heap()
  readonly #held = new Map<number, Held>()
  #next = 1
  /** What programs use while they run: one at a time. */
  #scratch: Held = { address: 0, words: 0 }

  #get(handle: number): Held {
    const held = this.#held.get(handle)
    if (held === undefined) throw failure("Threw", "a state is used after it was consumed by a step or released")
    return held
  }
  #hold(held: Held): number {
    this.#held.set(this.#next, held)
    return this.#next++
  }
  #drop(handles: Iterable<number>): void {
    for (const handle of new Set(handles)) {
      const held = this.#held.get(handle)
      if (held === undefined) continue
      this.#held.delete(handle)
      this.#heap.free(held.address, held.words)
    }
  }

  readonly load: Backend<WebAssemblyLoaded>["load"] = (recorded) =>
    Effect.try({
      try: () => {
        const program = lower(recorded.inputs, recorded.keeps, recorded.sends)
        const instance = new Instance(program, this.#heap)
        if (program.scratch > this.#scratch.words) {
          if (this.#scratch.words > 0) this.#heap.free(this.#scratch.address, this.#scratch.words)
          this.#scratch = { address: this.#heap.allocate(program.scratch), words: program.scratch }
        }
        return { ...loadedOf(recorded), instance }
      },
      catch: (cause) => (cause instanceof CompileError ? cause : failure("Refused", cause))
    })

  readonly unload = ({ instance }: WebAssemblyLoaded): Effect.Effect<void> => Effect.sync(() => instance.end())

  readonly run: Backend<WebAssemblyLoaded>["run"] = (calls, held, consume) =>
    Effect.try({
      try: () => this.#run(calls, held, consume),
      catch: (cause) => {
        if (consume) this.#drop(held)
        return cause instanceof EngineError ? cause : failure("Threw", cause)
      }
    })

  #run(calls: ReadonlyArray<Call<WebAssemblyLoaded>>, handles: ReadonlyArray<number>, consume: boolean): Reply {
    const heap = this.#heap
    const start = handles.map((handle) => this.#get(handle))
    const total = calls.reduce((sum, { loaded }) => sum + loaded.instance.program.sent, 0)
    const list = heap.allocate(total)
    const brought = new Map<Numbers, Held>()
    const bring = (array: Numbers): Held => {
      const known = brought.get(array)
      if (known !== undefined) return known
      const held = { address: heap.write(array), words: array.length }
      brought.set(array, held)
      return held
    }
    let state: ReadonlyArray<Held> = start
    // What these calls have made and is part of the present state.
    let own: ReadonlyArray<Held> = []
    let [done, sent] = [0, 0]
    let error: EngineError | undefined
    try {
      for (const { arrays, loaded } of calls) {
        const { instance } = loaded
        const { kept, outputs, sent: words } = instance.program
        const inputs = [...state, ...arrays.map(bring)]
        const made = outputs.map((length): Held => ({ address: heap.allocate(length), words: length }))
        const reason = instance.run(this.#scratch.address, list + 4 * sent, inputs, made)
        state = reason === undefined ? kept.map(({ from, index }) => (from === "input" ? inputs : made)[index]!) : []
        const passed = kept.some(({ from }) => from === "input") ? own.filter((each) => state.includes(each)) : []
        for (const each of reason === undefined ? own : [...own, ...made])
          if (!passed.includes(each)) heap.free(each.address, each.words)
        own = [...made, ...passed]
        if (reason !== undefined) {
          error = failure("Threw", reason)
          break
        }
        sent += words
        done++
      }
      const packed = heap.words.buffer.slice(list, list + 4 * sent)
      return {
        kept: error === undefined ? this.#keep(handles, start, state, own, consume) : [],
        sent: packed,
        done,
        error,
        bytes: this.#bytes(brought)
      }
    } finally {
      if (error !== undefined && consume) this.#drop(handles)
      for (const { address, words } of brought.values()) heap.free(address, words)
      heap.free(list, total)
    }
  }

  #bytes(brought: ReadonlyMap<Numbers, Held>): number {
    let bytes = 0
    for (const { words } of brought.values()) bytes += 4 * words
    return bytes
  }

  /** Holds a state: what is passed on keeps its number, and what stands in it twice has one. */
  #keep(
    handles: ReadonlyArray<number>,
    start: ReadonlyArray<Held>,
    state: ReadonlyArray<Held>,
    own: ReadonlyArray<Held>,
    consume: boolean
  ): ReadonlyArray<number> {
    const known = new Map<Held, number>()
    if (consume) for (const [i, handle] of handles.entries()) known.set(start[i]!, handle)
    const kept = state.map((held): number => {
      const handle =
        known.get(held) ??
        this.#hold(
          own.includes(held) ? held : { address: this.#heap.copy(held.address, held.words), words: held.words }
        )
      known.set(held, handle)
      return handle
    })
    const surviving = new Set(kept)
    if (consume) this.#drop(handles.filter((handle) => !surviving.has(handle)))
    return kept
  }

  readonly upload: Backend<WebAssemblyLoaded>["upload"] = (_, arrays) =>
    Effect.try({
      try: () => arrays.map((array) => this.#hold({ address: this.#heap.write(array), words: array.length })),
      catch: (cause) => failure("Threw", cause)
    })

  readonly download: Backend<WebAssemblyLoaded>["download"] = (handles) =>
    Effect.try({
      try: () => {
        const arrays = handles.map((handle) => this.#get(handle))
        const packed = new Int32Array(arrays.reduce((sum, { words }) => sum + words, 0))
        let at = 0
        for (const { address, words } of arrays) {
          packed.set(this.#heap.words.subarray(address / 4, address / 4 + words), at)
          at += words
        }
        return packed.buffer
      },
      catch: (cause) => (cause instanceof EngineError ? cause : failure("Threw", cause))
    })

  readonly release = (handles: ReadonlyArray<number>): Effect.Effect<void> => Effect.sync(() => this.#drop(handles))

  readonly live: Effect.Effect<number> = Effect.sync(() => this.#held.size)

  /** Bytes of the memory, which never gets less. */
  get bytes(): number {
    return this.#heap.bytes
  }
}

/** A backend with a memory of its own, which goes with it. */
export const make = (): Backend<WebAssemblyLoaded> & { readonly bytes: number } => new WebAssemblyBackend()
