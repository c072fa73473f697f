// The only import of the package that registers TensorFlow.js gradients: core registers none on Node.
import "@tensorflow/tfjs"
