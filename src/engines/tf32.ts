/**
 * Keeps float32 products on NVIDIA cards in float32: from Ampere on, cuBLAS and cuDNN round their factors to 10 bits where a
 * caller allows it, as ONNX Runtime and TensorFlow do, and finite differences of gradients drown in that. Before CUDA starts.
 */
export const refuseTf32 = (): void => {
  process.env["NVIDIA_TF32_OVERRIDE"] ??= "0"
}
