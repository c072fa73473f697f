/** Activations by their names on the hub. */
import * as tf from "@tensorflow/tfjs-core"
import { gelu, sigmoid, tanh } from "../../tensor/Smooth.ts"
import type { Activation } from "./EncoderConfig.ts"

/** The normal distribution function by tanh, as GPT has it (Hendrycks and Gimpel 2016). */
const geluByTanh = <T extends tf.Tensor>(x: T): T => {
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
  return tf.mul(tf.mul(x, 0.5), tf.add(tanh(inner), 1))
}

const functions: { readonly [name in Activation]: <T extends tf.Tensor>(x: T) => T } = {
  gelu,
  gelu_new: geluByTanh,
  gelu_pytorch_tanh: geluByTanh,
  relu: (x) => tf.relu(x),
  silu: (x) => tf.mul(x, sigmoid(x)),
  tanh
}

/** Applies the activation of this name, element by element. */
export const activated = <T extends tf.Tensor>(name: Activation, x: T): T => functions[name](x)
