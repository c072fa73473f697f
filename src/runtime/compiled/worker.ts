/** The worker thread of a compiled engine: it owns ONNX Runtime's sessions and every array between steps. */
import { parentPort, workerData } from "node:worker_threads"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { size } from "../../dsl/NdArray.ts"
import * as Noise from "./NoiseModule.ts"
import {
  type Answer,
  type Envelope,
  type Numbers,
  pack,
  type Part,
  type Program,
  type Replies,
  type Request
} from "./Protocol.ts"
import { type Result, type SessionOptions, unpack } from "./Protocol.ts"
import { Store } from "./Store.ts"
import type { LeafType } from "./Trace.ts"

const port = parentPort!
const store = new Store()

interface LoadedPart {
  readonly session: InferenceSession | undefined
  readonly feeds: Part["feeds"]
  readonly draws: Part["draws"]
  readonly noise: ReturnType<typeof Noise.make> | undefined
}
type Loaded = LoadedPart &
  Pick<Program, "inputs" | "kept" | "sent"> & {
    readonly keys: (LoadedPart & { readonly results: ReadonlyArray<Result> }) | undefined
  }
const programs = new Map<number, Loaded>()
let nextProgram = 1

const loadPart = async ({ draws, feeds, model }: Part, { spinning, threads }: SessionOptions): Promise<LoadedPart> => ({
  session:
    model === undefined
      ? undefined
      : await InferenceSession.create(model, {
          executionProviders: ["cpu"],
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
          executionMode: "sequential",
          // Graphs come simplified and fused: ONNX Runtime's own passes find nothing more, and take longer than all the rest.
          graphOptimizationLevel: "disabled",
          logSeverityLevel: 3,
          extra: { session: { intra_op: { allow_spinning: spinning ? "1" : "0" } } }
        }),
  feeds,
  draws,
  noise: draws.length === 0 ? undefined : Noise.make(draws.map(({ shape }) => size(shape)))
})

const load = async (program: Program, options: SessionOptions): Promise<number> => {
  const { inputs, kept, keys, sent } = program
  const made = keys && { ...(await loadPart(keys, options)), results: keys.results }
  programs.set(nextProgram, { ...(await loadPart(program, options)), inputs, kept, sent, keys: made })
  return nextProgram++
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
  const feeds: { [name: string]: Tensor } = {}
  for (const { index, name } of part.feeds)
    feeds[name] = new Tensor(types[index]!.dtype, inputs[index]!, types[index]!.shape)
  for (const [i, { key, name, salt, shape }] of part.draws.entries()) {
    part.noise!.fill(i, keys[key]!, salt)
    feeds[name] = new Tensor("float32", part.noise!.arrays[i]!, shape)
  }
  const fetches: { [name: string]: Tensor } = {}
  for (const result of results) {
    const { dtype, shape, source } = result
    if (source.from !== "model" || outputs.has(source.name)) continue
    const array = store.take(result)
    taken.push(array)
    outputs.set(source.name, array)
    fetches[source.name] = new Tensor(dtype, array, shape)
  }
  await part.session.run(feeds, fetches)
  return outputs
}

/** A result that nothing else refers to, or that is the input or output it comes from. */
const resolve = (result: Result, inputs: ReadonlyArray<Numbers>, outputs: ReadonlyMap<string, Numbers>): Numbers => {
  const { source } = result
  if (source.from === "fill") return store.take(result).fill(source.value)
  return source.from === "input" ? inputs[source.index]! : outputs.get(source.name)!
}

const run = async ({
  brought,
  consume,
  held,
  program: id
}: Extract<Request, { readonly type: "run" }>): Promise<Replies["run"]> => {
  const taken: Array<Numbers> = []
  try {
    const program = programs.get(id)
    if (program === undefined) throw new Error("a step is run after the scope that it was compiled in has ended")
    const inputs = [...held.map((handle) => store.get(handle)), ...unpack(program.inputs.slice(held.length), brought)]
    const { keys } = program
    const made = keys === undefined ? undefined : await compute(keys, program.inputs, inputs, keys.results, [], taken)
    const drawn = made === undefined ? [] : keys!.results.map((key) => resolve(key, inputs, made))
    const outputs = await compute(program, program.inputs, inputs, [...program.kept, ...program.sent], drawn, taken)

    // A leaf that is passed on keeps its handle; one array in two places of a state is one handle.
    const handles = new Map<Numbers, number>()
    if (consume) for (const [i, handle] of held.entries()) handles.set(inputs[i]!, handle)
    const own = new Set(held.map((_, i) => inputs[i]!))
    const kept = program.kept.map((result): number => {
      const array = resolve(result, inputs, outputs)
      const known = handles.get(array)
      if (known !== undefined) return known
      const handle = store.hold(own.has(array) ? array.slice() : array)
      handles.set(array, handle)
      return handle
    })
    const sent = pack(program.sent.map((result) => resolve(result, inputs, outputs)))
    for (const array of taken) if (!handles.has(array)) store.spare(array)
    const surviving = new Set(kept)
    if (consume) store.release(held.filter((handle) => !surviving.has(handle)))
    return { kept, sent }
  } catch (error) {
    for (const array of taken) store.spare(array)
    if (consume) store.release(held)
    throw error
  }
}

const unload = async (program: Loaded | undefined): Promise<void> => {
  await program?.keys?.session?.release()
  await program?.session?.release()
}

const handle = async (request: Request): Promise<Replies[keyof Replies]> => {
  switch (request.type) {
    case "load":
      return load(request.program, request.options)
    case "unload":
      await unload(programs.get(request.program))
      programs.delete(request.program)
      return undefined
    case "run":
      return run(request)
    case "upload":
      return unpack(request.types, request.packed).map((array) => store.hold(array.slice()))
    case "download":
      return pack(request.handles.map((each) => store.get(each)))
    case "release":
      store.release(request.handles)
      return undefined
    case "live":
      return store.live
    case "close":
      for (const program of programs.values()) await unload(program)
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
