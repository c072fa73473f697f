import * as tf from "@tensorflow/tfjs-core"

type Values = Float32Array | Int32Array | Uint8Array

/** What the cpu and wasm backends share, as far as kernels need it. */
interface HostBackend extends tf.KernelBackend {
  readonly makeTensorInfo: (shape: ReadonlyArray<number>, dtype: tf.DataType, values: Values) => tf.TensorInfo
  readonly disposeIntermediateTensorInfo: (info: tf.TensorInfo) => void
}
interface WasmBackend extends tf.KernelBackend {
  readonly makeOutput: (shape: ReadonlyArray<number>, dtype: tf.DataType) => tf.TensorInfo
  readonly typedArrayFromHeap: (info: tf.TensorInfo) => Values
  readonly disposeData: (dataId: object, force?: boolean) => boolean
}
type Args = { readonly inputs: tf.NamedTensorInfoMap; readonly backend: unknown; readonly attrs?: tf.NamedAttrMap }

const read = (backend: tf.KernelBackend, info: tf.TensorInfo): Values => backend.readSync(info.dataId) as Values

const output = (
  backend: unknown,
  shape: ReadonlyArray<number>,
  dtype: tf.DataType,
  fill: (out: Values) => void
): tf.TensorInfo => {
  if (typeof (backend as WasmBackend).typedArrayFromHeap === "function") {
    const wasm = backend as WasmBackend
    const info = wasm.makeOutput(shape, dtype)
    const heap = wasm.typedArrayFromHeap(info)
    heap.fill(0)
    fill(heap)
    return info
  }
  const values =
    dtype === "float32"
      ? new Float32Array(tf.util.sizeFromShape([...shape]))
      : new Int32Array(tf.util.sizeFromShape([...shape]))
  fill(values)
  return (backend as HostBackend).makeTensorInfo(shape, dtype, values)
}

/** Gradient of an embedding look-up. The cpu backend's own takes one pass over the data for every row of the table. */
const unsortedSegmentSum = ({ attrs, backend, inputs }: Args): tf.TensorInfo => {
  const { segmentIds, x } = inputs as { readonly x: tf.TensorInfo; readonly segmentIds: tf.TensorInfo }
  const ids = read(backend as tf.KernelBackend, segmentIds)
  const values = read(backend as tf.KernelBackend, x)
  const rows = (attrs as unknown as { readonly numSegments: number }).numSegments
  const inner = x.shape.slice(segmentIds.shape.length)
  const width = tf.util.sizeFromShape(inner)
  return output(backend, [rows, ...inner], x.dtype, (out) => {
    for (let i = 0; i < ids.length; i++) {
      const row = ids[i]!
      if (row < 0 || row >= rows) continue
      for (let j = 0, from = i * width, to = row * width; j < width; j++) out[to + j]! += values[from + j]!
    }
  })
}

/** Gradient of a convolution with respect to its filter: patches of the image as columns, then one matrix product. */
const conv2dBackpropFilter = ({ attrs, backend, inputs }: Args): tf.TensorInfo => {
  const { dy, x } = inputs as { readonly x: tf.TensorInfo; readonly dy: tf.TensorInfo }
  const options = attrs as unknown as {
    readonly strides: [number, number]
    readonly pad: "valid" | "same" | number
    readonly dataFormat: "NHWC" | "NCHW"
    readonly dimRoundingMode?: "floor" | "round" | "ceil"
    readonly filterShape: [number, number, number, number]
  }
  const info = tf.backend_util.computeConv2DInfo(
    x.shape as [number, number, number, number],
    options.filterShape,
    options.strides,
    1,
    options.pad,
    options.dimRoundingMode,
    false,
    tf.backend_util.convertConv2DDataFormat(options.dataFormat)
  )
  if (info.dataFormat !== "channelsLast")
    throw new Error("Conv2DBackpropFilter: only NHWC images are supported on wasm")
  const { batchSize, filterHeight, filterWidth, inChannels, inHeight, inWidth, outChannels, outHeight, outWidth } = info
  const wasm = backend as WasmBackend
  const image = read(wasm, x)
  const places = batchSize * outHeight * outWidth
  const width = filterHeight * filterWidth * inChannels
  const columns = output(wasm, [1, places, width], "float32", (out) => {
    for (let b = 0, to = 0; b < batchSize; b++) {
      for (let oy = 0; oy < outHeight; oy++) {
        for (let ox = 0; ox < outWidth; ox++) {
          for (let ky = 0; ky < filterHeight; ky++) {
            const iy = oy * info.strideHeight - info.padInfo.top + ky
            for (let kx = 0; kx < filterWidth; kx++, to += inChannels) {
              const ix = ox * info.strideWidth - info.padInfo.left + kx
              if (iy < 0 || iy >= inHeight || ix < 0 || ix >= inWidth) continue
              const from = ((b * inHeight + iy) * inWidth + ix) * inChannels
              for (let c = 0; c < inChannels; c++) out[to + c] = image[from + c]!
            }
          }
        }
      }
    }
  })
  const product = tf.getKernel("BatchMatMul", "wasm").kernelFunc({
    inputs: { a: columns, b: { ...dy, shape: [1, places, outChannels] } },
    backend: wasm,
    attrs: { transposeA: true, transposeB: false }
  }) as tf.TensorInfo
  wasm.disposeData(columns.dataId)
  return { ...product, shape: [...options.filterShape] }
}

