/** Checks of engines, each of which is started and computes something. */
import { createRequire } from "node:module"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as NdArray from "../../dsl/values/NdArray.ts"
import * as Sentence from "../../dsl/errors/Sentence.ts"
import type * as Tree from "../../dsl/values/Tree.ts"
import { Engine, EngineError } from "../../engines/Engine.ts"
import * as OnnxEngine from "../../engines/onnx/OnnxEngine.ts"
import * as OnnxInspection from "../../engines/onnx/Inspection.ts"
import * as XlaEngine from "../../engines/xla/XlaEngine.ts"
import * as Options from "../Options.ts"
import { absent, type Check, fault, ok } from "./Check.ts"

/** What an engine is started from: packages, and whether a device must be there too, which only starting it tells. */
interface Needs {
  readonly packages: ReadonlyArray<string>
  readonly device: boolean
  readonly install: string
}

const reinstall = "npm install: ONNX Runtime has no build here, or it is damaged; else choose the engine wasm or cpu"

/** What each engine needs beside the package itself, and how it is installed: docs/engines.md has the same. */
export const needs: { readonly [name in Options.EngineName]: Needs } = {
  compiled: { packages: ["onnxruntime-node"], device: false, install: reinstall },
  onnx: { packages: ["onnxruntime-node"], device: false, install: reinstall },
  webassembly: {
    packages: [],
    device: false,
    install: "a processor with SSE4.1 or NEON, which Node's WebAssembly needs"
  },
  "compiled-cuda": {
    packages: ["onnxruntime-node"],
    device: true,
    install:
      "ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js, with CUDA 12 and cuDNN 9 on the loader's path"
  },
  "compiled-webgpu": {
    packages: ["onnxruntime-node"],
    device: true,
    install: "a driver of the card for Vulkan (and libvulkan1), Metal or Direct3D 12"
  },
  xla: {
    packages: ["koffi"],
    device: true,
    install: "npm install koffi@3.3.4, and pip install lammps-jax-pjrt-cpu or another device's plugin (docs/engines.md)"
  },
  wasm: {
    packages: ["@tensorflow/tfjs-backend-wasm"],
    device: false,
    install: "npm install @tensorflow/tfjs-backend-wasm@4.22.0"
  },
  cpu: { packages: [], device: false, install: "npm install: TensorFlow.js is damaged" },
  webgpu: {
    packages: ["webgpu", "@tensorflow/tfjs-backend-webgpu"],
    device: true,
    install: "npm install --no-save webgpu@0.6.2 @tensorflow/tfjs-backend-webgpu@4.22.0, and the card's driver"
  },
  tensorflow: {
    packages: ["@tensorflow/tfjs-node"],
    device: false,
    install: "npm install @tensorflow/tfjs-node@4.22.0"
  },
  "tensorflow-gpu": {
    packages: ["@tensorflow/tfjs-node-gpu"],
    device: true,
    install: "npm install @tensorflow/tfjs-node-gpu@4.22.0, and an NVIDIA driver with CUDA 11.2 and cuDNN 8.1"
  }
}

const { resolve } = createRequire(import.meta.url)
const isInstalled = (name: string): boolean => {
  try {
    resolve(name)
    return true
  } catch {
    return false
  }
}

const [a, b] = [NdArray.float32([2, 2], [1, 2, 3, 4]), NdArray.float32([2, 2], [0.5, -1, 2, 0.25])]
const wanted = [5.5, 0.5, 10.5, -1]

/** A product and a sum, on the engine: where it starts from a step's point of view. */
const computed = Effect.gen(function* () {
  const engine = yield* Engine
  type Given = { readonly a: tf.Tensor2D; readonly b: tf.Tensor2D }
  const f = ({ a, b }: Given) => ({ y: tf.add(tf.matMul(a, b), 1) as tf.Tensor2D })
  const state = yield* engine.start<Given, { readonly y: tf.Tensor2D }>(f, { a, b } as Tree.Host<Given>)
  const { y } = yield* Effect.ensuring(engine.download(state), engine.release(state))
  return { engine: engine.name, numbers: Array.from((y as NdArray.NdArray).data) }
})

