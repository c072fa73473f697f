// Tensors have gradients, and operations as methods, such as `x.add(y)`.
import "./tensor/registerGradients.ts"

// The language
export * as Dataset from "./dsl/Dataset.ts"
/** What a command exits with; an error class says which under Effect's `errorExitCode`. */
export * as ExitCode from "./dsl/errors/ExitCode.ts"
export * as Hypergradient from "./dsl/Hypergradient.ts"
export * as Level from "./dsl/Level.ts"
/** What a loss in float16 is multiplied by. */
export * as LossScale from "./dsl/LossScale.ts"
export * as NdArray from "./dsl/values/NdArray.ts"
export * as Precision from "./dsl/Precision.ts"
export * as Problem from "./dsl/Problem.ts"
export * as Seed from "./dsl/values/Seed.ts"
export * as Split from "./dsl/Split.ts"
export * as Tree from "./dsl/values/Tree.ts"
export * as Var from "./dsl/Var.ts"
// Tensors
/** First-order gradients of functions of trees: a value with its gradient, and pullbacks. */
export * as Gradient from "./tensor/Gradient.ts"
/** Noise inside a step, drawn from a key in the batch: the same bits on every engine and at every evaluation. */
export * as Noise from "./tensor/Noise.ts"
/** Functions whose derivatives are right at every order, in place of those of TensorFlow.js that are not. */
export * as Smooth from "./tensor/Smooth.ts"
/** Trees as vectors: sums, multiples, inner products, norms. */
export * as Vector from "./tensor/Vector.ts"
// How levels are stated and solved
/** How a level updates its variable: methods, and what is wrapped around them. */
export * as Optimizer from "./levels/Optimizer.ts"
/** Products with the curvature of a level: how `H u` is computed. */
export * as Product from "./levels/Product.ts"
/** Published methods by name, each a composition of the parts here. */
export * as Method from "./levels/Method.ts"
export * as Rate from "./levels/Rate.ts"
/** How a level's linear system `H u = v` is solved. */
export * as Solver from "./levels/Solver.ts"
/** How a level's direction is estimated from batches: SAGA, SARAH, STORM. */
export * as Variance from "./levels/Variance.ts"
/** The three levels of TapWeight from their parts. */
export * as TapWeight from "./levels/recipes/TapWeight.ts"
/** Batch normalisation, its running statistics as a level's buffers. */
export * as BatchNorm from "./models/BatchNorm.ts"
/** Encoders as folders of the hub: read, and written so that transformers loads them. */
export * as EncoderFolder from "./models/checkpoints/EncoderFolder.ts"
/** Heads of encoders for sentences and pairs. */
export * as Classifier from "./models/encoders/Classifier.ts"
/** BERT, RoBERTa, DeBERTa v1, v2 and v3, as pure functions of parameters. */
export * as Encoder from "./models/encoders/Encoder.ts"
/** What a `config.json` of the hub says of an encoder. */
export * as EncoderConfig from "./models/encoders/EncoderConfig.ts"
/** Heads of encoders for masked tokens. */
export * as MaskedHead from "./models/encoders/MaskedHead.ts"
/** Weights by the names that the hub has for them. */
export * as StateDict from "./models/encoders/StateDict.ts"
/** Initial values of variables. */
export * as Init from "./models/Init.ts"
/** Networks of dense layers. */
export * as Mlp from "./models/Mlp.ts"
/** Residual networks for images. */
export * as ResNet from "./models/ResNet.ts"
/** Weights of a ResNet under the names that PyTorch gives them. */
export * as TorchNames from "./models/TorchNames.ts"
/** A small encoder of our own, normalised before each block. */
export * as Transformer from "./models/Transformer.ts"
/** Losses, as pure functions of tensors. */
export * as Objective from "./objectives/Objective.ts"
export * as Simplex from "./objectives/Simplex.ts"
export * as Solved from "./objectives/Solved.ts"
// How problems are run
/** The default engine: a step as one graph, small ones in WebAssembly, others run by ONNX Runtime on a thread of its own. */
export * as CompiledEngine from "./engines/compiled/CompiledEngine.ts"
/** Steps kernel by kernel on a backend of TensorFlow.js. */
export * as EagerEngine from "./engines/eager/Eager.ts"
export { CompileError, Engine, EngineError, StepError } from "./engines/Engine.ts"
/** A step as one graph, run by ONNX Runtime on a thread of its own or on a card. */
export * as OnnxEngine from "./engines/onnx/OnnxEngine.ts"
export * as Plan from "./runtime/plan/Plan.ts"
/** A plan as text or as a flowchart. */
export * as PlanText from "./runtime/plan/PlanText.ts"
export * as Wiring from "./runtime/plan/Wiring.ts"
/** Steps as WebAssembly modules on the calling thread: the same bits on every machine. */
export * as WebAssemblyEngine from "./engines/webassembly/WebAssemblyEngine.ts"
/** Steps on any device that a PJRT plugin drives: as StableHLO, compiled by XLA, the state on the device. */
export * as XlaEngine from "./engines/xla/XlaEngine.ts"
/** A run's state on disk: there whole or not at all. */
export * as Checkpoint from "./runtime/run/Checkpoint.ts"
/** A problem run as a stream of ticks. */
export * as Run from "./runtime/run/Run.ts"
/** How far a hypergradient can be trusted: other estimators, better solves, other batches, time scales. */
export * as Diagnose from "./diagnose/Diagnose.ts"
/** Hypergradients beside differences of the problem that they are of. */
export * as Verify from "./runtime/run/Verify.ts"
/** What watches a run: scores, selection, early stopping, sinks. */
export * as Watch from "./runtime/run/Watch.ts"
// How experiments are kept
/** What an operating system says of a file, in words. */
export * as Disk from "./files/Disk.ts"
/** SHA-256 of files. */
export * as FileHash from "./files/FileHash.ts"
/** JSON files by schema, written whole or not at all. */
export * as JsonFile from "./files/JsonFile.ts"
export * as NodeServices from "./files/NodeServices.ts"
/** Text from data as a terminal may print it. */
export * as Printable from "./files/Printable.ts"
/** Tensors in the safetensors format. */
export * as Safetensors from "./files/tensors/Safetensors.ts"
/** Safetensors files larger than memory: the tensors that are needed, each at its place. */
export * as SafetensorsFile from "./files/tensors/SafetensorsFile.ts"
/** State dicts as `torch.save` writes them, read as data. */
export * as TorchFile from "./files/tensors/TorchFile.ts"
/** Methods compared over tasks and seeds. */
export * as Comparison from "./runs/statistics/Comparison.ts"
/** Paired differences: intervals, corrections, and what few seeds cannot say. */
export * as Paired from "./runs/statistics/Paired.ts"
/** Methods side by side from the scores of runs. */
export * as Standing from "./runs/statistics/Standing.ts"
/** A comparison for people: means over seeds, paired differences, what failed. */
export * as ComparisonText from "./runs/view/ComparisonText.ts"
export * as Config from "./runs/trial/Config.ts"
/** Tradeoff weights over the steps of trials, as a picture. */
export * as LambdaChart from "./runs/view/LambdaChart.ts"
export * as Manifest from "./runs/folder/Manifest.ts"
/** Scores of predictions: accuracy, F1, area under ROC, errors. */
export * as Metrics from "./runs/statistics/Metrics.ts"
export * as Program from "./runs/Program.ts"
/** What a run writes down tick by tick (`metrics.jsonl`). */
export * as Records from "./runs/folder/Records.ts"
/** `result.json`, what a finished run says. */
export * as ResultFile from "./runs/folder/ResultFile.ts"
export * as RunFolder from "./runs/folder/RunFolder.ts"
/** What methods scored on tasks with seeds, for runs to be compared by. */
export * as Score from "./runs/folder/Score.ts"
/** A run folder and the trials in it: what a program may use while it runs. */
export * as Session from "./runs/trial/Session.ts"
/** Means, deviations, correlations, and tests of differences. */
export * as Statistics from "./runs/statistics/Statistics.ts"
/** One program with many settings and seeds. */
export * as Sweep from "./runs/sweep/Sweep.ts"
/** Tables as text. */
export * as TextTable from "./runs/view/TextTable.ts"
/** One problem run into a folder: records, checkpoints, selection, resumption. */
export * as Trial from "./runs/trial/Trial.ts"
