/** Steps on any device that a PJRT plugin drives: traced, lowered to StableHLO, compiled by XLA, the state on the device. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import * as Numbers from "../../dsl/errors/Numbers.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import { Engine, type EngineError } from "../Engine.ts"
import { deviceOf, formOf, heldBy, leavesOf, typesOf, wordsOf } from "../Handles.ts"
import * as Api from "./pjrt/Api.ts"
import * as Client from "./pjrt/Client.ts"
import * as Inspection from "./pjrt/Inspection.ts"
import * as DeviceArrays from "./DeviceArrays.ts"
import * as Dispatch from "./Dispatch.ts"
import * as ExecutableFiles from "./ExecutableFiles.ts"
import * as ExecutablePool from "./ExecutablePool.ts"
import { failed, whole } from "./Failure.ts"
import { load, type Specialized, specialized } from "./Loaded.ts"
import * as Placement from "./Placement.ts"
import * as Libraries from "./pjrt/Libraries.ts"
import * as Plugin from "./pjrt/Plugin.ts"
import * as PluginFile from "./pjrt/PluginFile.ts"
import * as Sequence from "./Sequence.ts"
import * as UploadCache from "./UploadCache.ts"

/** How the engine is opened. */
export interface Options {
  /** The plugin's file; looked for where absent, see `Plugin.find`. */
  readonly plugin?: string
  /**
   * How many of the plugin's devices steps run on: each has an equal part of every batch's rows and all of the state. A CPU is
   * as many devices as are asked for, which share its cores. 1 where absent; a `RangeError` where it is no whole number.
   */
  readonly devices?: number
  /** Whether each of several devices has a part of the optimizers' state in place of all of it; not where absent. */
  readonly shardOptimizer?: boolean
  /**
   * The folder where executables are kept for later runs, at most 1 GiB of them; false where none are. Where absent it is
   * `executables` in $TAPWEIGHT_CACHE, else in tapweight in the user's folder for caches.
   */
  readonly cache?: string | false
}

/** An engine on a client. */
const service = (
  { client, files, runtime }: Opened,
  placement: Placement.Placement
): Effect.Effect<Engine["Service"], never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => ({
        arrays: DeviceArrays.make(client),
        executables: ExecutablePool.make(client, files),
        uploads: UploadCache.make(client)
      })),
      ({ arrays, executables, uploads }) =>
        Effect.promise(async () => {
          uploads.clear()
          arrays.clear()
          await executables.clear()
        })
    ),
    ({ arrays, executables, uploads }) => ({ ...engineOf(client, placement, arrays, executables, uploads), runtime })
  )

const engineOf = (
  client: Client.Client,
  placement: Placement.Placement,
  arrays: DeviceArrays.DeviceArrays,
  executables: ExecutablePool.ExecutablePool,
  uploads: UploadCache.UploadCache
): Engine["Service"] => {
  const { arraysOf } = Dispatch
  const dispatch = Dispatch.make(client, arrays, uploads)

  const calling = (find: Specialized, owns: boolean) => (device: object, batch: unknown) => {
    const { form, handles } = heldBy(device)
    const loaded = find(device, form, batch)
    // The state is taken over whatever happens, so nothing may come between.
    return Effect.uninterruptible(
      Effect.flatMap(owns ? Effect.tapError(loaded, () => Effect.sync(() => arrays.drop(handles))) : loaded, (loaded) =>
        dispatch.run(loaded, arraysOf(loaded.batch, batch), handles, owns)
      )
    )
  }

  return {
    name: `xla/${client.platform}`,
    devices: client.devices,
    compile: (step) =>
      Effect.map(specialized(executables, step as never, "step", placement), (find) => {
        const compiled: Sequence.Step = { run: calling(find, true) as never, find }
        return compiled as never
      }),
    sequences: {
      run: Sequence.make(client, arrays, dispatch),
      bytes: (device) => 4 * wordsOf(leavesOf(device))
    },
    observe: (f) =>
      Effect.map(
        specialized(executables, (state, batch) => [[], f(state, batch)], "observer", placement),
        (find) => (state, batch) => Effect.map(calling(find, false)(state, batch), ([, metrics]) => metrics as never)
      ),
    start: (f, input) =>
      Effect.acquireUseRelease(
        load(executables, (given) => [f(given), []], ["input"], [input], "start", placement),
        (loaded) => Effect.map(dispatch.run(loaded, arraysOf(loaded.batch, input), [], false), ([state]) => state),
        ({ program }) => Effect.sync(() => executables.unload(program))
      ),
    upload: (host) =>
      Effect.try({
        try: () => {
          const tree = Placement.ofState(typesOf(host), placement)
          const types = leavesOf<LeafType>(tree)
          const buffers: Array<Client.DeviceBuffer> = []
          try {
            for (const [i, array] of arraysOf(tree, host).entries()) buffers.push(client.upload(array, types[i]!))
          } catch (cause) {
            client.release(buffers)
            throw cause
          }
          return deviceOf({ tree, form: formOf(tree) }, arrays.keep(buffers))
        },
        catch: (cause) => failed("Threw", cause)
      }),
    download: (device) =>
      whole({
        try: async () => {
          const numbers = await client.download(arrays.buffersOf(heldBy(device).handles), true)
          let at = 0
          return Tree.map(device as never, ({ dtype, shape }) => ({ dtype, shape, data: numbers[at++]! }) as never)
        },
        catch: (cause) => failed("Threw", cause)
      }) as never,
    release: (device) => Effect.sync(() => arrays.drop(heldBy(device).handles)),
    live: Effect.sync(arrays.count)
  }
}

