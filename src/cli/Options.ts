import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as CompiledEngine from "../engines/compiled/CompiledEngine.ts"
import * as Eager from "../engines/eager/Eager.ts"
import * as Precision from "../dsl/Precision.ts"
import { EngineError, type Engine } from "../engines/Engine.ts"
import * as OnnxEngine from "../engines/onnx/OnnxEngine.ts"
import * as WebAssemblyEngine from "../engines/webassembly/WebAssemblyEngine.ts"
import * as XlaEngine from "../engines/xla/XlaEngine.ts"

/** Which program: a file, or one of these names. */
export const program = (names: ReadonlyArray<string>) =>
  Argument.String("program").pipe(
    Argument.withDescription(
      `A program file (its default export)${names.length === 0 ? "" : `, or one of ${names.join(", ")}`}`
    )
  )

/** Which run. */
export const run = Argument.String("run").pipe(
  Argument.withDescription(
    "A run: its folder, its id or a unique part of it, @latest, or @latest after a program's name"
  )
)

/** Settings laid over the program's defaults. */
export const settings = {
  set: Flag.String("set").pipe(
    Flag.withAlias("s"),
    Flag.withMetavar("key=value"),
    Flag.withDescription("Overrides a setting by its dotted path, e.g. -s finetune.rate=1e-3 (repeatable)"),
    Flag.atLeast(0)
  ),
  preset: Flag.String("preset").pipe(Flag.withDescription("A named set of settings of the program"), Flag.optional),
  config: Flag.File("config", { mustExist: true }).pipe(Flag.withDescription("A JSON file of settings"), Flag.optional)
}

const onnx = { onnx: "cpu", "compiled-cuda": "cuda", "compiled-webgpu": "webgpu" } as const
const eager = ["wasm", "cpu", "webgpu", "tensorflow", "tensorflow-gpu"] as const
/** An engine by the name that the command line has for it. */
export type EngineName = "compiled" | "webassembly" | keyof typeof onnx | "xla" | (typeof eager)[number]
/** All of them, the usual ones first. */
export const engines: ReadonlyArray<EngineName> = [
  "compiled",
  ...(Object.keys(onnx) as Array<keyof typeof onnx>),
  "webassembly",
  "xla",
  ...eager
]

/** Whether an engine runs compiled graphs, or may run them, on threads of ONNX Runtime's. */
export const isCompiled = (name: EngineName): name is "compiled" | keyof typeof onnx =>
  name === "compiled" || name in onnx

/** Which engine steps run on, where that may be left open. */
export const engineFlag = Flag.Literals("engine", engines).pipe(
  Flag.withDescription(
    "Where steps run: compiled graphs in WebAssembly where they are small and else on ONNX Runtime (compiled), on either alone, " +
      "or on XLA; or kernel by kernel on a TensorFlow.js backend"
  )
)
/** Which engine steps run on: the compiled one where nothing is said. */
export const engine = engineFlag.pipe(Flag.withDefault("compiled"))

/** So many threads are more than any operation has use for; of some thousands, ONNX Runtime ends the process. */
export const Threads = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 256 }, { message: "Expected a number of threads between 1 and 256" })
)

/** Threads inside one operation of a compiled engine. */
export const threads = Flag.Int("threads").pipe(
  Flag.withDescription(
    "Threads inside one operation of a compiled engine; sums are rounded in an order that depends on them (2 where absent)"
  ),
  Flag.withSchema(Threads),
  Flag.optional
)

/** The plugin that drives XLA's devices. */
export const plugin = Flag.String("plugin").pipe(
  Flag.withDescription(
    "File of the PJRT plugin for --engine xla (that of TAPWEIGHT_PJRT_PLUGIN, or of the Python environment at hand, where absent)"
  ),
  Flag.optional
)

/** What levels compute in that do not say so themselves. */
export const precision = Flag.Literals("precision", Precision.names).pipe(
  Flag.withDescription(
    "What levels compute their losses and gradients in, where they state nothing: float32, or 16 bits on --engine xla; solves, weights and optimizers stay in float32"
  ),
  Flag.optional
)

/** So many devices have no machine, and a CPU that is taken for more has nothing of it. */
export const Devices = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 1024 }, { message: "Expected a number of devices between 1 and 1024" })
)

/** Devices that share each batch. */
export const devices = Flag.Int("devices").pipe(
  Flag.withDescription(
    "Devices for --engine xla, each of which has an equal part of every batch's rows (1 where absent)"
  ),
  Flag.withSchema(Devices),
  Flag.optional
)

