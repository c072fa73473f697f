/**
 * What TensorFlow.js's core lacks on Node: gradients of its kernels, in this library's own rules, methods of tensors such as
 * `x.add(y)`, and a backend for tensors that are made outside of steps.
 */
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import "./ChainedMethods.ts"
import { registerMethods } from "./ChainedMethods.ts"
import * as Contraction from "./gradients/Contraction.ts"
import * as Images from "./gradients/Images.ts"
import * as Layout from "./gradients/Layout.ts"
import * as OfOne from "./gradients/OfOne.ts"
import * as OfTwo from "./gradients/OfTwo.ts"
import { repair } from "./gradients/Tape.ts"

/** All rules: one for a kernel. */
export const rules = [...OfOne.rules, ...OfTwo.rules, ...Contraction.rules, ...Layout.rules, ...Images.rules]

/**
 * Registers the rules, again where something else was registered since: the packages `@tensorflow/tfjs` and
 * `@tensorflow/tfjs-node` put TensorFlow.js's own in their place, some of which are wrong.
 */
export const registerGradients = (): void => {
  for (const rule of rules) {
    const present = tf.getGradient(rule.kernelName)
    if (present === rule) continue
    if (present !== undefined) tf.unregisterGradient(rule.kernelName)
    tf.registerGradient(rule)
  }
}

repair()
registerGradients()
registerMethods()
