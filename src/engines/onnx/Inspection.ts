/** What ONNX Runtime says of itself. */
import { createRequire } from "node:module"

/** ONNX Runtime, as it is installed. */
export interface Inspection {
  readonly version: string
  /** What its build for this system can compute with, e.g. `cpu`, `webgpu`. */
  readonly providers: ReadonlyArray<string>
}

/** Loads ONNX Runtime and asks it. Rejects where it has no build for this system. */
export const inspect = async (): Promise<Inspection> => {
  // Before it is loaded: it would send what it finds to its makers.
  process.env["ORT_DISABLE_TELEMETRY"] = "1"
  const { listSupportedBackends } = await import("onnxruntime-node")
  const { version } = createRequire(import.meta.url)("onnxruntime-node/package.json") as { readonly version: string }
  return { version, providers: listSupportedBackends().map(({ name }) => name) }
}
