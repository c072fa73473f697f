/** The operations of graphs, and what each engine makes of them: rows for docs/operations.md. */
import { lower as toOnnx, lowered as inOnnx } from "../../src/compiler/onnx/Lower.ts"
import { Graph, type Node, reachable } from "../../src/compiler/graph/Graph.ts"
import { lower as toStableHlo, lowered as inStableHlo } from "../../src/compiler/stablehlo/Lower.ts"
import { covered as inWebAssembly } from "../../src/compiler/webassembly/Schedule.ts"
import { graphs } from "./kernelCases.ts"

/** One node as a graph of its own: what it takes are inputs, constants stay. */
const alone = ({ attrs, dtype, inputs, op, shape }: Node) => {
  const g = new Graph()
  const given = inputs.map((x, i) =>
    x.values === undefined ? g.input(`x${i}`, x.shape, x.dtype) : g.const(x.values, x.shape, x.dtype)
  )
  return { inputs: given.filter((x) => x.op === "input"), node: g.node(op, given, attrs, shape, dtype) }
}

/** Operators that lay numbers out for those that compute. */
const plumbing = new Set(
  "Reshape Expand Cast constant broadcast_in_dim reshape convert compare select iota return Identity".split(" ")
)

const names = (all: Iterable<string>): ReadonlyArray<string> => {
  const distinct = [...new Set(all)]
  const computing = distinct.filter((name) => !plumbing.has(name))
  return computing.length === 0 ? distinct.filter((name) => name !== "constant") : computing
}

/** What compiles graphs. An engine more is one more of these. */
export const compilers: ReadonlyArray<{
  readonly title: string
  /** The operations that it has a form for, where those must be all; else which it has one for. */
  readonly lowered: ReadonlyArray<string> | ((op: string) => boolean)
  /** What a node becomes, where that has names. */
  readonly operators: (node: Node) => ReadonlyArray<string>
}> = [
  { title: "webassembly", lowered: inWebAssembly, operators: () => [] },
  {
    title: "onnx: operators",
    lowered: inOnnx,
    operators: (of) => {
      const { inputs, node } = alone(of)
      return names((toOnnx(inputs, [node], "inside").model?.operations ?? []).map(({ op }) => op))
    }
  },
  {
    title: "xla: operations of StableHLO",
    lowered: inStableHlo,
    operators: (of) => {
      const { inputs, node } = alone(of)
      const text = toStableHlo(inputs, [node], [])
      return names(Array.from(text.matchAll(/(?:stablehlo|chlo)\.(\w+)[ ("]/g), ([, name]) => name!))
    }
  }
]

/** An operation, the cases that compute it, and how it is computed there. */
export interface Row {
  readonly op: string
  readonly cases: ReadonlyArray<string>
  readonly nodes: ReadonlyArray<Node>
}

/** The operations of all cases' graphs, by name. */
export const rows = (): ReadonlyArray<Row> => {
  const found = new Map<string, { readonly cases: Set<string>; readonly nodes: Array<Node> }>()
  for (const [name, { results }] of graphs()) {
    for (const node of reachable(results)) {
      if (node.op === "input" || node.op === "const") continue
      const row = found.get(node.op) ?? { cases: new Set(), nodes: [] }
      row.cases.add(name)
      row.nodes.push(node)
      found.set(node.op, row)
    }
  }
  return [...found]
    .map(([op, { cases, nodes }]) => ({ op, cases: [...cases], nodes }))
    .sort((a, b) => (a.op < b.op ? -1 : 1))
}

const most = 4
const cell = (operators: ReadonlyArray<string>): string =>
  `${operators
    .slice(0, most)
    .map((name) => `\`${name}\``)
    .join(", ")}${operators.length > most ? ", …" : ""}`

/** The page. */
export const page = (): string => {
  const table = rows().map(({ cases, nodes, op }) => [
    `\`${op}\``,
    cases.length === 0 ? "" : "✓",
    ...compilers.map(({ lowered, operators }) =>
      typeof lowered === "function" ? (lowered(op) ? "✓" : "") : cell([...new Set(nodes.flatMap(operators))])
    )
  ])
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const titles = ["operation", "eager", ...compilers.map(({ title }) => title)]
  return [
    "# Operations",
    "",
    "What a recorded step is made of, and what each engine makes of it. The eager engine computes kernel by kernel and is what the",
    "others are held against: values and gradients of small functions (`test/support/kernelCases.ts`) agree to 3e-6 of their",
    "size in WebAssembly and on ONNX Runtime (`test/compiler/trace/kernels.test.ts`) and, where a PJRT plugin is named, on XLA",
    "(`test/compiler/operations.test.ts`). Written by `npm run operations`; a test fails where it is not what the compiler does, or where",
    "an operation has no row.",
    "",
    line(titles),
    line(titles.map(() => "---")),
    ...table.map(line),
    ""
  ].join("\n")
}
