import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { NdArray } from "../../dsl/NdArray.ts"
import * as Tree from "../../dsl/Tree.ts"
import { CompileError, Engine, type Failure } from "../Engine.ts"
import { StepFailure } from "../Objective.ts"
import { type Lowered, lower } from "./Lower.ts"
import { encode } from "./Onnx.ts"
import { pack, type Packed, type Part, type Program, type Result, unpack } from "./Protocol.ts"
import * as Programs from "./Programs.ts"
import * as Session from "./Session.ts"
import { type LeafType, trace } from "./Trace.ts"

/** Threads inside of one operation where nothing else is asked for. */
export const defaultThreads = 2

/** How a compiled engine runs steps. */
export interface Options {
  /** Threads inside of one operation; 2 where absent. One is best for tiny models. */
  readonly threads?: number
  /**
   * Whether threads wait for their next share of work by spinning; they do not where absent. A quarter faster on small
   * operations where the cores are free, and several times slower where other processes want them too.
   */
  readonly spinning?: boolean
}

/** A tree of the types of leaves. */
type Types = { readonly "~types": true }

/** A leaf of a `Device` here: an array of the worker, by number. So parts of a device's tree are devices themselves. */
interface Leaf extends LeafType {
  readonly handle: number
}

/** What is asked of a device at every step. */
interface Held {
  readonly handles: ReadonlyArray<number>
  /** Equal for trees that one program serves. */
  readonly form: string
}

/** A program in the worker, with the trees of what it keeps and sends back. */
interface Loaded {
  readonly id: number
  readonly kept: { readonly tree: Types; readonly form: string }
  readonly sent: Types
}

const leavesOf = <L>(tree: unknown): ReadonlyArray<L> => Tree.leaves(tree as Tree.Tree) as unknown as ReadonlyArray<L>
const typesOf = (host: unknown): Types =>
  Tree.map(host as Tree.Tree, ({ dtype, shape }) => ({ dtype, shape }) as never) as never
const formOf = (tree: unknown): string =>
  Tree.entries(tree as Tree.Tree)
    .map(([path, { dtype, shape }]) => `${path}:${dtype}[${shape.join()}]`)
    .join(" ")

// Whole states are met again as they were made; parts of them are looked through.
const known = new WeakMap<object, Held>()
const heldBy = (device: object): Held =>
  known.get(device) ?? { handles: leavesOf<Leaf>(device).map(({ handle }) => handle), form: formOf(device) }

const deviceOf = ({ form, tree }: Loaded["kept"], handles: ReadonlyArray<number>): never => {
  let next = 0
  const device = Tree.map(tree as never, ({ dtype, shape }) => ({ dtype, shape, handle: handles[next++]! }) as never)
  known.set(device, { handles, form })
  return device as never
}

const arrays = (like: Types, packed: Packed): never => {
  const found = unpack(leavesOf(like), packed)
  let next = 0
  return Tree.map(like as never, ({ dtype, shape }) => ({ dtype, shape, data: found[next++]! }) as never) as never
}
// A copy, because what is handed over to another thread is gone from this one.
const packed = (host: unknown): Packed => pack(leavesOf<NdArray>(host).map(({ data }) => data))

const toFailure = (cause: unknown): Failure => {
  if (cause instanceof CompileError) return cause
  if (cause instanceof StepFailure) return { level: cause.level, reason: cause.message }
  return { level: "", reason: cause instanceof Error ? cause.message : String(cause) }
}
const ofSession = (error: Session.SessionError): Failure => ({ level: "", reason: error.reason })

const partOf = ({ draws, feeds, model }: Lowered): Part => ({
  model: model === undefined ? undefined : encode(model),
  feeds,
  draws
})
const resultsOf = (types: ReadonlyArray<LeafType>, { sources }: Lowered): ReadonlyArray<Result> =>
  types.map(({ dtype, shape }, i) => ({ dtype, shape, source: sources[i]! }))

/** The program of `f`: its first tree of results stays with the worker, its second comes back. */
const programOf = (
  f: (...args: ReadonlyArray<never>) => readonly [Tree.Tree, Tree.Tree],
  names: ReadonlyArray<string>,
  args: ReadonlyArray<unknown>
): Program & { readonly trees: readonly [Types, Types] } => {
  const traced = trace(f as never, names, args)
  const lowered = lower(traced.inputs, traced.results, "given")
  const trees = traced.structure as unknown as readonly [Types, Types]
  const results = resultsOf(leavesOf<LeafType>(traced.structure), lowered)
  const kept = leavesOf(trees[0]).length
  const key: LeafType = { dtype: "int32", shape: [2] }
  return {
    ...partOf(lowered),
    inputs: traced.inputs.map(({ dtype, shape }) => ({ dtype: dtype as "float32", shape })),
    kept: results.slice(0, kept),
    sent: results.slice(kept),
    keys:
      lowered.keys === undefined
        ? undefined
        : {
            ...partOf(lowered.keys),
            results: resultsOf(
              lowered.keys.sources.map(() => key),
              lowered.keys
            )
          },
    trees
  }
}

