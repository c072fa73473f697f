/**
 * A pass that makes a recorded function again in fewer bits: it casts what goes into matrix products and convolutions, and
 * leaves float32 where rounding would show. The division is that of PyTorch's autocast.
 */
import type { Format } from "../../tensor/Rounding.ts"
import type { Dtype, Graph, Node } from "./Graph.ts"
import { reachable, uniformValue } from "./Graph.ts"
import { comparisons } from "./Elementwise.ts"

const names = (text: string): ReadonlySet<string> => new Set(text.split(" "))

/** What is computed in the format: both factors are cast to it, sums are float32 inside, and the result is rounded. */
const products = names("matmul conv convToInput convToFilter")

/** What only moves elements: done in whatever its operands are in. */
const moves = names("broadcast reshape transpose slice reverse gather concat pad")

/**
 * What is computed in the format where an operand is, and no other is float32 that was computed: activations, masks, sums of two.
 * All else (reductions over axes, softmax, exponentials, logarithms, roots, powers) is computed in float32.
 */
const followers = names("add sub mul div max min select neg abs sign relu tanh sigmoid erf maxPool")

/** Least and greatest sizes of numbers: of float16 those with all of its bits. */
const ranges = { tf32: [0, Infinity], bfloat16: [0, 3.38e38], float16: [2 ** -14, 65_504] } as const

/**
 * `results` with the stand-ins replaced by what they stand for, computed in `format`; each is of the type that it was.
 *
 * Of float32 numbers, those that were computed and those of batches stay what they are and take others with them: a target is not
 * rounded, and a constant that the format has no number for stays. Variables themselves, other constants, masks and noise join what they meet: a bias is added in the format to a product in it.
 */
export const autocast = (
  g: Graph,
  results: ReadonlyArray<Node>,
  stands: ReadonlyMap<Node, Node>,
  format: Format
): ReadonlyArray<Node> => {
  const half: Dtype = format === "tf32" ? "float32" : format
  const made = new Map<Node, Node>()
  /** Of what comes from stand-ins: float32 numbers that join what they meet. */
  const joining = new Set<Node>()
  const to = (x: Node, dtype: Dtype): Node => {
    if (x.dtype === dtype || (x.dtype !== "float32" && x.dtype !== half)) return x
    // Wider and back again is where it was.
    if (x.op === "cast" && x.inputs[0]!.dtype === dtype && dtype === half) return x.inputs[0]!
    if (x.op === "cast" && x.inputs[0]!.dtype === "bool") return g.node("cast", x.inputs, { to: dtype }, x.shape, dtype)
    return g.node("cast", [x], { to: dtype }, x.shape, dtype)
  }
  const first = Math.min(...[...stands.keys()].map(({ id }) => id))

  const known = new Map<Node, boolean>()
  const [least, most] = ranges[format]
  const beyond = (x: number): boolean => x !== 0 && Number.isFinite(x) && (Math.abs(x) > most || Math.abs(x) < least)
  /** Whether float32 numbers that are no stand-in's come from a batch, or have no form in the format. */
  const given = (x: Node): boolean => {
    if (x.dtype !== "float32") return false
    const answer = known.get(x) ?? (x.op === "input" || (x.values?.some(beyond) ?? x.inputs.some(given)))
    known.set(x, answer)
    return answer
  }

  /** What an operation is computed in. */
  const typeOf = ({ inputs, op }: Node): Dtype => {
    if (products.has(op)) return half
    const numbers = inputs.filter(({ dtype }) => dtype === "float32")
    const computed = (x: Node) => (made.has(x) ? !joining.has(x) && made.get(x)!.dtype === "float32" : given(x))
    const rounded = (x: Node) => made.get(x)?.dtype === half
    if (moves.has(op) || followers.has(op)) return !numbers.some(computed) && numbers.some(rounded) ? half : "float32"
    // Nothing is rounded to be compared.
    if (op in comparisons) return numbers.every((x) => rounded(x) || uniformValue(x) === 0) ? half : "float32"
    return "float32"
  }

  for (const node of reachable(results, ({ id }) => id < first)) {
    const stand = stands.get(node)
    if (stand !== undefined) {
      made.set(node, stand)
      joining.add(node)
      continue
    }
    if (!node.inputs.some((x) => made.has(x))) continue
    const dtype = half === "float32" ? half : typeOf(node)
    const inputs = node.inputs.map((x) => to(made.get(x) ?? x, dtype))
    const attrs = format === "tf32" && products.has(node.op) ? { ...node.attrs, tf32: true } : node.attrs
    made.set(node, g.node(node.op, inputs, attrs, node.shape, node.dtype === "float32" ? dtype : node.dtype))
    const gathered = moves.has(node.op) && node.inputs.every((x) => !made.has(x) || joining.has(x))
    if (gathered || (node.op === "cast" && node.dtype === "float32")) joining.add(node)
  }
  return results.map((node) => to(made.get(node) ?? node, node.dtype))
}
