import { assert, describe, it } from "@effect/vitest"
import { matmul } from "../../../src/compiler/graph/Contraction.ts"
import { Graph, type Node, reachable, sizeOf } from "../../../src/compiler/graph/Graph.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import { evaluate } from "../../support/interpreter.ts"

const flags = [false, true]
const all = flags.flatMap((a) => flags.flatMap((b) => flags.flatMap((c) => flags.map((d) => [a, b, c, d] as const))))

const inputs = (shapes: ReadonlyArray<readonly [number, number]>) => {
  const g = new Graph()
  const nodes = shapes.map((shape, i) => g.input(`x${i}`, shape, "float32"))
  const drawn = nodes.map((node, i) => Array.from(Seed.normal(Seed.make(i), sizeOf(node))))
  const values = new Map(nodes.map((node, i) => [node, drawn[i]!]))
  const named = Object.fromEntries(drawn.map((numbers, i) => [`x${i}`, numbers]))
  return { g, nodes: nodes as [Node, Node, Node], values, named }
}

/** Rows times columns of numbers in float64. */
const product = (a: ReadonlyArray<number>, b: ReadonlyArray<number>, [m, k, n]: readonly [number, number, number]) =>
  Array.from({ length: m * n }, (_, i) => {
    let sum = 0
    for (let j = 0; j < k; j++) sum += a[Math.floor(i / n) * k + j]! * b[j * n + (i % n)]!
    return sum
  })
const turned = (x: ReadonlyArray<number>, [m, n]: readonly [number, number]) =>
  Array.from({ length: m * n }, (_, i) => x[(i % m) * n + Math.floor(i / m)]!)

describe("products of three matrices", () => {
  const [m, k, n] = [5, 30, 20]
  for (const rank of [3, 19]) {
    it(`are the same in whatever order, inner length ${rank}`, () => {
      for (const [ta, tb, tc, td] of all) {
        const right = tb ? ([n, k] as const) : ([k, n] as const)
        const shapes = [
          ta ? [k, m] : [m, k],
          tc ? [rank, right[0]] : [right[0], rank],
          td ? [right[1], rank] : [rank, right[1]]
        ]
        const { g, named, nodes, values } = inputs(shapes as never)
        const [a, c, d] = nodes
        const found = matmul(g, a, matmul(g, c, d, tc, td), ta, tb)
        const plain = (node: Node, flag: boolean) =>
          flag ? turned(values.get(node)!, node.shape as never) : values.get(node)!
        const b = product(plain(c, tc), plain(d, td), [right[0], rank, right[1]])
        const expected = product(plain(a, ta), tb ? turned(b, right) : b, [m, k, n])
        const actual = evaluate([found], named)[0]!
        for (const [i, e] of expected.entries()) assert.closeTo(Number(actual[i]), e, 1e-9)
        // Through a low rank the product of the second and third is never made; else it is made once.
        const made = reachable([found]).some((node) => sizeOf(node) === k * n && node.op === "matmul")
        assert.strictEqual(made, rank === 19)
      }
    })
  }
})
