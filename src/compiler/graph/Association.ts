/**
 * The order in which products and sums of matrices are taken, chosen by what it costs, once a graph is known as a whole: what
 * something else needs anyhow costs nothing.
 *
 * A gradient of a dense layer is a product `C D` of as low a rank as the batch has rows. Where weights have moved along such
 * gradients, `X (W + s C D)` is `X W + s (X C) D`: cheaper where `X W` is there already, or serves both sides of a difference.
 * And `‖C D‖²` is `⟨Cᵀ C, D Dᵀ⟩`, which spares a product that nothing else needs. Both say the same but for rounding.
 */
import { matmul, reduce } from "./Contraction.ts"
import { binary, unary } from "./Elementwise.ts"
import { core, type Graph, type Node, reachable, sameShape, sizeOf } from "./Graph.ts"
import { reshape } from "./Layout.ts"
import { rebuilt } from "./Rebuild.ts"

/** What one element that is read or written costs beside an operation of a product: memory is slower than arithmetic. */
const elementCost = 16
/** What is not worth another order: some ten microseconds of a core. */
const least = 1e6

const productCost = (node: Node): number =>
  2 * sizeOf(node) * node.inputs[0]!.shape.at(node.attrs["ta"] === true ? -2 : -1)!

const still = new Set(["input", "const", "reshape", "broadcast"])
/** What it costs to compute the results, in operations of matrix products. */
const costOf = (results: ReadonlyArray<Node>): number =>
  reachable(results).reduce(
    (sum, node) =>
      node.op === "matmul" ? sum + productCost(node) : still.has(node.op) ? sum : sum + elementCost * sizeOf(node),
    0
  )

/** A multiple of a matrix; the factor is one number, absent where it is 1. */
interface Term {
  readonly matrix: Node
  readonly factor: Node | undefined
}

const isMatrix = (node: Node): boolean => node.dtype === "float32" && node.shape.length === 2

const times = (g: Graph, a: Node | undefined, b: Node | undefined): Node | undefined =>
  a === undefined ? b : b === undefined ? a : binary(g, "mul", a, b)

/** A matrix as a sum, with sums inside of sums opened so many times. */
const termsOf = (g: Graph, x: Node, depth: number, factor?: Node): ReadonlyArray<Term> => {
  const [a, b] = x.inputs as [Node, Node]
  const whole = x.inputs.every((input) => sameShape(input.shape, x.shape))
  const minus = () => times(g, factor, g.scalar(-1, "float32"))
  if (depth > 0 && whole && (x.op === "add" || x.op === "sub"))
    return [...termsOf(g, a, depth - 1, factor), ...termsOf(g, b, depth - 1, x.op === "add" ? factor : minus())]
  if (x.op === "neg") return termsOf(g, a, depth, minus())
  const one = x.op !== "mul" ? undefined : sizeOf(core(b)) === 1 ? b : sizeOf(core(a)) === 1 ? a : undefined
  const many = one === b ? a : b
  return one !== undefined && sameShape(many.shape, x.shape)
    ? termsOf(g, many, depth, times(g, factor, reshape(g, core(one), [])))
    : [{ matrix: x, factor }]
}

/** Whether a product through the inner length of a matrix costs less than one with the matrix; see `Contraction.matmul`. */
const lowRank = ({ inputs, op, shape, attrs }: Node): boolean => {
  if (op !== "matmul" || shape.length !== 2) return false
  const rank = inputs[0]!.shape.at(attrs["ta"] === true ? -2 : -1)!
  return 4 * rank * (shape[0]! + shape[1]!) <= 3 * shape[0]! * shape[1]!
}

/** How often sums inside of sums are opened where weights are taken apart: their last step alone, and all that led to them. */
const depths = [1, 8]

/** Another way to make a node on operands that may themselves be made another way; nothing where there is none. */
type Way = (g: Graph, inputs: ReadonlyArray<Node>, node: Node) => Node | undefined

const distributed =
  (depth: number): Way =>
  (g, [x, weights], { attrs }) => {
    const terms = termsOf(g, weights!, depth)
    if (terms.length < 2) return undefined
    return terms
      .map(({ factor, matrix }) => {
        const product = matmul(g, x!, matrix, attrs["ta"] === true, attrs["tb"] === true)
        return factor === undefined ? product : binary(g, "mul", product, factor)
      })
      .reduce((sum, term) => binary(g, "add", sum, term))
  }

