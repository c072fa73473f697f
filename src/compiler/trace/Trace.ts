/** Records what a pure tensor function does as a graph, without computing anything. */
import * as tf from "@tensorflow/tfjs-core"
import * as Tree from "../../dsl/values/Tree.ts"
import type { Directional, Forward } from "../../tensor/Directional.ts"
import { Threefry2x32 } from "../../tensor/Noise.ts"
import type { After, Ordering } from "../../tensor/Ordering.ts"
import { type Rounded, type Rounding, unavailable } from "../../tensor/Rounding.ts"
import { registerGradients } from "../../tensor/registerGradients.ts"
import { CompileError } from "../graph/CompileError.ts"
import { currentLevel, StepFailure } from "../../runtime/step/Evaluation.ts"
import { fieldOf, type Numbering, numbering } from "../../runtime/step/Numbering.ts"
import { associated } from "../graph/Association.ts"
import { autocast } from "../graph/Autocast.ts"
import { reduce } from "../graph/Contraction.ts"
import { binary, cast } from "../graph/Elementwise.ts"
import { type Dtype, Graph, type LeafType, type Node, reachable, sizeOf, type Values } from "../graph/Graph.ts"
import { rebuilt } from "../graph/Rebuild.ts"
import { kernels } from "./Kernels.ts"
import { type Stand, tangents } from "../tangent/Tangent.ts"

/** A recorded function: inputs and results in the order of their trees' leaves. */
export interface Traced {
  readonly inputs: ReadonlyArray<Node>
  readonly results: ReadonlyArray<Node>
  /** Inputs that number rows or classes, by their place among the inputs. */
  readonly numberings: ReadonlyArray<Numbering & { readonly input: number }>
}

const refuse = (op: string, reason: string): never => {
  throw new CompileError({ op, level: currentLevel(), reason })
}

const readReason =
  "reads numbers on the host, and a compiled step has none while it is traced: " +
  "stay within tensors (tf.where instead of if), or return the value as a metric"

const randomReason =
  "draws random numbers on the host, which would be the same at every tick of a compiled step, also with a seed: " +
  "draw them in the dataset, or use `uniform` and `dropout` of src/tensor/Noise.ts with a key from the batch"

const randomOps = new Set(
  [
    "dropout",
    "multinomial",
    "rand",
    "randomGamma",
    "randomNormal",
    "randomStandardNormal",
    "randomUniform",
    "randomUniformInt",
    "truncatedNormal"
  ].map((name) => `${name}__op`)
)

/** TensorFlow.js keeps these per process and types only some of them. */
interface TfEngine {
  backendName: string | undefined
  backendInstance: tf.KernelBackend | null
  readonly state: {
    readonly gradientDepth: number
    readonly scopeStack: ReadonlyArray<{ readonly name: string }>
    readonly tensorInfo: { readonly get: (id: object) => { readonly backend: tf.KernelBackend } | undefined }
  }
}
const tfEngine = (): TfEngine => tf.engine() as unknown as TfEngine

const operation = (): string => {
  const scope = tfEngine().state.scopeStack.findLast(({ name }) => name.endsWith("__op"))
  return scope === undefined ? "a tensor" : `tf.${scope.name.slice(0, -"__op".length)}`
}

const backendName = "tapweight-trace"

const nestedReason =
  "stands inside of a function that is itself being differentiated backwards, which would take it for a constant: " +
  "take the gradient inside of the function that is differentiated forwards"

const escapedReason =
  "was taken of a function that handed a tensor of its own to something outside: return the tensor from the function"

/** What a node has its elements from, where it only moves all of them. */
const source = (node: Node): Node => (node.op === "reshape" || node.op === "transpose" ? source(node.inputs[0]!) : node)

class Recorder extends tf.KernelBackend implements Forward, Rounding, Ordering {
  readonly graph = new Graph(currentLevel)
  readonly numberings: Array<Numbering & { readonly node: Node }> = []
  readonly #nodes = new Map<object, Node>()
  readonly #inputs = new Map<Node, object>()
  /** What waits for something else, and what it is. */
  readonly #waiting = new Map<Node, Node>()
  readonly #halves: boolean

  /** `halves`: whether the graph may have numbers in 16 bits. */
  constructor(halves: boolean) {
    super()
    this.#halves = halves
  }

