import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import type { NdArray } from "../../dsl/values/NdArray.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import { type Device, Engine, EngineError, type Failure } from "../Engine.ts"
import { registerGradients } from "../../tensor/registerGradients.ts"
import { registerTrainingKernels } from "./internal/kernels.ts"
import { refuseTf32 } from "../tf32.ts"
import { fieldOf, numbering, outside } from "../../runtime/step/Numbering.ts"
import * as WebGpu from "./internal/webgpu.ts"
import { inLevel, StepFailure } from "../../runtime/step/Evaluation.ts"

/** A TensorFlow.js backend that steps can run on, kernel by kernel. */
export type Backend = "cpu" | "wasm" | "webgpu" | "tensorflow" | "tensorflow-gpu"

const refused = (engine: Backend, reason: string): EngineError =>
  new EngineError({ kind: "Refused", engine, tick: null, reason })
const said = Sentence.of

const addons = {
  wasm: "@tensorflow/tfjs-backend-wasm",
  tensorflow: "@tensorflow/tfjs-node",
  "tensorflow-gpu": "@tensorflow/tfjs-node-gpu"
} as const

// The addons are optional peers: the specifier is a value so that nothing tries to resolve them before they are asked for.
const loadAddon = (backend: keyof typeof addons) =>
  Effect.tryPromise({
    try: async () => {
      if (backend === "tensorflow-gpu") refuseTf32()
      await import(addons[backend] as string)
      if (backend === "wasm") registerTrainingKernels("wasm")
    },
    catch: (cause) =>
      refused(
        backend,
        `the package ${addons[backend]} cannot be loaded (${said(cause).split("\n")[0]}): ` +
          `install it with 'npm install ${addons[backend]}@4.22.0', or choose the engine 'compiled' or 'cpu'`
      )
  })

const loadWebGpu = Effect.tryPromise({
  try: WebGpu.register,
  catch: (cause) => (cause instanceof EngineError ? cause : refused("webgpu", `it cannot be loaded (${String(cause)})`))
})

const load = (backend: Backend): Effect.Effect<unknown, EngineError> => {
  switch (backend) {
    case "cpu":
      return Effect.sync(() => registerTrainingKernels("cpu"))
    case "webgpu":
      return loadWebGpu
    default:
      return loadAddon(backend)
  }
}

