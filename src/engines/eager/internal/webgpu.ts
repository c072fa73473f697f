/** TensorFlow.js's WebGPU backend on Dawn: its packages, its device, and the errors that WebGPU does not throw. */
import * as tf from "@tensorflow/tfjs-core"
import { EngineError } from "../../Engine.ts"
import * as Shaders from "./shaders.ts"

/** What of https://www.w3.org/TR/webgpu is used here; Node's types have none of it. */
interface Device extends EventTarget {
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>
  readonly queue: { readonly onSubmittedWorkDone: () => Promise<void> }
}
interface Gpu {
  readonly requestAdapter: () => Promise<unknown>
}
interface Dawn {
  readonly create: (flags: ReadonlyArray<string>) => Gpu
  readonly globals: object
}
interface Backend extends tf.KernelBackend {
  readonly device: Device
  readonly tensorMap: { readonly get: (id: object) => { readonly values: unknown } }
  readSync: tf.KernelBackend["readSync"]
}

/** The packages that the engine needs beside those that are always there, and the versions that it was tried with. */
export const packages = { webgpu: "0.6.2", "@tensorflow/tfjs-backend-webgpu": "4.22.0" } as const

const refused = (reason: string): EngineError =>
  new EngineError({ kind: "Refused", engine: "webgpu", tick: null, reason })
const firstLine = (cause: unknown): string => (cause instanceof Error ? cause.message.split("\n")[0]! : String(cause))

// Optional peers: the specifier is a value so that nothing tries to resolve them before they are asked for.
const load = async <A>(name: keyof typeof packages): Promise<A> => {
  try {
    return (await import(name as string)) as A
  } catch (cause) {
    const all = Object.entries(packages).map(([each, version]) => `${each}@${version}`)
    throw refused(
      `the package ${name} cannot be loaded (${firstLine(cause)}): install it with 'npm install --no-save ${all.join(" ")}', or ` +
        `choose the engine 'compiled'`
    )
  }
}

const errors: Array<string> = []
let lost: string | undefined
let watched: Device | undefined

const watch = (device: Device): void => {
  if (watched === device) return
  watched = device
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault()
    errors.push((event as unknown as { readonly error: { readonly message: string } }).error.message)
  })
  void device.lost.then(({ message, reason }) => {
    lost = `the GPU was lost (${reason}${message === "" ? "" : `: ${message}`}), and with it the state it held`
  })
}

/**
 * Throws what went wrong on the device since it was last asked: WebGPU itself goes on, with zeros for numbers. A device that
 * is lost stays lost.
 */
export const check = (): void => {
  const [first] = errors.splice(0)
  if (lost !== undefined) throw new Error(`${lost}: go on from the last checkpoint in a new process`)
  if (first !== undefined) throw new Error(`WebGPU: ${first}`)
}

/** Numbers of tensors, once the device has them. Rejects if anything went wrong on the device. */
export const read = async (tensors: ReadonlyArray<tf.Tensor>): Promise<ReadonlyArray<ArrayLike<number>>> => {
  const found = await Promise.allSettled(tensors.map((tensor) => tensor.data()))
  await watched!.queue.onSubmittedWorkDone()
  check()
  return found.map((each) => {
    if (each.status === "rejected") throw each.reason
    return each.value as Float32Array
  })
}

/** Watches over the backend in use, which is this one. */
export const adopt = (): void => {
  const backend = tf.backend() as Backend
  if (watched === backend.device) return
  watch(backend.device)
  const { readSync } = backend
  backend.readSync = (id) => {
    if (Shaders.onHost(backend, id)) return readSync.call(backend, id)
    throw new Error("numbers cannot be read inside of a step (dataSync): on WebGPU they come only later")
  }
}

/** Makes the backend known to TensorFlow.js. Throws an `EngineError` where packages or a GPU are missing. */
export const register = async (): Promise<void> => {
  const { create, globals } = await load<Dawn>("webgpu")
  const known = (globalThis.navigator as { readonly gpu?: Gpu } | undefined)?.gpu
  const gpu = known ?? create([])
  // The object has to outlive its devices, and the backend looks for it here.
  if (known === undefined) {
    Object.assign(globalThis, globals)
    const value = { gpu, userAgent: "Node.js" }
    Object.defineProperty(globalThis, "navigator", { value, configurable: true, writable: true })
  }
  if ((await gpu.requestAdapter()) === null)
    throw refused(
      "there is no GPU that WebGPU can use: it needs a driver for Vulkan (and libvulkan.so.1), Metal or Direct3D 12; or choose " +
        "the engine 'compiled'"
    )
  await load("@tensorflow/tfjs-backend-webgpu")
  Shaders.register()
}
