import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { NdArray } from "../../dsl/NdArray.ts"
import * as Tree from "../../dsl/Tree.ts"
import { CompileError, type Device, Engine, type Failure } from "../Engine.ts"
import "../../tensor/registerGradients.ts"
import { registerTrainingKernels } from "./internal/kernels.ts"
import { refuseTf32 } from "../tf32.ts"
import * as WebGpu from "./internal/webgpu.ts"
import { StepFailure } from "../../runtime/step/Evaluation.ts"

/** A TensorFlow.js backend that steps can run on, kernel by kernel. */
export type Backend = "cpu" | "wasm" | "webgpu" | "tensorflow" | "tensorflow-gpu"

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
      new CompileError({
        op: `engine '${backend}'`,
        level: "",
        reason:
          `the package ${addons[backend]} cannot be loaded (${cause instanceof Error ? cause.message.split("\n")[0] : cause}): ` +
          `install it with 'npm install ${addons[backend]}@4.22.0', or choose the engine 'compiled' or 'cpu'`
      })
  })

const loadWebGpu = Effect.tryPromise({
  try: WebGpu.register,
  catch: (cause) =>
    cause instanceof CompileError
      ? cause
      : new CompileError({ op: "engine 'webgpu'", level: "", reason: `it cannot be loaded (${String(cause)})` })
})

const load = (backend: Backend): Effect.Effect<unknown, CompileError> => {
  switch (backend) {
    case "cpu":
      return Effect.sync(() => registerTrainingKernels("cpu"))
    case "webgpu":
      return loadWebGpu
    default:
      return loadAddon(backend)
  }
}

const select = (backend: Backend): Effect.Effect<void, CompileError> => {
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
    catch: (cause) =>
      new CompileError({
        op: `engine '${backend}'`,
        level: "",
        reason: cause instanceof Error ? cause.message : String(cause)
      })
  })
}

const tensorOf = (array: NdArray): tf.Tensor => tf.tensor(array.data, array.shape as Array<number>, array.dtype)

const arrayOf = ({ dtype, shape }: tf.Tensor, data: ArrayLike<number>): NdArray =>
  dtype === "float32"
    ? { dtype: "float32", shape, data: Float32Array.from(data) }
    : { dtype: "int32", shape, data: Int32Array.from(data) }

const dispose = (tree: Tree.Tree): void => tf.dispose(Tree.leaves(tree) as Array<tf.Tensor>)

const toFailure = (cause: unknown): Failure =>
  cause instanceof StepFailure
    ? { level: cause.level, reason: cause.message }
    : { level: "", reason: cause instanceof Error ? cause.message : String(cause) }

const attempt = <A>(f: () => A): Effect.Effect<A, Failure> => Effect.try({ try: f, catch: toFailure })

const live = <T extends Tree.Tree>(device: Device<T>): T => device as unknown as T
const device = <T extends Tree.Tree>(tree: T): Device<T> => tree as unknown as Device<T>

const upload = <T extends Tree.Tree>(host: Tree.Host<T>): T =>
  Tree.toLive(host as Tree.HostTree, tensorOf) as unknown as T

const cloned = <T extends Tree.Tree>(tree: T): T => Tree.map(tree, (leaf) => leaf.clone()) as T

/** Numbers of tensors; a failure if the device has failed by then. */
type Read = (tensors: ReadonlyArray<tf.Tensor>) => Effect.Effect<ReadonlyArray<ArrayLike<number>>, Failure>

const readAtOnce: Read = (tensors) => attempt(() => tensors.map((tensor) => tensor.dataSync()))
const readLater: Read = (tensors) => Effect.tryPromise({ try: () => WebGpu.read(tensors), catch: toFailure })

// TensorFlow.js keeps one scope stack and one backend per process: an engine pins its own before every entry.
const service = (name: string, backend: string, read: Read): Engine["Service"] => {
  const tidily = <T extends Tree.Tree>(f: () => T): T => {
    if (tf.getBackend() !== backend)
      throw new StepFailure(
        "",
        `the TensorFlow.js backend was changed to '${tf.getBackend()}' while '${backend}' was in use`
      )
    return tf.tidy(f as () => never) as T
  }
  const download = <T extends Tree.Tree>(tree: T): Effect.Effect<Tree.Host<T>, Failure> =>
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
    name,
    compile: (step) =>
      Effect.succeed((state, batch) =>
        Effect.suspend(() => {
          const before = live(state)
          let made: ReturnType<typeof step>
          try {
            made = tidily(() => step(before, upload(batch) as never) as never) as unknown as ReturnType<typeof step>
          } catch (cause) {
            dispose(before)
            return Effect.fail(toFailure(cause))
          }
          const [after, metrics] = made
          disposeExcept(after, before)
          return download(metrics).pipe(
            // A metric may be one of the new state's own tensors.
            Effect.ensuring(Effect.sync(() => disposeExcept(after, metrics))),
            Effect.tapError(() => Effect.sync(() => dispose(after))),
            Effect.map((host) => [device(after), host] as const)
          )
        }).pipe(Effect.uninterruptible)
      ),
    observe: (f) =>
      Effect.succeed((state, batch) =>
        Effect.acquireUseRelease(
          // Clones, because metrics may hold tensors of the state.
          attempt(() => tidily(() => cloned(f(live(state), upload(batch) as never)))),
          download,
          (metrics) => Effect.sync(() => dispose(metrics))
        )
      ),
    start: (f, input) =>
      attempt(() =>
        // The result may hold its inputs and hold a tensor twice; each leaf becomes a tensor of its own.
        tidily(() => cloned(f(upload(input) as never)))
      ).pipe(
        Effect.tap((state) => Effect.tapError(read([]), () => Effect.sync(() => dispose(state)))),
        Effect.map(device),
        Effect.uninterruptible
      ),
    upload: (host) => Effect.sync(() => device(upload(host))),
    download: (state) => Effect.orDie(download(live(state))),
    release: (state) => Effect.sync(() => dispose(live(state))),
    live: Effect.sync(() => tf.memory().numTensors)
  }
}

/**
 * The eager engine: steps run kernel by kernel on a TensorFlow.js backend. `cpu` installs with the package; the
 * others are optional peers whose absence is a `CompileError` that says how to install them. On WebGPU
 * what goes wrong on the device fails the step whose numbers are read next, which is that step or a later one.
 */
export const layer = (backend: Backend): Layer.Layer<Engine, CompileError> =>
  Layer.effect(
    Engine,
    Effect.gen(function* () {
      // Silences a banner that recommends another backend; it is what TensorFlow.js calls production mode.
      tf.enableProdMode()
      yield* load(backend)
      yield* select(backend)
      return service(`eager/${backend}`, tf.getBackend(), backend === "webgpu" ? readLater : readAtOnce)
    })
  )
