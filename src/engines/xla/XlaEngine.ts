/** Steps on any device that a PJRT plugin drives: traced, lowered to StableHLO, compiled by XLA, the state on the device. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import { type Aliases, lower } from "../../compiler/stablehlo/Lower.ts"
import { trace } from "../../compiler/trace/Trace.ts"
import * as Tree from "../../dsl/Tree.ts"
import { inLevel, StepFailure } from "../../runtime/step/Evaluation.ts"
import { type Numbered, numbered, outsideOf } from "../../runtime/step/Numbering.ts"
import { CompileError, type Compiled, Engine, EngineError, type Failure, type Sequences } from "../Engine.ts"
import { collect, deviceOf, formOf, heldBy, hostOf, leavesOf, type Shaped, shaped, type Types } from "../Handles.ts"
import { typesOf, wordsOf } from "../Handles.ts"
import * as Api from "./Api.ts"
import * as Client from "./Client.ts"
import * as ExecutablePool from "./ExecutablePool.ts"
import * as Plugin from "./Plugin.ts"
import * as UploadCache from "./UploadCache.ts"

/** How the engine is opened. */
export interface Options {
  /** The plugin's file; looked for where absent, see `Plugin.find`. */
  readonly plugin?: string
}

/** A compiled function, with the trees of what it takes, keeps and sends back. */
interface Loaded {
  readonly executable: Client.Executable
  readonly program: string
  readonly batch: Types
  readonly kept: Shaped
  readonly sent: Shaped
  /** Which arrays of a batch number rows or classes. */
  readonly numberings: ReadonlyArray<Numbered>
  /** Milliseconds of its last run, by which the next one is waited for here or aside. */
  milliseconds: number
}

/** Milliseconds up to which waiting on this thread costs less than being told from another. */
const short = 4

const failed = (kind: EngineError["kind"], cause: unknown): EngineError =>
  new EngineError({ kind, engine: "xla", tick: null, reason: cause instanceof Error ? cause.message : String(cause) })

const toFailure = (cause: unknown): Failure =>
  cause instanceof CompileError || cause instanceof StepFailure ? cause : failed("Threw", cause)

/** Work that other threads may have a hand in: what it reads and writes must be there until it is over. */
const whole = <A, E>(options: { readonly try: () => Promise<A>; readonly catch: (cause: unknown) => E }) =>
  Effect.uninterruptible(Effect.tryPromise(options))

/** Of results that stay, the inputs whose place they take: those of a state that a step hands on. */
const aliasesOf = (inputs: ReadonlyArray<LeafType>, kept: ReadonlyArray<LeafType>): Aliases =>
  new Map(
    kept.flatMap(({ dtype, shape }, i) => {
      const input = inputs[i]
      return input?.dtype === dtype && input.shape.join() === shape.join() ? [[i, i] as const] : []
    })
  )

const arraysOf = (types: Types, batch: unknown): ReadonlyArray<Client.Numbers> => {
  const numbers: Array<Client.Numbers> = []
  collect(types, batch, numbers)
  return numbers
}

/** An engine on a client. */
const service = (client: Client.Client): Effect.Effect<Engine["Service"], never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => ({
        arrays: new Map<number, Client.DeviceBuffer>(),
        executables: ExecutablePool.make(client),
        uploads: UploadCache.make(client)
      })),
      ({ arrays, executables, uploads }) =>
        Effect.promise(async () => {
          uploads.clear()
          client.release(arrays.values())
          await executables.clear()
        })
    ),
    ({ arrays, executables, uploads }) => engineOf(client, arrays, executables, uploads)
  )