  add(node: Node): tf.TensorInfo {
    const dataId = {}
    this.#nodes.set(dataId, node)
    if (node.op === "input" && !this.#inputs.has(node)) this.#inputs.set(node, dataId)
    return { dataId, shape: [...node.shape], dtype: node.dtype as tf.DataType }
  }

  node({ dataId, dtype, shape }: tf.TensorInfo): Node {
    const known = this.#nodes.get(dataId)
    if (known !== undefined) return known
    // A tensor made outside of the step: its numbers become part of the graph, and it stays what it is.
    const owner = tfEngine().state.tensorInfo.get(dataId)?.backend
    if (owner === undefined)
      return refuse(operation(), "is given a tensor that is disposed of: make it inside of the step, or keep it")
    return this.graph.const(owner.readSync(dataId) as Values, shape, dtype as Dtype)
  }

  /** Notes the field that a kernel takes numbers of rows or classes from, where they are a field's as they are. */
  note(kernel: string, { indices, x }: { readonly [name: string]: Node }, attrs: unknown): void {
    const way = numbering[kernel]
    if (way === undefined) return
    const taken = source(indices!)
    const node = this.#waiting.get(taken) ?? taken
    const field = this.#inputs.has(node) ? fieldOf(this.#inputs.get(node)!) : undefined
    if (field === undefined) return
    this.numberings.push({ ...field, node, below: way.below(x, attrs), operation: way.operation })
  }

  tensor(node: Node): tf.Tensor {
    return tf.engine().makeTensorFromTensorInfo(this.add(node))
  }

  readonly directional: Directional = (f, x, direction) => {
    if (tfEngine().state.gradientDepth > 0) refuse("a derivative along a direction", nestedReason)
    const stands = new Map<Node, Stand>()
    // Inputs of their own, because the numbers of `x` may also be what `f` holds constant.
    const at = Tree.zipWith(x, direction, (leaf, along, path) => {
      const stand = this.graph.input(`moving ${path}`, leaf.shape, leaf.dtype as Dtype)
      stands.set(stand, { for: this.node(leaf), along: this.node(along) })
      return this.tensor(stand)
    })
    const results = f(at)
    const nodes = Tree.leaves(results).map((leaf) => this.node(leaf))
    return Tree.unflatten(
      results,
      tangents(this.graph, nodes, stands).map((node) => this.tensor(node))
    )
  }

  readonly rounded: Rounded = (format, f, x) => {
    if (!this.#halves) return format === "tf32" ? f(x) : refuse("Level.precision", unavailable(format))
    const stands = new Map<Node, Node>()
    // Inputs of their own, because nothing else may be computed with what is rounded.
    const at = Tree.map(x, (leaf, path) => {
      const stand = this.graph.input(`rounded ${path}`, leaf.shape, leaf.dtype as Dtype)
      stands.set(stand, this.node(leaf))
      return this.tensor(stand)
    })
    const results = f(at)
    const nodes = Tree.leaves(results).map((leaf) => this.node(leaf))
    return Tree.unflatten(
      results,
      autocast(this.graph, nodes, stands, format).map((node) => this.tensor(node))
    )
  }

  readonly after: After = (x, before) => {
    const g = this.graph
    const numbers = Tree.leaves(before).map((leaf) => this.node(leaf))
    const greatest = numbers
      .filter((node) => node.dtype === "float32" && sizeOf(node) > 0)
      .map((node) => reduce(g, "max", node, [...node.shape.keys()], false))
    if (greatest.length === 0) return x
    // Nothing is greater than infinity, which no rule and no engine looks for: a zero that is known only then.
    const never = binary(
      g,
      "greater",
      greatest.reduce((a, b) => binary(g, "max", a, b)),
      g.scalar(Infinity, "float32")
    )
    return Tree.map(x, (leaf) => {
      const node = this.node(leaf)
      const waiting = binary(g, "sub", node, cast(g, never, node.dtype))
      this.#waiting.set(waiting, node)
      return this.tensor(waiting)
    })
  }

  /** A node that waits for nothing: keys of noise, which some engines make before anything else. */
  unwaiting(node: Node): Node {
    const other = this.#waiting.get(node)
    return (
      other ??
      rebuilt(
        this.graph,
        node,
        node.inputs.map((input) => this.unwaiting(input))
      )
    )
  }

  override write(values: tf.BackendValues, shape: Array<number>, dtype: tf.DataType): object {
    const random = tfEngine().state.scopeStack.find(({ name }) => randomOps.has(name))
    if (random !== undefined) refuse(`tf.${random.name.slice(0, -"__op".length)}`, randomReason)
    if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool")
      return refuse(operation(), `makes a tensor of type ${dtype}: graphs have float32, int32 and bool`)
    return this.add(this.graph.const(values as Values, shape, dtype)).dataId
  }

  override disposeData(dataId: object): boolean {
    return this.#nodes.delete(dataId)
  }
  override numDataIds(): number {
    return this.#nodes.size
  }
  override refCount(): number {
    return 1
  }
  override incRef(): void {}
  decRef(): void {}
  override timerAvailable(): boolean {
    return false
  }
  override floatPrecision(): 16 | 32 {
    return 32
  }
  override epsilon(): number {
    return 1e-7
  }
  override readSync(): never {
    return refuse(operation(), readReason)
  }
  override read(): never {
    return refuse(operation(), readReason)
  }
}

const register = (): void => {
  // Differentiating a function while it is recorded needs them.
  registerGradients()
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    if (tf.getKernel(kernelName, backendName) !== undefined) continue
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ attrs, backend, inputs }) => {
        const recorder = backend as Recorder
        const nodes = Object.fromEntries(
          Object.entries(inputs).flatMap(([name, info]) =>
            info === undefined || info === null ? [] : [[name, recorder.node(info)]]
          )
        )
        recorder.note(kernelName, nodes, attrs)
        const { key } = nodes
        const taken = kernelName === Threefry2x32 && key !== undefined ? { key: recorder.unwaiting(key) } : nodes
        const made = kernel(recorder.graph, taken, attrs ?? {})
        return Array.isArray(made) ? made.map((node) => recorder.add(node as Node)) : recorder.add(made as Node)
      }
    })
  }
}

