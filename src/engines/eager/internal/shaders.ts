/** Kernels that TensorFlow.js's WebGPU backend lacks, has only for few inputs, or computes too roughly to train with. */
import * as tf from "@tensorflow/tfjs-core"
import { Threefry2x32 } from "../../../tensor/Noise.ts"

/** What https://github.com/tensorflow/tfjs/blob/tfjs-v4.22.0/tfjs-backend-webgpu/src/webgpu_program.ts asks of a program. */
interface ShaderProgram {
  readonly variableNames: ReadonlyArray<string>
  readonly uniforms?: string
  readonly outputShape: ReadonlyArray<number>
  readonly workgroupSize: readonly [number, number, number]
  readonly dispatchLayout: { readonly x: ReadonlyArray<number> }
  readonly dispatch: readonly [number, number, number]
  readonly size: true
  shaderKey: string
  readonly getUserCode: () => string
}
interface Backend extends tf.KernelBackend {
  readonly runWebGPUProgram: (
    program: ShaderProgram,
    inputs: ReadonlyArray<tf.TensorInfo>,
    dtype: tf.DataType,
    uniforms?: ReadonlyArray<{ readonly type: "int32"; readonly data: ReadonlyArray<number> }>
  ) => tf.TensorInfo
  readonly disposeData: (id: object) => boolean
  readonly tensorMap: { readonly get: (id: object) => { readonly values: unknown } }
}
/** Whether numbers of a tensor have not left the host. */
export const onHost = (backend: Pick<Backend, "tensorMap">, id: object): boolean =>
  (backend.tensorMap.get(id).values ?? undefined) !== undefined

type Args = {
  readonly inputs: { readonly [name: string]: tf.TensorInfo }
  readonly attrs: unknown
  readonly backend: Backend
}

const group = 64

/** A program that computes numbers one by one: `value` is an expression of their place, the i32 `index`. */
const program = (name: string, count: number, inputs: ReadonlyArray<string>, value: string, uniforms?: string) => ({
  variableNames: inputs,
  ...(uniforms === undefined ? {} : { uniforms }),
  outputShape: [count],
  workgroupSize: [group, 1, 1] as const,
  dispatchLayout: { x: [0] },
  dispatch: [Math.ceil(count / group), 1, 1] as const,
  size: true as const,
  shaderKey: `tapweight ${name}`,
  getUserCode: () => `${functions}
    fn main(index : i32) {
      if (index < uniforms.size) { setOutputAtIndex(index, ${value}); }
    }`
})

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const
const rounds = Array.from({ length: 20 }, (_, round) => {
  const by = rotations[round & 7]!
  const mix = `x0 = x0 + x1; x1 = ((x1 << ${by}u) | (x1 >> ${32 - by}u)) ^ x0;`
  if ((round & 3) !== 3) return mix
  const s = (round >> 2) + 1
  return `${mix} x0 = x0 + keys[${s % 3}]; x1 = x1 + keys[${(s + 1) % 3}] + ${s}u;`
})

// WGSL promises for log and exp an absolute error only, which near 0 is larger than the result: there, series.
const functions = `
  fn threefry(index : u32, k0 : u32, k1 : u32, salt : u32) -> f32 {
    let keys = array<u32, 3>(k0, k1, k0 ^ k1 ^ 0x1bd11bdau);
    var x0 = (index >> 1u) + k0;
    var x1 = salt + k1;
    ${rounds.join("\n    ")}
    return f32(select(x0, x1, (index & 1u) == 1u) >> 8u) * ${2 ** -24};
  }
  fn log1pOf(x : f32) -> f32 {
    let z = x / (2.0 + x);
    let s = z * z;
    let near = z * (2.0 + s * (2.0 / 3.0 + s * (2.0 / 5.0 + s * (2.0 / 7.0 + s * (2.0 / 9.0)))));
    return select(log(1.0 + x), near, abs(x) < 0.25);
  }
  fn expm1Of(x : f32) -> f32 {
    let tail = 1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0 + x / 5040.0));
    let near = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * tail)));
    return select(exp(x) - 1.0, near, abs(x) < 0.25);
  }`

// TensorFlow.js takes integers on the GPU through float32, so a key from there has lost its last bits.
const noise = ({ attrs, backend, inputs }: Args): tf.TensorInfo => {
  const { salt, shape } = attrs as { readonly shape: Array<number>; readonly salt: number }
  const { dataId } = inputs["key"]!
  if (!onHost(backend, dataId))
    throw new Error(
      "a key of noise comes from the GPU, where TensorFlow.js rounds integers above 2^24: slice it from the batch"
    )
  const key = backend.readSync(dataId) as Int32Array
  const value = "threefry(u32(index), u32(uniforms.k0), u32(uniforms.k1), u32(uniforms.salt))"
  const made = program("noise", tf.util.sizeFromShape(shape), [], value, "k0 : i32, k1 : i32, salt : i32,")
  const words = [key[0]!, key[1]!, salt | 0].map((word) => ({ type: "int32" as const, data: [word] }))
  return { ...backend.runWebGPUProgram(made, [], "float32", words), shape }
}

const unary =
  (name: string) =>
  ({ backend, inputs }: Args): tf.TensorInfo => {
    const x = inputs["x"]!
    const count = tf.util.sizeFromShape(x.shape)
    const made = program(name, count, ["x"], `${name}(x[index])`)
    const result = backend.runWebGPUProgram(made, [{ ...x, shape: [count] }], "float32")
    return { ...result, shape: x.shape }
  }

// A shader reads few buffers; WebGPU promises eight, one of which is written.
const most = 7

const sumOfFew =
  (kernel: tf.KernelFunc) =>
  (args: Args): tf.TensorInfo => {
    const { backend } = args
    const add = (inputs: ReadonlyArray<tf.TensorInfo>) => kernel({ inputs, backend } as never) as tf.TensorInfo
    const [first, ...rest] = args.inputs as unknown as ReadonlyArray<tf.TensorInfo>
    let sum = add([first!, ...rest.slice(0, most - 1)])
    for (let at = most - 1; at < rest.length; at += most - 1) {
      const before = sum
      sum = add([before, ...rest.slice(at, at + most - 1)])
      backend.disposeData(before.dataId)
    }
    return sum
  }

let registered = false

/** Registers the kernels, once. */
export const register = (): void => {
  if (registered) return
  registered = true
  const backendName = "webgpu"
  const replace = (kernelName: string, kernelFunc: (args: Args) => tf.TensorInfo): void => {
    if (tf.getKernel(kernelName, backendName) !== undefined) tf.unregisterKernel(kernelName, backendName)
    tf.registerKernel({ kernelName, backendName, kernelFunc: kernelFunc as unknown as tf.KernelFunc })
  }
  replace(Threefry2x32, noise)
  replace("Log1p", unary("log1pOf"))
  replace("Expm1", unary("expm1Of"))
  replace("AddN", sumOfFew(tf.getKernel("AddN", backendName).kernelFunc))
}