/** The check of one engine, by what became of a start. */
const started = (name: Options.EngineName, plugin: Option.Option<string>): Effect.Effect<Check> => {
  const { device, install, packages } = needs[name]
  const missing = packages.filter((each) => !isInstalled(each))
  if (missing.length > 0)
    return Effect.succeed(
      absent(name, `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not installed`, install)
    )
  return computed.pipe(
    Effect.provide(Options.engineLayer(name, { plugin })),
    Effect.map(({ engine, numbers }) =>
      numbers.every((value, i) => Math.abs(value - wanted[i]!) < 1e-4)
        ? ok(name, `starts and computes, as ${engine}`)
        : fault(name, `it computes ${numbers.join(", ")} in place of ${wanted.join(", ")}`, `do not use it: ${install}`)
    ),
    Effect.catch((error) => {
      const refused = error instanceof EngineError && error.kind === "Refused"
      const says = error instanceof EngineError ? error.reason : Sentence.of(error)
      // A device that nobody asked for need not be there.
      return Effect.succeed((refused && device ? absent : fault)(name, says, install))
    }),
    Effect.catchDefect((cause) => Effect.succeed(fault(name, Sentence.of(cause), install)))
  )
}

/** Started by itself: the default engine asks it only for steps that are large. */
const onnxRuntime: Effect.Effect<Check> = Effect.tryPromise({ try: OnnxInspection.inspect, catch: Sentence.of }).pipe(
  Effect.flatMap(({ providers, version }) =>
    Effect.as(
      Effect.provide(computed, OnnxEngine.layer()),
      ok("ONNX Runtime", `${version} for ${providers.join(", ")}, starts and computes`)
    )
  ),
  Effect.mapError(Sentence.of),
  Effect.catch((says) => Effect.succeed(fault("ONNX Runtime", says, reinstall)))
)

const bytes = (memory: number | null): string => (memory === null ? "" : `, ${(memory / 2 ** 30).toFixed(1)} GiB`)

/** The plugin: one that is named must be one; of one that is found anything else is a fault too. */
const plugin = (given: Option.Option<string>): Effect.Effect<Check> =>
  XlaEngine.inspect(Option.isSome(given) ? { plugin: given.value } : {}).pipe(
    Effect.map(({ api, devices, from, path, platform, serializes, version }) => {
      const kinds = new Map<string, number>()
      for (const { kind, memory } of devices)
        kinds.set(`${kind}${bytes(memory)}`, (kinds.get(`${kind}${bytes(memory)}`) ?? 0) + 1)
      const list = [...kinds].map(([kind, count]) => `${count} × ${kind}`).join("; ")
      const kept = serializes ? "executables can be kept" : "executables cannot be kept"
      return ok("PJRT plugin", `${path} (by ${from}): PJRT ${api}, ${platform} ${version}, devices ${list}; ${kept}`)
    }),
    Effect.catch((error) => {
      const none = Option.isNone(given) && error.reason.startsWith("there is no PJRT plugin")
      return Effect.succeed((none ? absent : fault)("PJRT plugin", error.reason, needs.xla.install))
    })
  )

/** Checks of one engine and what it stands on, in this process, which its libraries may end. */
export const checksOf = (name: Options.EngineName, given: Option.Option<string>): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.gen(function* () {
    if (name === "compiled" || name === "onnx") return [yield* onnxRuntime, yield* started(name, Option.none())]
    if (name !== "xla" || !isInstalled("koffi")) return [yield* started(name, Option.none())]
    const found = yield* plugin(given)
    if (found.status !== "ok") return [found, { ...found, name, says: "it has no plugin to start from" }]
    return [found, yield* started(name, given)]
  })