/** Whether devices share the optimizers' state. */
export const shardOptimizer = Flag.Boolean("shard-optimizer").pipe(
  Flag.withDescription("Gives each of several devices a part of the optimizers' state in place of all of it"),
  Flag.withDefault(false)
)

/** The engine that a run's manifest names, whoever wrote that. */
export const Recorded = Schema.Struct({
  provider: Schema.Literals(engines),
  threads: Threads,
  plugin: Schema.optionalKey(Schema.String),
  precision: Schema.optionalKey(Schema.Literals(Precision.names)),
  devices: Schema.optionalKey(Devices),
  shardOptimizer: Schema.optionalKey(Schema.Boolean),
  runtime: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})

/** An engine, and what was asked for with it. */
export interface Computing {
  readonly engine: EngineName
  readonly threads: Option.Option<number>
  readonly plugin: Option.Option<string>
  readonly precision: Option.Option<Precision.Name>
  readonly devices: Option.Option<number>
  readonly shardOptimizer: boolean
}

/** Threads that an engine computes with. */
export const threadsOf = ({ engine, threads }: Pick<Computing, "engine" | "threads">): number =>
  isCompiled(engine) ? Option.getOrElse(threads, () => OnnxEngine.defaultThreads) : 1

/** An engine and its threads, for people. */
export const named = (computing: Pick<Computing, "engine" | "threads" | "devices">): string => {
  const threads = threadsOf(computing)
  const devices = Option.match(computing.devices, {
    onNone: () => "",
    onSome: (n) => (n === 1 ? "" : `, ${n} devices`)
  })
  return `${computing.engine}, ${threads} ${threads === 1 ? "thread" : "threads"}${devices}`
}

/** The layer of the engine asked for. */
export const engineLayer = (
  engine: EngineName,
  {
    devices = Option.none(),
    plugin = Option.none(),
    shardOptimizer = false,
    threads = Option.none()
  }: Partial<Omit<Computing, "engine">> = {}
): Layer.Layer<Engine, EngineError> => {
  const refuse = (reason: string) =>
    Layer.effectContext(Effect.fail(new EngineError({ kind: "Refused", engine, tick: null, reason })))
  if (Option.isSome(plugin) && engine !== "xla")
    return refuse("it takes no plugin: leave --plugin out, or choose --engine xla")
  if (Option.isSome(devices) && engine !== "xla")
    return refuse("it takes no number of devices: leave --devices out, or choose --engine xla")
  if (shardOptimizer && Option.getOrElse(devices, () => 1) === 1)
    return refuse("--shard-optimizer is for several devices: say how many with --devices, or leave it out")
  if (engine === "compiled") return CompiledEngine.layer({ threads: threadsOf({ engine, threads }) })
  if (isCompiled(engine)) return OnnxEngine.layer({ provider: onnx[engine], threads: threadsOf({ engine, threads }) })
  if (Option.isSome(threads))
    return refuse("it takes no number of threads: leave --threads out, or choose a compiled engine")
  if (engine === "webassembly") return WebAssemblyEngine.layer()
  if (engine !== "xla") return Eager.layer(engine)
  return XlaEngine.layer({
    ...(Option.isSome(plugin) ? { plugin: plugin.value } : {}),
    ...(Option.isSome(devices) ? { devices: devices.value, shardOptimizer } : {})
  })
}

/** Results for people or for scripts. */
export const format = Flag.Literals("format", ["text", "json"]).pipe(
  Flag.withDescription("Form of the result on standard output"),
  Flag.withDefault("text")
)

/** No progress, no news and no page: the result, and warnings beside it. */
export const quiet = Flag.Boolean("quiet").pipe(
  Flag.withAlias("q"),
  Flag.withDescription("Prints nothing but the result, and warnings; writes no report.html"),
  Flag.withDefault(false)
)

/** Whether runs are put side by side that should not be. */
export const force = Flag.Boolean("force").pipe(
  Flag.withDescription("Compares runs on other data, splits or senses of a metric all the same"),
  Flag.withDefault(false)
)

/** Where run folders are. */
export const runs = Flag.String("runs").pipe(
  Flag.withDescription("Folder of run folders (TAPWEIGHT_RUNS, or runs, where absent)"),
  Flag.withDefault(process.env["TAPWEIGHT_RUNS"] ?? "runs")
)

/** What commands that go on from a run take beside it: where its program is now, and what computes if not what did. */
export const goingOn = {
  program: Flag.String("program").pipe(
    Flag.withDescription("The program, where it is not the file that the run was started with, or lies elsewhere"),
    Flag.optional
  ),
  engine: Flag.optional(engineFlag),
  threads,
  plugin,
  devices,
  shardOptimizer,
  runs,
  format,
  quiet
}