const squareOf = ({ op, inputs }: Node): Node | undefined =>
  op === "mul" && inputs[0] === inputs[1] ? inputs[0] : undefined

/** ‖C D‖² as ⟨Cᵀ C, D Dᵀ⟩: a sum of squares, which rounding may not take below zero. */
const gram: Way = (g, [square]) => {
  const matrix = squareOf(square!)
  if (matrix?.op !== "matmul") return undefined
  const { ta, tb } = matrix.attrs
  const [c, d] = matrix.inputs as [Node, Node]
  const left = matmul(g, c, c, ta !== true, ta === true)
  const right = matmul(g, d, d, tb === true, tb !== true)
  return unary(g, "relu", reduce(g, "sum", binary(g, "mul", left, right), [0, 1], false))
}

/** Ways that some nodes may be made in together. */
interface Choice {
  readonly ways: ReadonlyMap<Node, Way>
  /** What nothing must need any more: the norm of a matrix that is made is taken of that matrix, which rounds less. */
  readonly spared?: Node
}

/** Choices, of each group one at most. */
const groupsOf = (g: Graph, results: ReadonlyArray<Node>, worth: number): ReadonlyArray<ReadonlyArray<Choice>> => {
  const products = new Map<string, Array<Node>>()
  const norms: Array<Choice> = []
  for (const node of reachable(results)) {
    const free = node.op === "matmul" && node.attrs["tf32"] !== true
    if (free && isMatrix(node) && node.inputs.every(isMatrix) && productCost(node) > worth) {
      const [x, weights] = node.inputs as [Node, Node]
      if (!termsOf(g, weights, depths.at(-1)!).some(({ matrix }) => matrix !== weights && lowRank(matrix))) continue
      const key = `${x.id} ${node.attrs["ta"]}`
      products.set(key, [...(products.get(key) ?? []), node])
    }
    const squared = node.op === "sum" && node.shape.length === 0 ? squareOf(node.inputs[0]!) : undefined
    if (squared !== undefined && lowRank(squared) && productCost(squared) > worth)
      norms.push({ ways: new Map([[node, gram]]), spared: squared })
  }
  const distributing = [...products.values()].map((nodes) =>
    depths.map((depth) => ({ ways: new Map(nodes.map((node) => [node, distributed(depth)])) }))
  )
  // A norm spares its matrix only where the products with it have gone before.
  return [...distributing, ...norms.map((norm) => [norm])]
}

/** By node that was made anew: what it is now. */
type Replaced = ReadonlyMap<Node, Node>

const madeBy = (g: Graph, results: ReadonlyArray<Node>, ways: ReadonlyMap<Node, Way>): Replaced => {
  const now = new Map<Node, Node>()
  for (const node of reachable(results)) {
    const inputs = node.inputs.map((input) => now.get(input) ?? input)
    const made = g.within(node.level, () => ways.get(node)?.(g, inputs, node) ?? rebuilt(g, node, inputs))
    if (made !== node) now.set(node, g.broadcast(made, node.shape))
  }
  return now
}

/**
 * The results in the cheapest order of products that is found by trying one group after another, on top of what was taken before.
 * An order that spares less than `worth`, in operations of products, is left alone.
 */
export const associated = (g: Graph, results: ReadonlyArray<Node>, worth = least): ReadonlyArray<Node> => {
  let ways: ReadonlyMap<Node, Way> = new Map()
  let best = results
  let sofar: number | undefined
  for (const group of groupsOf(g, results, worth)) {
    for (const { spared, ways: more } of group) {
      sofar ??= costOf(best)
      const together = new Map([...ways, ...more])
      const now = madeBy(g, results, together)
      const candidate = results.map((node) => now.get(node) ?? node)
      const cost = costOf(candidate)
      if (cost > sofar - worth || (spared !== undefined && reachable(candidate).includes(now.get(spared) ?? spared)))
        continue
      ;[best, sofar, ways] = [candidate, cost, together]
    }
  }
  return best
}
