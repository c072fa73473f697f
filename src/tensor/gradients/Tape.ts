/**
 * Repairs of the tape on which TensorFlow.js records what it differentiates.
 *
 * - Outputs that a kernel saves for its gradient are copied, and the copies come before the kernel on the tape: an enclosing
 *   gradient takes them for constants. Here they come after it, and gradients of gradients are right to any order.
 * - A `tf.customGrad` may save neither an input nor an output but something in between, of which the tape knows nothing: an
 *   enclosing gradient that passes through it is refused. Of TensorFlow.js's own, the cross-entropy does so, and knows no
 *   gradient of its labels: it gets one.
 * - Inputs that a kernel is not given are left out, where TensorFlow.js would read from them.
 */
import * as tf from "@tensorflow/tfjs-core"

interface TapeNode {
  readonly kernelName: string
  readonly inputs: { readonly [name: string]: tf.Tensor }
  readonly outputs: ReadonlyArray<tf.Tensor>
  readonly saved: ReadonlyArray<tf.Tensor>
  gradient?: (dys: ReadonlyArray<tf.Tensor | null>) => { readonly [name: string]: () => tf.Tensor }
}
type Gradients = (
  dy: any,
  saved: ReadonlyArray<tf.Tensor>,
  attrs: unknown
) => ReturnType<NonNullable<TapeNode["gradient"]>>
type AddTapeNode = (
  kernelName: string,
  inputs: { readonly [name: string]: tf.Tensor | undefined | null },
  outputs: ReadonlyArray<tf.Tensor>,
  gradients: Gradients | null,
  saved: ReadonlyArray<tf.Tensor>,
  attrs: unknown
) => void

interface Engine {
  readonly state: { readonly activeTape: Array<TapeNode> }
  addTapeNode: AddTapeNode
  saveTensorsForBackwardMode: (tensors: ReadonlyArray<tf.Tensor | undefined | null>) => ReadonlyArray<tf.Tensor>
}

const crossEntropy = "softmaxCrossEntropy__op"

/** What the cross-entropy saves, the logarithms of the softmax, as the function of its logits that it is. */
const logSoftmax: Gradients = (dy: tf.Tensor, [saved]) => ({
  1: () => tf.sub(dy, tf.mul(tf.sum(dy, -1, true), tf.exp(saved!)))
})

const missing =
  (kernelName: string): Gradients =>
  () => {
    throw new Error(
      `the gradient of the kernel ${kernelName} is not known here: write it in terms of other operations, or give it one ` +
        "with tf.registerGradient"
    )
  }

const between =
  (kernelName: string): Gradients =>
  () => {
    throw new Error(
      `a gradient of a gradient passes through what a custom gradient saved (${kernelName}), and that is neither an input ` +
        "nor an output of it: save those, and compute from them in the gradient function"
    )
  }

const repaired = (engine: Engine, add: AddTapeNode): AddTapeNode =>
  function (kernelName, given, outputs, gradients, saved, attrs) {
    const inputs = Object.fromEntries(
      Object.entries(given).flatMap(([name, x]) => (x === undefined || x === null ? [] : [[name, x]]))
    )
    const { activeTape } = engine.state
    const own = gradients !== null && saved.length > 0
    const known = gradients ?? (tf.getGradient(kernelName)?.gradFunc as Gradients | undefined)
    const inputIds = new Set(Object.values(inputs).map(({ id }) => id))
    const outputIds = new Set(outputs.map(({ id }) => id))
    const late: Array<TapeNode> = []
    // Copies of what was saved stand at the end of the tape by now.
    for (const copy of saved) {
      const at = activeTape.findLastIndex((node) => node.outputs[0]?.id === copy.id)
      const source = activeTape[at]?.inputs["x"]?.id
      if (source === undefined) continue
      if (outputIds.has(source)) late.push(...activeTape.splice(at, 1))
      else if (own && !inputIds.has(source)) {
        activeTape.splice(at, 1)
        if (kernelName === crossEntropy)
          add.call(engine, kernelName, { 1: inputs["1"]! }, [copy], logSoftmax, [copy], attrs)
        else add.call(engine, kernelName, inputs, [copy], between(kernelName), [copy], attrs)
      }
    }
    const labelled: Gradients | null =
      own && kernelName === crossEntropy
        ? (dy: tf.Tensor, both, options) => ({
            ...gradients(dy, both, options),
            0: () => tf.neg(tf.mul(tf.expandDims(dy, -1), both[1]!))
          })
        : gradients
    add.call(engine, kernelName, inputs, outputs, known === undefined ? missing(kernelName) : labelled, saved, attrs)
    activeTape.push(...late)
  }

const repairedEngines = new WeakSet<object>()

/** Repairs the tape of TensorFlow.js's engine, once. */
export const repair = (): void => {
  const engine = tf.engine() as unknown as Engine
  if (repairedEngines.has(engine)) return
  repairedEngines.add(engine)
  engine.addTapeNode = repaired(engine, engine.addTapeNode)
  const save = engine.saveTensorsForBackwardMode
  engine.saveTensorsForBackwardMode = (tensors) =>
    save.call(
      engine,
      tensors.filter((tensor) => tensor !== undefined && tensor !== null)
    )
}