/** Runs the cpu backend's kernel on a wasm backend's data: correct, at the cpu backend's speed. */
const borrowed =
  (kernelName: string) =>
  ({ attrs, backend, inputs }: Args): tf.TensorInfo => {
    const cpu = tf.findBackend("cpu") as unknown as HostBackend
    const wasm = backend as WasmBackend
    const lent = Object.fromEntries(
      Object.entries(inputs).map(([key, info]) => [
        key,
        cpu.makeTensorInfo(info!.shape, info!.dtype, read(wasm, info!))
      ])
    )
    const result = tf
      .getKernel(kernelName, "cpu")
      .kernelFunc({ inputs: lent, backend: cpu, attrs: attrs! }) as tf.TensorInfo
    const values = cpu.readSync(result.dataId) as Values
    const out = output(wasm, result.shape, result.dtype, (heap) => heap.set(values))
    for (const info of [...Object.values(lent), result]) cpu.disposeIntermediateTensorInfo(info)
    return out
  }

type MatMulArgs = Args & { readonly attrs: { readonly transposeA: boolean; readonly transposeB: boolean } }

/** A matrix product that transposes first: wasm's own transposed product runs at a tenth of the speed of its plain one. */
const transposedFirst =
  (multiply: tf.KernelFunc) =>
  (args: Args): tf.TensorInfo => {
    const { attrs, backend, inputs } = args as MatMulArgs
    const wasm = backend as WasmBackend
    const made: Array<tf.TensorInfo> = []
    const plain = (x: tf.TensorInfo, transposed: boolean): tf.TensorInfo => {
      if (!transposed) return x
      const rank = x.shape.length
      const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i))
      const kernel = tf.getKernel("Transpose", "wasm").kernelFunc
      const result = kernel({ inputs: { x }, backend: wasm, attrs: { perm } }) as tf.TensorInfo
      made.push(result)
      return result
    }
    const lent = { a: plain(inputs["a"]!, attrs.transposeA), b: plain(inputs["b"]!, attrs.transposeB) }
    const result = multiply({
      inputs: lent,
      backend: wasm,
      attrs: { transposeA: false, transposeB: false }
    }) as tf.TensorInfo
    for (const info of made) wasm.disposeData(info.dataId)
    return result
  }

interface Convolution {
  readonly strides: number | [number, number]
  readonly pad: "valid" | "same" | number
  readonly dilations: number | [number, number]
  readonly dataFormat: "NHWC" | "NCHW"
}

/** A convolution that pads first: with the padding `same`, wasm's own gives zeros where a step is longer than the window. */
const paddedFirst =
  (convolve: tf.KernelFunc) =>
  (args: Args): tf.TensorInfo => {
    const { attrs, backend, inputs } = args
    const { dataFormat, dilations, pad, strides } = attrs as unknown as Convolution
    const { filter, x } = inputs as { readonly x: tf.TensorInfo; readonly filter: tf.TensorInfo }
    const plain = () => convolve(args as unknown as Parameters<tf.KernelFunc>[0]) as tf.TensorInfo
    if (pad !== "same" || dataFormat !== "NHWC") return plain()
    const [image, window] = [x.shape, filter.shape] as [
      [number, number, number, number],
      [number, number, number, number]
    ]
    const info = tf.backend_util.computeConv2DInfo(image, window, strides, dilations, pad)
    if (info.strideHeight <= info.effectiveFilterHeight && info.strideWidth <= info.effectiveFilterWidth) return plain()
    const { bottom, left, right, top } = info.padInfo
    const wasm = backend as WasmBackend
    const paddings = [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0]
    ]
    const padding = tf.getKernel("PadV2", "wasm").kernelFunc
    const padded = padding({ inputs: { x }, backend: wasm, attrs: { paddings, constantValue: 0 } }) as tf.TensorInfo
    const result = convolve({ inputs: { x: padded, filter }, backend: wasm, attrs: { ...attrs!, pad: "valid" } })
    wasm.disposeData(padded.dataId)
    return result as tf.TensorInfo
  }

const replace = (kernelName: string, backendName: string, kernelFunc: (args: Args) => tf.TensorInfo): void => {
  // A kernel's set-up, which looks up its wasm function, still runs when the backend starts.
  const known = tf.getKernel(kernelName, backendName) as tf.KernelConfig | undefined
  if (known !== undefined) tf.unregisterKernel(kernelName, backendName)
  tf.registerKernel({ ...known, kernelName, backendName, kernelFunc: kernelFunc as unknown as tf.KernelFunc })
}

// Replacements that call what they replace: doing so twice would only add a layer.
let wrapped = false

const lacking = ["DepthwiseConv2dNativeBackpropFilter", "DepthwiseConv2dNativeBackpropInput"]
/** Of pools some of the last places get nothing on wasm, and convolutions of volumes hand back something else. */
const wrong = ["MaxPoolGrad", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2"]

/** Registers the kernels that training needs and that a backend lacks, or has only in a form too slow to train with. */
export const registerTrainingKernels = (backend: "cpu" | "wasm"): void => {
  replace("UnsortedSegmentSum", backend, unsortedSegmentSum)
  if (backend === "cpu") return
  replace("Conv2DBackpropFilter", backend, conv2dBackpropFilter)
  if (!wrapped) replace("BatchMatMul", backend, transposedFirst(tf.getKernel("BatchMatMul", backend).kernelFunc))
  if (!wrapped) replace("Conv2D", backend, paddedFirst(tf.getKernel("Conv2D", backend).kernelFunc))
  wrapped = true
  for (const name of [...lacking, ...wrong]) replace(name, backend, borrowed(name))
}
