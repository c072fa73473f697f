/** What ONNX Runtime computes with; and, where that does not start or lacks a kernel, which one and what to do. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { size } from "../../dsl/values/NdArray.ts"
import type { Provider } from "../../compiler/onnx/Onnx.ts"
import type { ExecutableOptions } from "./Protocol.ts"

/** Options of sessions. A node that would go back to the cpu is an error. */
const strictly = ({ provider, spinning, threads }: ExecutableOptions): InferenceSession.SessionOptions => ({
  executionProviders: [provider],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: "sequential",
  // A second set of all memory, allotted at the second run, beside what the first run has taken; it saves no time.
  enableMemPattern: false,
  // Graphs come simplified and fused: ONNX Runtime's own passes find nothing more, and take longer than all the rest.
  graphOptimizationLevel: "disabled",
  // What is wrong is thrown as well; the log would say it twice.
  logSeverityLevel: provider === "cpu" ? 3 : 4,
  extra: {
    client: {
      intra_op: { allow_spinning: spinning ? "1" : "0" },
      ...(provider === "cpu" ? {} : { disable_cpu_ep_fallback: "1" })
    }
  }
})

const needs: { readonly [name in Exclude<Provider, "cpu">]: string } = {
  cuda:
    "it needs Linux on x64, an NVIDIA GPU with its driver, CUDA and cuDNN on the library path, and libraries that npm does not " +
    "bring: docs/engines.md says which versions, and how to fetch them",
  webgpu:
    "it needs a GPU with a driver for Vulkan (and libvulkan.so.1), Metal or Direct3D 12: docs/engines.md says more"
}

const zeros = ({ name, shape, type }: InferenceSession.TensorValueMetadata): readonly [string, Tensor] => {
  const dims = shape as ReadonlyArray<number>
  return type === "int32"
    ? [name, new Tensor("int32", new Int32Array(size(dims)), dims)]
    : [name, new Tensor("float32", new Float32Array(size(dims)), dims)]
}

interface ProfiledEvent {
  readonly name: string
  readonly cat: string
  readonly args?: { readonly provider?: string; readonly op_name?: string }
}

/** Operators of a model that run on the cpu all the same, by the profile of one run on zeros that may use it. */
const onCpu = async (model: Uint8Array, options: ExecutableOptions): Promise<ReadonlyArray<string>> => {
  const folder = mkdtempSync(join(tmpdir(), "tapweight-"))
  try {
    const { extra: _, ...lenient } = strictly(options)
    const client = await InferenceSession.create(model, {
      ...lenient,
      enableProfiling: true,
      profileFilePrefix: join(folder, "profile")
    })
    const inputs = client.inputMetadata.filter((input) => input.isTensor)
    await client.run(Object.fromEntries(inputs.map(zeros))).catch(() => undefined)
    client.endProfiling()
    await client.release()
    const events = readdirSync(folder).flatMap(
      (file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as ReadonlyArray<ProfiledEvent>
    )
    const found = events.filter(({ args, cat }) => cat === "Node" && args?.provider === "CPUExecutionProvider")
    return [...new Set(found.map(({ args, name }) => `${args!.op_name} (${name.replace(/\/.*$/, "")})`))]
  } catch {
    return []
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A client of a provider, all of whose nodes run there. */
export const create = async (model: Uint8Array, options: ExecutableOptions): Promise<InferenceSession> => {
  const { provider } = options
  try {
    return await InferenceSession.create(model, strictly(options))
  } catch (cause) {
    if (provider === "cpu") throw cause
    // Without the place in its own sources that ONNX Runtime begins with.
    const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/^\S+\.cc:\d+ .* was false\. /s, "")
    if (!reason.includes("fallback to CPU EP has been explicitly disabled"))
      throw new Error(`the provider '${provider}' does not start (${reason.trim()}): ${needs[provider]}`, { cause })
    const operators = await onCpu(model, options)
    const which = operators.length === 0 ? "some of this step's operators" : operators.slice(0, 8).join(", ")
    const remedy = "write it in other operations, or choose the engine 'compiled'"
    throw new Error(`the provider '${provider}' has no kernel for ${which}: ${remedy}`, { cause })
  }
}