// TensorFlow.js refuses a kernel that a backend lacks by a plain error with the kernel's name in it.
const refusal = (error: unknown, level: string): unknown => {
  if (error instanceof StepFailure && error.cause !== undefined) return refusal(error.cause, error.level) ?? error
  if (error instanceof CompileError)
    return error.level === "" ? new CompileError({ op: error.op, level, reason: error.reason }) : error
  const missing = error instanceof Error ? /Kernel '(\w+)' not registered/.exec(error.message) : null
  if (missing === null) return undefined
  const reason =
    "steps are not compiled from this kernel: write it in terms of those that they are (src/compiler/trace/Kernels.ts), " +
    "or run on an eager engine"
  return new CompileError({ op: `kernel ${missing[1]}`, level, reason })
}

/** Runs `f` with this recorder as the process's backend: nothing else may run meanwhile, and everything is put back. */
const recording = <A>(recorder: Recorder, f: () => A): A => {
  const engine = tfEngine()
  const { backendInstance, backendName: previous } = engine
  const { random } = Math
  register()
  engine.backendName = backendName
  engine.backendInstance = recorder
  Math.random = () => refuse(operation() === "a tensor" ? "Math.random" : operation(), randomReason)
  try {
    return f()
  } catch (error) {
    throw refusal(error, "") ?? error
  } finally {
    Math.random = random
    engine.backendName = previous
    engine.backendInstance = backendInstance
  }
}

// Arrays on the host have no truth values: they leave as 0 and 1, as they do from the eager engine.
const outward = (graph: Graph, node: Node): Node => (node.dtype === "bool" ? cast(graph, node, "int32") : node)

/**
 * The graph of `f` at arguments of these types. `f` is run once, as it would be on any backend, with tensors that have
 * shapes and no numbers. Without `halves` what is to be computed in 16 bits is refused. Throws a `CompileError` for what a graph cannot hold, and whatever `f` itself throws.
 */
export const trace = <A extends ReadonlyArray<Tree.Tree>>(
  f: (...args: A) => Tree.Tree,
  names: ReadonlyArray<string>,
  args: ReadonlyArray<unknown>,
  { halves }: { readonly halves: boolean } = { halves: false }
): Traced & { readonly structure: Tree.Tree } => {
  const recorder = new Recorder(halves)
  return recording(recorder, () => {
    const inputs: Array<Node> = []
    let results: ReadonlyArray<Node> = []
    let structure: unknown
    tf.tidy(() => {
      const live = args.map((arg, i) =>
        mapTypes(arg, (leaf, path) => {
          const node = recorder.graph.input(path === "" ? names[i]! : `${names[i]}.${path}`, leaf.shape, leaf.dtype)
          inputs.push(node)
          return recorder.tensor(node)
        })
      ) as unknown as A
      const returned = f(...live)
      results = associated(
        recorder.graph,
        Tree.leaves(returned).map((leaf) => outward(recorder.graph, recorder.node(leaf)))
      )
      structure = Tree.map(
        returned,
        (leaf) => ({ dtype: leaf.dtype === "float32" ? leaf.dtype : "int32", shape: leaf.shape }) as never
      )
    })
    const given = new Set(inputs)
    if (reachable(results).some((node) => node.op === "input" && !given.has(node)))
      refuse("a derivative along a direction", escapedReason)
    const numberings = recorder.numberings.map(({ node, ...each }) => ({ ...each, input: inputs.indexOf(node) }))
    return { inputs, results, numberings, structure: structure as Tree.Tree }
  })
}

const mapTypes = (tree: unknown, f: (leaf: LeafType, path: string) => tf.Tensor): Tree.Tree =>
  Tree.map(tree as Tree.Tree, (leaf, path) => f(leaf as unknown as LeafType, path))