/** An engine on a session; also where tests reach the worker. */
export const service = (session: Session.Session, options: Options = {}): Engine["Service"] => {
  const { ask } = session
  const programs = Programs.make(session, {
    threads: options.threads ?? defaultThreads,
    spinning: options.spinning ?? false
  })

  const load = Effect.fnUntraced(function* (f: () => ReturnType<typeof programOf>) {
    const { trees, ...program } = yield* Effect.try({ try: f, catch: toFailure })
    const id = yield* Effect.mapError(programs.load(program), (error) =>
      error.kind === "Died"
        ? ofSession(error)
        : new CompileError({ op: "ONNX Runtime", level: "", reason: error.reason })
    )
    return { id, kept: { tree: trees[0], form: formOf(trees[0]) }, sent: trees[1] } satisfies Loaded
  })

  const run = (program: Loaded, held: ReadonlyArray<number>, batch: unknown, consume: boolean) =>
    Effect.suspend(() => {
      const brought = packed(batch)
      return ask({ type: "run", program: program.id, held, brought, consume }, [brought])
    }).pipe(
      Effect.mapError(ofSession),
      Effect.map(({ kept, sent }) => [deviceOf(program.kept, kept), arrays(program.sent, sent)] as const)
    )

  const release = (device: object) => Effect.ignore(ask({ type: "release", handles: heldBy(device).handles }))

  /** Programs of one function by the forms of what it is called with, made when they are first needed. */
  const specialized = (f: (state: never, batch: never) => readonly [Tree.Tree, Tree.Tree], owns: boolean) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Map<string, Loaded>()),
        (loadedBy) => Effect.forEach([...loadedBy.values()], ({ id }) => programs.unload(id), { discard: true })
      ),
      (loadedBy) => (device: object, batch: unknown) => {
        const { form, handles } = heldBy(device)
        const key = `${form} | ${formOf(batch)}`
        const program = loadedBy.get(key)
        if (program !== undefined) return run(program, handles, batch, owns)
        const loading = Effect.tap(
          load(() => programOf(f, ["state", "batch"], [device, batch])),
          (loaded) => Effect.sync(() => loadedBy.set(key, loaded))
        )
        // The state is taken over whatever happens, so nothing may come between.
        return Effect.uninterruptible(
          Effect.flatMap(owns ? Effect.tapError(loading, () => release(device)) : loading, (made) =>
            run(made, handles, batch, owns)
          )
        )
      }
    )

  return {
    name: "compiled/cpu",
    compile: (step) => specialized(step as never, true) as never,
    observe: (f) =>
      Effect.map(
        specialized(((state: never, batch: never) => [[], f(state, batch)]) as never, false),
        (call) => (state, batch) => Effect.map(call(state, batch), ([, metrics]) => metrics)
      ),
    start: (f, input) =>
      Effect.acquireUseRelease(
        load(() => programOf((given: never) => [f(given), []] as never, ["input"], [input])),
        (program) => Effect.map(run(program, [], input, false), ([state]) => state),
        ({ id }) => programs.unload(id)
      ),
    upload: (host) =>
      Effect.suspend(() => {
        const tree = typesOf(host)
        const copy = packed(host)
        const asked = ask({ type: "upload", types: leavesOf(tree), packed: copy }, [copy])
        return Effect.map(asked, (handles) => deviceOf({ tree, form: formOf(tree) }, handles))
      }).pipe(Effect.orDie),
    download: (device) =>
      Effect.orDie(
        Effect.map(ask({ type: "download", handles: heldBy(device).handles }), (found) =>
          arrays(device as never, found)
        )
      ),
    release,
    live: Effect.orElseSucceed(ask({ type: "live" }), () => 0)
  }
}

/**
 * The compiled engine: a step is traced once for each form of state and batch, simplified, and run by ONNX Runtime on a
 * worker thread that holds the state. Needs nothing beside what the package installs.
 */
export const layer = (options: Options = {}): Layer.Layer<Engine, CompileError> =>
  Layer.effect(
    Engine,
    Effect.map(Session.make, (session) => service(session, options))
  )
