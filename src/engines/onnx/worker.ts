/** The worker thread of a compiled engine: it owns ONNX Runtime's sessions and every array between steps. */
import { parentPort, workerData } from "node:worker_threads"
import { type InferenceSession, Tensor } from "onnxruntime-node"
import { size } from "../../dsl/values/NdArray.ts"
import * as Noise from "../../compiler/onnx/NoiseModule.ts"
import { bits, type Numbers, pack, type Packed, unpack } from "../Packed.ts"
import type { Answer, Envelope, ExecutableOptions, Load, Replies, Request } from "./Protocol.ts"
import type { Executable, Part, Result } from "../../compiler/onnx/Executable.ts"
import { seal } from "../../compiler/onnx/Onnx.ts"
import { create as createSession } from "./Providers.ts"
import { ArrayStore } from "./ArrayStore.ts"
import type { LeafType } from "../../compiler/graph/Graph.ts"

const port = parentPort!
const store = new ArrayStore()

interface LoadedPart {
  readonly session: InferenceSession | undefined
  readonly feeds: Part["feeds"]
  readonly draws: Part["draws"]
  readonly noise: ReturnType<typeof Noise.make> | undefined
}
type Loaded = LoadedPart &
  Pick<Executable, "inputs" | "kept" | "sent"> & {
    readonly results: ReadonlyArray<Result>
    /** Words that are sent back. */
    readonly words: number
    readonly keys: (LoadedPart & { readonly results: ReadonlyArray<Result> }) | undefined
  }
const executables = new Map<number, Loaded>()
let nextProgram = 1

const loadPart = async ({ draws, feeds, model }: Part, options: ExecutableOptions): Promise<LoadedPart> => ({
  session: model === undefined ? undefined : await createSession(model, options),
  feeds,
  draws,
  noise: draws.length === 0 ? undefined : Noise.make(draws.map(({ shape }) => size(shape)))
})

const load = async (executable: Executable, options: ExecutableOptions): Promise<number> => {
  const { inputs, kept, keys, sent } = executable
  // Keys are a few words, and what is made of them is made on the host.
  const made = keys && { ...(await loadPart(keys, { ...options, provider: "cpu" })), results: keys.results }
  const words = sent.reduce((sum, { shape }) => sum + size(shape), 0)
  const results = [...kept, ...sent]
  executables.set(nextProgram, {
    ...(await loadPart(executable, options)),
    inputs,
    kept,
    sent,
    keys: made,
    results,
    words
  })
  return nextProgram++
}

type Fed = { [name: string]: Tensor }

// Arrays come back step after step, and a tensor costs more to make than to find.
const tensors = new WeakMap<Numbers, Tensor>()
const tensorOf = (array: Numbers, { dtype, shape }: LeafType): Tensor => {
  const known = tensors.get(array)
  if (known !== undefined && known.dims.length === shape.length && known.dims.every((n, i) => n === shape[i]))
    return known
  const made = new Tensor(dtype, array, shape)
  if (array.byteLength === array.buffer.byteLength) tensors.set(array, made)
  return made
}

/** Runs a model into the arrays given. */
const execute = async (session: InferenceSession, feeds: Fed, fetches: Fed): Promise<void> => {
  if (!session.outputNames.includes(seal)) {
    await session.run(feeds, fetches)
    return
  }
  try {
    await session.run(feeds, { ...fetches, [seal]: null })
  } catch (error) {
    // Thrown when all is computed: see `encode`.
    if (!(error instanceof Error && error.message.includes("Non tensor type"))) throw error
  }
}

/** Arrays by the names that a model gives its outputs; `taken` lists those from the store. */
const compute = async (
  part: LoadedPart,
  types: ReadonlyArray<LeafType>,
  inputs: ReadonlyArray<Numbers>,
  results: ReadonlyArray<Result>,
  keys: ReadonlyArray<Numbers>,
  taken: Array<Numbers>
): Promise<ReadonlyMap<string, Numbers>> => {
  const outputs = new Map<string, Numbers>()
  if (part.session === undefined) return outputs
  const feeds: Fed = {}
  for (const { index, name } of part.feeds) feeds[name] = tensorOf(inputs[index]!, types[index]!)
  for (const [i, { key, name, salt, shape }] of part.draws.entries()) {
    part.noise!.fill(i, keys[key]!, salt)
    feeds[name] = tensorOf(part.noise!.arrays[i]!, { dtype: "float32", shape })
  }
  const fetches: Fed = {}
  for (const result of results) {
    const { source } = result
    if (source.from !== "model" || outputs.has(source.name)) continue
    const array = store.take(result)
    taken.push(array)
    outputs.set(source.name, array)
    fetches[source.name] = tensorOf(array, result)
  }
  await execute(part.session, feeds, fetches)
  return outputs
}

/** The arrays of results. */
const resolve = (
  results: ReadonlyArray<Result>,
  inputs: ReadonlyArray<Numbers>,
  outputs: ReadonlyMap<string, Numbers>,
  taken: Array<Numbers>
): ReadonlyArray<Numbers> =>
  results.map((result) => {
    const { source } = result
    if (source.from === "input") return inputs[source.index]!
    if (source.from === "model") return outputs.get(source.name)!
    const array = store.take(result).fill(source.value)
    taken.push(array)
    return array
  })