/** A client, and what it is a client of: builds of one version may round otherwise. */
interface Opened {
  readonly api: Api.Api
  readonly client: Client.Client
  readonly files: ExecutableFiles.ExecutableFiles | undefined
  readonly runtime: NonNullable<Engine["Service"]["runtime"]>
}

const filesFor = (
  { cache }: Options,
  api: Api.Api,
  client: Client.Client,
  runtime: Opened["runtime"]
): Opened["files"] => {
  if (cache === false) return undefined
  const kinds = Inspection.devicesOf(api, client.pointer).map(({ kind }) => kind)
  const environment = ["XLA_FLAGS", "NPROC"].map((name) => process.env[name])
  const makers = JSON.stringify([runtime, kinds, environment, ExecutableFiles.processor()])
  return ExecutableFiles.make(cache ?? ExecutableFiles.folder(), [makers, client.compileOptions])
}

/** Opens a plugin's first devices; everything on them is freed with the scope. */
const open = Effect.fnUntraced(function* (options: Options) {
  const { path } = yield* Plugin.find(options.plugin)
  const koffi = yield* Plugin.foreign
  return yield* Effect.acquireRelease(
    Effect.try({
      try: (): Opened => {
        // Of every program for several devices XLA 0.11.2 warns that Shardy's text has another form inside of XLA.
        if ((options.devices ?? 1) > 1) process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2"
        Libraries.load(koffi, Libraries.beside(path))
        const api = Api.load(koffi, path)
        const client = Client.make(api, options.devices)
        const { platform, version } = client
        const runtime = { platform, version, pjrt: api.version.join("."), build: PluginFile.digest(path) }
        try {
          return { api, client, runtime, files: filesFor(options, api, client, runtime) }
        } catch (cause) {
          client.destroy()
          throw cause
        }
      },
      catch: (cause) => failed("Refused", cause)
    }),
    ({ client }) => Effect.sync(client.destroy)
  )
})

/** What the plugin that the engine would take says of itself. */
export const inspect = Effect.fnUntraced(function* (options: Options) {
  const plugin = yield* Plugin.find(options.plugin)
  const { api, client } = yield* open(options)
  const found = yield* whole({ try: () => Inspection.inspect(api, client), catch: (cause) => failed("Threw", cause) })
  return { ...plugin, ...found }
}, Effect.scoped)

/** The engine on XLA's devices. */
export const layer = (options: Options = {}): Layer.Layer<Engine, EngineError> => {
  Numbers.whole("XlaEngine.layer: devices", options.devices ?? 1, 1)
  return Layer.effect(
    Engine,
    Effect.flatMap(open(options), (opened) =>
      service(opened, { devices: opened.client.devices, shardOptimizer: options.shardOptimizer ?? false })
    )
  )
}
