/** What a gradient rule is, and forms that many rules share. */
import * as tf from "@tensorflow/tfjs-core"

/** Gradients of a kernel's inputs, by name, from what flows back to its output, what was saved, and its attributes. */
export type Rule = tf.GradConfig

// TensorFlow.js types neither what a kernel saves nor its attributes by the kernel's name.
type Attrs = any
type Slope = (dy: tf.Tensor, saved: tf.Tensor, attrs: Attrs) => tf.Tensor

const rule = (
  kernelName: string,
  saves: Pick<Rule, "inputsToSave" | "outputsToSave" | "saveAllInputs">,
  gradFunc: (dy: any, saved: ReadonlyArray<any>, attrs: Attrs) => { readonly [input: string]: () => tf.Tensor }
): Rule => ({ kernelName, ...saves, gradFunc: gradFunc as NonNullable<Rule["gradFunc"]> })

/** A rule that reads these inputs. */
export const reading = (
  kernelName: string,
  inputsToSave: ReadonlyArray<string>,
  gradients: Parameters<typeof rule>[2]
): Rule => rule(kernelName, { inputsToSave: [...inputsToSave] }, gradients)

/** A rule for a kernel with any number of inputs, all of which it reads. */
export const readingAll = (kernelName: string, gradients: Parameters<typeof rule>[2]): Rule =>
  rule(kernelName, { saveAllInputs: true }, gradients)

/** A rule that needs nothing but what flows back. */
export const linear = (kernelName: string, gradient: (dy: any, attrs: Attrs) => tf.Tensor, input: string = "x"): Rule =>
  rule(kernelName, {}, (dy, _, attrs) => ({ [input]: () => gradient(dy, attrs) }))

/** A rule for one input, stated through that input. */
export const ofInput = (kernelName: string, slope: Slope, input: string = "x"): Rule =>
  reading(kernelName, [input], (dy, [x], attrs) => ({ [input]: () => slope(dy, x, attrs) }))

/** A rule for one input, stated through the output. */
export const ofOutput = (kernelName: string, slope: Slope, input: string = "x"): Rule =>
  rule(kernelName, { outputsToSave: [true] }, (dy, [y], attrs) => ({ [input]: () => slope(dy, y, attrs) }))

/** A rule that reads these inputs and the output after them. */
export const readingBoth = (
  kernelName: string,
  inputsToSave: ReadonlyArray<string>,
  gradients: Parameters<typeof rule>[2]
): Rule => rule(kernelName, { inputsToSave: [...inputsToSave], outputsToSave: [true] }, gradients)

/** Zeros for these inputs: a result that does not move with them, but at jumps. */
export const constant = (kernelName: string, inputs: ReadonlyArray<string>): Rule =>
  reading(kernelName, inputs, (_, saved: ReadonlyArray<tf.Tensor>) =>
    Object.fromEntries(inputs.map((name, i) => [name, () => zeros(saved[i]!)]))
  )

/** Zeros of the shape of a tensor, in the type of gradients. */
export const zeros = ({ shape }: tf.Tensor): tf.Tensor => tf.zeros(shape, "float32")

export const float = (x: tf.Tensor): tf.Tensor => tf.cast(x, "float32")

/** What flows back to an operand that broadcasts: the sum over all that it was repeated to. */
export const summedTo = (dy: tf.Tensor, { shape }: tf.Tensor): tf.Tensor => {
  const axes = tf.broadcast_util.getReductionAxes(shape, dy.shape)
  return axes.length === 0 ? dy : tf.reshape(tf.sum(dy, axes), shape)
}

/** A rule for two operands that broadcast: what flows back to each before it is summed to the operand's shape. */
export const ofTwo = (
  kernelName: string,
  first: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  second: typeof first
): Rule =>
  reading(kernelName, ["a", "b"], (dy, [a, b]) => ({
    a: () => summedTo(first(dy, a, b), a),
    b: () => summedTo(second(dy, a, b), b)
  }))