const engineOf = (
  client: Client.Client,
  arrays: Map<number, Client.DeviceBuffer>,
  executables: ExecutablePool.ExecutablePool,
  uploads: UploadCache.UploadCache
): Engine["Service"] => {
  let next = 1
  const keep = (buffers: ReadonlyArray<Client.DeviceBuffer>): ReadonlyArray<number> =>
    buffers.map((buffer) => {
      arrays.set(next, buffer)
      return next++
    })
  const drop = (handles: ReadonlyArray<number>): void => {
    const buffers = handles.flatMap((handle) => arrays.get(handle) ?? [])
    for (const handle of handles) arrays.delete(handle)
    client.release(buffers)
  }

  const load = Effect.fnUntraced(function* (
    f: (...args: ReadonlyArray<never>) => readonly [Tree.Tree, Tree.Tree],
    names: ReadonlyArray<string>,
    args: ReadonlyArray<unknown>,
    owns: boolean
  ) {
    const { kept, numberings, program, results, sent, takes } = yield* Effect.try({
      try: () => {
        // What the function itself throws is its own fault, not the engine's.
        const own = (...args: ReadonlyArray<never>) => inLevel("", () => f(...args))
        const traced = trace(own as never, names, args)
        const trees = traced.structure as unknown as readonly [Types, Types]
        const [kept, sent] = [shaped(trees[0]), shaped(trees[1])]
        const aliases: Aliases = owns ? aliasesOf(traced.inputs as ReadonlyArray<LeafType>, kept.leaves) : new Map()
        const split = kept.leaves.length
        const program = lower(traced.inputs, traced.results.slice(0, split), traced.results.slice(split), aliases)
        const list: ReadonlyArray<LeafType> = sent.words === 0 ? [] : [{ dtype: "float32", shape: [sent.words] }]
        const held = traced.inputs.length - leavesOf(args.at(-1)).length
        const numberings = numbered(traced.numberings, traced.inputs, held)
        return { kept, numberings, sent, program, results: [...kept.leaves, ...list], takes: traced.inputs.length }
      },
      catch: toFailure
    })
    const executable = yield* whole({
      try: () => executables.load(program, takes, results),
      catch: (cause) => failed("Refused", cause)
    })
    return {
      executable,
      program,
      kept,
      numberings,
      sent,
      batch: typesOf(args.at(-1)),
      milliseconds: Infinity
    } satisfies Loaded as Loaded
  })

  /** Starts a function: what it keeps and what it sends, on the device. */
  const begin = (
    { batch, executable, kept, numberings }: Loaded,
    state: ReadonlyArray<Client.DeviceBuffer>,
    numbers: ReadonlyArray<Client.Numbers>,
    donate: boolean
  ) => {
    const failure = outsideOf(numberings, numbers)
    if (failure !== undefined) throw failure
    const types = leavesOf<LeafType>(batch)
    const brought: Array<Client.DeviceBuffer> = []
    const passing: Array<Client.DeviceBuffer> = []
    try {
      for (const [i, array] of numbers.entries()) {
        const uploaded = uploads.upload(array, types[i]!)
        brought.push(uploaded.buffer)
        if (uploaded.passing) passing.push(uploaded.buffer)
      }
      const made = client.execute(executable, [...state, ...brought], donate ? state.length : 0)
      const count = kept.leaves.length
      return { kept: made.slice(0, count), sent: made.slice(count) }
    } finally {
      client.release(passing)
    }
  }

  /** What was sent, in its structure. */
  const received = (sent: Shaped, list: ReadonlyArray<Client.Numbers>): Tree.Host<never> =>
    hostOf(sent, (list[0]?.buffer ?? new ArrayBuffer(0)) as ArrayBuffer)

  const stateOf = (handles: ReadonlyArray<number>) => handles.map((handle) => arrays.get(handle)!)

  const run = (loaded: Loaded, batch: ReadonlyArray<Client.Numbers>, handles: ReadonlyArray<number>, owns: boolean) =>
    whole({
      try: async () => {
        const started = performance.now()
        const made = (() => {
          try {
            return begin(loaded, stateOf(handles), batch, owns)
          } finally {
            if (owns) drop(handles)
          }
        })()
        try {
          const list = await client.download(made.sent, loaded.milliseconds > short)
          loaded.milliseconds = performance.now() - started
          return [deviceOf(loaded.kept, keep(made.kept)), received(loaded.sent, list)] as const
        } catch (cause) {
          client.release(made.kept)
          throw cause
        } finally {
          client.release(made.sent)
        }
      },
      catch: toFailure
    })

  /** The compiled forms of one function, by what it is called with. */
  const specialized = (f: (state: never, batch: never) => readonly [Tree.Tree, Tree.Tree], owns: boolean) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Map<string, Loaded>()),
        (loadedBy) => Effect.sync(() => loadedBy.forEach(({ program }) => executables.unload(program)))
      ),
      (loadedBy): Specialized =>
        (tree, form, batch) =>
          Effect.suspend(() => {
            const key = `${form} | ${formOf(batch)}`
            const known = loadedBy.get(key)
            if (known !== undefined) return Effect.succeed(known)
            return Effect.tap(load(f as never, ["state", "batch"], [tree, batch], owns), (loaded) =>
              Effect.sync(() => loadedBy.set(key, loaded))
            )
          })
    )

  const calling = (find: Specialized, owns: boolean) => (device: object, batch: unknown) => {
    const { form, handles } = heldBy(device)
    const loaded = find(device, form, batch)
    // The state is taken over whatever happens, so nothing may come between.
    return Effect.uninterruptible(
      Effect.flatMap(owns ? Effect.tapError(loaded, () => Effect.sync(() => drop(handles))) : loaded, (loaded) =>
        run(loaded, arraysOf(loaded.batch, batch), handles, owns)
      )
    )
  }

  /** See `Engine.Sequences`: all steps are started before the first is waited for. */
  const sequence: Sequences["run"] = Effect.fnUntraced(function* (device, given) {
    const { form: first, handles } = heldBy(device)
    let [form, tree]: [string, object] = [first, device]
    const calls: Array<{ readonly loaded: Loaded; readonly batch: ReadonlyArray<Client.Numbers> }> = []
    let failure: Failure | undefined
    for (const { batch, step } of given) {
      const loaded = yield* Effect.result((step as unknown as Step).find(tree, form, batch))
      if (loaded._tag === "Failure") {
        failure = loaded.failure
        break
      }
      calls.push({ loaded: loaded.success, batch: arraysOf(loaded.success.batch, batch) })
      form = loaded.success.kept.form
      tree = loaded.success.kept.tree
    }
    const metrics: Array<Tree.Host<never>> = []
    const started = performance.now()
    // The first step leaves the state it is given; each of the others takes over what the one before leaves.
    let state = stateOf(handles)
    const sent: Array<ReadonlyArray<Client.DeviceBuffer>> = []
    try {
      for (const [i, { batch, loaded }] of calls.entries()) {
        const before = state
        try {
          const made = begin(loaded, before, batch, i > 0)
          state = [...made.kept]
          sent.push(made.sent)
        } finally {
          if (i > 0) client.release(before)
        }
      }
    } catch (cause) {
      failure = toFailure(cause)
      state = []
    }
    const long = calls.some(({ loaded }) => loaded.milliseconds > short)
    for (const [i, buffers] of sent.entries()) {
      const list = yield* Effect.result(whole({ try: () => client.download(buffers, long), catch: toFailure }))
      if (list._tag === "Failure") {
        failure = list.failure
        break
      }
      metrics.push(received(calls[i]!.loaded.sent, list.success))
    }
    for (const buffers of sent) client.release(buffers)
    const each = (performance.now() - started) / Math.max(1, calls.length)
    for (const { loaded } of calls) loaded.milliseconds = each
    if (failure === undefined && calls.length > 0)
      return { metrics: metrics as never, state: deviceOf(calls.at(-1)!.loaded.kept, keep(state)), failure, bytes: 0 }
    if (sent.length > 0) client.release(state)
    return { metrics: metrics as never, state: undefined, failure, bytes: 0 }
  }, Effect.uninterruptible)

  return {
    name: `xla/${client.platform}`,
    compile: (step) =>
      Effect.map(specialized(step as never, true), (find) => {
        const compiled: Step = { run: calling(find, true) as never, find }
        return compiled as never
      }),
    sequences: { run: sequence, bytes: (device) => 4 * wordsOf(leavesOf(device)) },
    observe: (f) =>
      Effect.map(
        specialized(((state: never, batch: never) => [[], f(state, batch)]) as never, false),
        (find) => (state, batch) => Effect.map(calling(find, false)(state, batch), ([, metrics]) => metrics as never)
      ),
    start: (f, input) =>
      Effect.acquireUseRelease(
        load(((given: never) => [f(given), []]) as never, ["input"], [input], false),
        (loaded) => Effect.map(run(loaded, arraysOf(loaded.batch, input), [], false), ([state]) => state),
        ({ program }) => Effect.sync(() => executables.unload(program))
      ),
    upload: (host) =>
      Effect.try({
        try: () => {
          const tree = typesOf(host)
          const types = leavesOf<LeafType>(tree)
          const buffers: Array<Client.DeviceBuffer> = []
          try {
            for (const [i, array] of arraysOf(tree, host).entries()) buffers.push(client.upload(array, types[i]!))
          } catch (cause) {
            client.release(buffers)
            throw cause
          }
          return deviceOf({ tree, form: formOf(tree) }, keep(buffers))
        },
        catch: (cause) => failed("Threw", cause)
      }),
    download: (device) =>
      whole({
        try: async () => {
          const numbers = await client.download(stateOf(heldBy(device).handles), true)
          let at = 0
          return Tree.map(device as never, ({ dtype, shape }) => ({ dtype, shape, data: numbers[at++]! }) as never)
        },
        catch: (cause) => failed("Threw", cause)
      }) as never,
    release: (device) => Effect.sync(() => drop(heldBy(device).handles)),
    live: Effect.sync(() => arrays.size)
  }
}

/** A step of this engine: a sequence needs its compiled forms. */
interface Step extends Compiled<never, never, never> {
  readonly find: Specialized
}

/** The compiled form of a function for a state of this form and this batch. */
type Specialized = (tree: object, form: string, batch: unknown) => Effect.Effect<Loaded, Failure>

/** Opens a plugin's first device; everything on it is freed with the scope. */
const open = Effect.fnUntraced(function* (options: Options) {
  const path = options.plugin ?? (yield* Plugin.find)
  const koffi = yield* Plugin.foreign
  return yield* Effect.acquireRelease(
    Effect.try({
      try: () => Client.make(Api.load(koffi, path)),
      catch: (cause) => failed("Refused", cause)
    }),
    (client) => Effect.sync(client.destroy)
  )
})

/** The engine on XLA's devices. */
export const layer = (options: Options = {}): Layer.Layer<Engine, EngineError> =>
  Layer.effect(Engine, Effect.flatMap(open(options), service))