const select = (backend: Backend): Effect.Effect<void, EngineError> => {
  const name = backend === "tensorflow-gpu" ? "tensorflow" : backend
  return Effect.tryPromise({
    try: async () => {
      if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js has no backend '${name}'`)
      await tf.ready()
      if (backend === "webgpu") WebGpu.adopt()
      // TensorFlow goes back to the cpu by itself where CUDA does not start.
      const { isUsingGpuDevice } = tf.backend() as { readonly isUsingGpuDevice?: boolean }
      if (backend === "tensorflow-gpu" && isUsingGpuDevice !== true)
        throw new Error(
          "TensorFlow found no GPU that it can use: it needs an NVIDIA driver, CUDA and cuDNN (docs/engines.md says which); " +
            "or choose the engine 'tensorflow'"
        )
    },
    catch: (cause) => refused(backend, said(cause))
  })
}

const tensorOf = (array: NdArray): tf.Tensor => tf.tensor(array.data, array.shape as Array<number>, array.dtype)

const arrayOf = ({ dtype, shape }: tf.Tensor, data: ArrayLike<number>): NdArray =>
  dtype === "float32"
    ? { dtype: "float32", shape, data: Float32Array.from(data) }
    : { dtype: "int32", shape, data: Int32Array.from(data) }

const dispose = (tree: Tree.Tree): void => tf.dispose(Tree.leaves(tree) as Array<tf.Tensor>)

const live = <T extends Tree.Tree>(device: Device<T>): T => device as unknown as T
const device = <T extends Tree.Tree>(tree: T): Device<T> => tree as unknown as Device<T>

/** Numbers of a batch on the host, where their tensors live elsewhere. */
const hosts = new WeakMap<object, NdArray>()
const batchTensorOf = (array: NdArray): tf.Tensor => {
  const tensor = tensorOf(array)
  hosts.set(tensor.dataId, array)
  return tensor
}
const uploadBatch = <T extends Tree.Tree>(host: Tree.Host<T>): T =>
  Tree.toLive(host as Tree.HostTree, batchTensorOf) as unknown as T

const checkingKernels = new WeakSet<tf.KernelConfig>()
/** Kernels that number rows or classes first hold a field's numbers against how many there are. */
const checkNumberings = (backendName: string): void => {
  for (const [kernelName, { below, operation }] of Object.entries(numbering)) {
    const known = tf.getKernel(kernelName, backendName) as tf.KernelConfig | undefined
    if (known === undefined || checkingKernels.has(known)) continue
    const kernelFunc: tf.KernelFunc = (call) => {
      const { indices, x } = call.inputs
      const [field, host] = [fieldOf(indices!.dataId), hosts.get(indices!.dataId)]
      if (field !== undefined && host !== undefined) {
        const failure = outside({ ...field, operation, below: below(x, call.attrs) }, host.data, host.shape[0] ?? 1)
        if (failure !== undefined) throw failure
      }
      return known.kernelFunc(call)
    }
    const checking = { ...known, kernelFunc }
    tf.unregisterKernel(kernelName, backendName)
    tf.registerKernel(checking)
    checkingKernels.add(checking)
  }
}

const upload = <T extends Tree.Tree>(host: Tree.Host<T>): T =>
  Tree.toLive(host as Tree.HostTree, tensorOf) as unknown as T

const cloned = <T extends Tree.Tree>(tree: T): T => Tree.map(tree, (leaf) => leaf.clone()) as T

/** Numbers of tensors; a failure if the device has failed by then. */
type Read = (tensors: ReadonlyArray<tf.Tensor>) => Effect.Effect<ReadonlyArray<ArrayLike<number>>, EngineError>

// TensorFlow.js keeps one scope stack and one backend per process: an engine pins its own before every entry.
const service = (engine: Backend, backend: string): Engine["Service"] => {
  const threw = (cause: unknown): EngineError =>
    cause instanceof EngineError ? cause : new EngineError({ kind: "Threw", engine, tick: null, reason: said(cause) })
  const toFailure = (cause: unknown): Failure => (cause instanceof StepFailure ? cause : threw(cause))
  const attempt = <A>(f: () => A): Effect.Effect<A, Failure> => Effect.try({ try: f, catch: toFailure })
  const read: Read = (tensors) =>
    engine === "webgpu"
      ? Effect.tryPromise({ try: () => WebGpu.read(tensors), catch: threw })
      : Effect.try({ try: () => tensors.map((tensor) => tensor.dataSync()), catch: threw })
  const tidily = <T extends Tree.Tree>(f: () => T): T => {
    if (tf.getBackend() !== backend)
      throw threw(`the TensorFlow.js backend was changed to '${tf.getBackend()}' while '${backend}' was in use`)
    registerGradients()
    return tf.tidy(f as () => never) as T
  }
  // What a function itself throws is its own fault, not the engine's.
  const own = <T>(f: () => T): T => inLevel("", f)
  const download = <T extends Tree.Tree>(tree: T): Effect.Effect<Tree.Host<T>, EngineError> =>
    Effect.map(read(Tree.leaves(tree)), (numbers) => {
      let next = 0
      return Tree.toHost(tree, (leaf) => arrayOf(leaf, numbers[next++]!))
    })
  /** Disposes of what is not kept, also if a tree holds something twice. */
  const disposeExcept = (kept: Tree.Tree, tree: Tree.Tree): void => {
    const surviving = new Set(Tree.leaves(kept))
    for (const leaf of Tree.leaves(tree)) if (!surviving.has(leaf)) leaf.dispose()
  }
  return {
    name: `eager/${engine}`,
    compile: (step) =>
      Effect.succeed({
        run: (state, batch) =>
          Effect.suspend(() => {
            const before = live(state)
            let made: ReturnType<typeof step>
            try {
              made = tidily(() => {
                const data = uploadBatch(batch)
                return own(() => step(before, data as never)) as never
              }) as unknown as ReturnType<typeof step>
            } catch (cause) {
              dispose(before)
              return Effect.fail(toFailure(cause))
            }
            const [after, metrics] = made
            // A loss may be a variable itself.
            disposeExcept(made as never, before)
            return download(metrics).pipe(
              // A metric may be one of the new state's own tensors.
              Effect.ensuring(Effect.sync(() => disposeExcept(after, metrics))),
              Effect.tapError(() => Effect.sync(() => dispose(after))),
              Effect.map((host) => [device(after), host] as const)
            )
          }).pipe(Effect.uninterruptible)
      }),
    observe: (f) =>
      Effect.succeed((state, batch) =>
        Effect.acquireUseRelease(
          // Clones, because metrics may hold tensors of the state.
          attempt(() =>
            tidily(() => {
              const data = uploadBatch(batch)
              return cloned(own(() => f(live(state), data as never)))
            })
          ),
          download,
          (metrics) => Effect.sync(() => dispose(metrics))
        )
      ),
    start: (f, input) =>
      attempt(() =>
        // The result may hold its inputs and hold a tensor twice; each leaf becomes a tensor of its own.
        tidily(() => {
          const given = upload(input)
          return cloned(own(() => f(given as never)))
        })
      ).pipe(
        Effect.tap((state) => Effect.tapError(read([]), () => Effect.sync(() => dispose(state)))),
        Effect.map(device),
        Effect.uninterruptible
      ),
    upload: (host) => Effect.try({ try: () => device(upload(host)), catch: threw }),
    download: (state) => download(live(state)),
    release: (state) => Effect.sync(() => dispose(live(state))),
    live: Effect.sync(() => tf.memory().numTensors)
  }
}

/**
 * The eager engine: steps run kernel by kernel on a TensorFlow.js backend. `cpu` installs with the package; the
 * others are optional peers whose absence is an `EngineError` that says how to install them. On WebGPU
 * what goes wrong on the device fails the step whose numbers are read next, which is that step or a later one.
 */
export const layer = (backend: Backend): Layer.Layer<Engine, EngineError> =>
  Layer.effect(
    Engine,
    Effect.gen(function* () {
      // Silences a banner that recommends another backend; it is what TensorFlow.js calls production mode.
      tf.enableProdMode()
      yield* load(backend)
      yield* select(backend)
      checkNumberings(tf.getBackend())
      return service(backend, tf.getBackend())
    })
  )