/** One call: what it leaves and what it sends. */
const call = async (executable: Loaded, inputs: ReadonlyArray<Numbers>, taken: Array<Numbers>) => {
  const { inputs: types, kept, keys, sent } = executable
  const made = keys === undefined ? undefined : await compute(keys, types, inputs, keys.results, [], taken)
  const drawn = made === undefined ? [] : resolve(keys!.results, inputs, made, taken)
  const outputs = await compute(executable, types, inputs, executable.results, drawn, taken)
  return [resolve(kept, inputs, outputs, taken), resolve(sent, inputs, outputs, taken)] as const
}

// At once: a collector that sees little else come and go lets such memory lie for long.
const free = (packed: Packed): void => {
  const { transfer } = packed as ArrayBuffer & { readonly transfer: (length: number) => ArrayBuffer }
  transfer.call(packed, 0)
}

const lent = new Map<number, Numbers>()
const borrow = ({ lent: loans, packed, returned }: Load): void => {
  for (const id of returned) lent.delete(id)
  for (const { at, dtype, id, length } of loans)
    lent.set(id, unpack([{ dtype, shape: [length] }], packed, at)[0]!.slice())
}

const run = async ({
  calls,
  consume,
  held,
  load
}: Extract<Request, { readonly type: "run" }>): Promise<Replies["run"]> => {
  let done = 0
  let error: string | undefined
  // What was taken from the store in this run and is part of the present state, and of nothing else.
  let own: ReadonlySet<Numbers> = new Set()
  let taken: Array<Numbers> = []
  let state: ReadonlyArray<Numbers> = []
  let sent = new Int32Array(0)
  let words = 0
  try {
    borrow(load)
    const start = held.map((handle) => store.get(handle))
    state = start
    const loaded = calls.map(({ executable: id }) => {
      const executable = executables.get(id)
      if (executable === undefined) throw new Error("a step is run after the scope that it was compiled in has ended")
      return executable
    })
    sent = new Int32Array(loaded.reduce((sum, executable) => sum + executable.words, 0))
    for (const [i, { brought }] of calls.entries()) {
      const executable = loaded[i]!
      const arrays = brought.map((at, j) =>
        at < 0 ? lent.get(-at)! : unpack([executable.inputs[state.length + j]!], load.packed, at)[0]!
      )
      const [kept, told] = await call(executable, [...state, ...arrays], taken)
      for (const array of told) {
        sent.set(bits(array), words)
        words += array.length
      }
      const next = new Set(kept)
      for (const array of [...own, ...taken]) if (!next.has(array)) store.spare(array)
      own = new Set([...own, ...taken].filter((array) => next.has(array)))
      taken = []
      state = kept
      done++
    }
    // A leaf that is passed on keeps its handle; one array in two places of a state is one handle.
    const handles = new Map<Numbers, number>()
    if (consume) for (const [i, handle] of held.entries()) handles.set(start[i]!, handle)
    const kept = state.map((array): number => {
      const known = handles.get(array)
      if (known !== undefined) return known
      const handle = store.hold(own.has(array) ? array : array.slice())
      handles.set(array, handle)
      return handle
    })
    const surviving = new Set(kept)
    if (consume) store.release(held.filter((handle) => !surviving.has(handle)))
    return { kept, sent: sent.buffer, done, error }
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause)
    for (const array of [...own, ...taken]) store.spare(array)
    if (consume) store.release(held)
    return { kept: [], sent: sent.buffer, done, error }
  } finally {
    free(load.packed)
  }
}

const unload = async (executable: Loaded | undefined): Promise<void> => {
  await executable?.keys?.session?.release()
  await executable?.session?.release()
}

const handle = async (request: Request): Promise<Replies[keyof Replies]> => {
  switch (request.type) {
    case "load":
      return load(request.executable, request.options)
    case "unload":
      await unload(executables.get(request.executable))
      executables.delete(request.executable)
      return undefined
    case "run":
      return run(request)
    case "upload": {
      const held = unpack(request.types, request.packed).map((array) => store.hold(array.slice()))
      free(request.packed)
      return held
    }
    case "download":
      return pack(request.handles.map((each) => store.get(each)))
    case "release":
      store.release(request.handles)
      return undefined
    case "live":
      return store.live
    case "close":
      for (const executable of executables.values()) await unload(executable)
      port.close()
      return undefined
  }
}

const handedOver = (value: Replies[keyof Replies]): ReadonlyArray<ArrayBuffer> => {
  if (value instanceof ArrayBuffer) return [value]
  return typeof value === "object" && "sent" in value ? [value.sent] : []
}

const [busy, stopped] = [0, 1] as const
const flags = workerData as Int32Array<SharedArrayBuffer>

// One request at a time, in the order of their coming.
let last: Promise<void> = Promise.resolve()
port.on("message", ({ id, request }: Envelope) => {
  last = last.then(async () => {
    Atomics.store(flags, busy, 1)
    try {
      // A process that ends waits for the request in hand, and for no other.
      if (Atomics.load(flags, stopped) === 1) return
      const value = await handle(request)
      port.postMessage({ id, value } satisfies Answer, handedOver(value))
    } catch (error) {
      port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies Answer)
    } finally {
      Atomics.store(flags, busy, 0)
      Atomics.notify(flags, busy)
    }
  })
})
