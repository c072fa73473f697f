import * as tf from "@tensorflow/tfjs-core"

// Silences TensorFlow.js's banner about its other backends.
tf.enableProdMode()
