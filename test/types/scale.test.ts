import { describe, expect, it } from "vitest"
import { check, preamble } from "./compiler.ts"

/** Wires `count` levels: level i owns `xi` and reads `upstream(i)`; each of the lower half is given a variable of the upper. */
const program = (count: number, upstream: (i: number) => ReadonlyArray<number>, missing?: number): string => {
  const all = Array.from({ length: count }, (_, i) => i)
  const list = (names: ReadonlyArray<number>, prefix: string) => names.map((i) => `${prefix}${i}`).join(", ")
  const level = (i: number): string => {
    const given = i < count / 2 ? [i + count / 2] : []
    const below = upstream(i).map((j) => (j === missing ? j - 1 : j))
    const reads = list([i, ...given, ...below], "x")
    return `
export const level${i} = Level.minimize(x${i}, {
  given: [${list(given, "x")}],
  upstream: [${list(below, "level")}],
  data,
  optimizer,
  objective: ({ ${reads} }, { x }) => tf.sum(tf.addN([x, ${reads}]))
}).pipe(Level.unroll(2), Level.hypergradient(Hypergradient.detached))`
  }
  return [
    preamble,
    `import * as Hypergradient from "src/dsl/Hypergradient.ts"`,
    ...all.map((i) => `export const x${i} = Var.make("x${i}", vector)`),
    ...all.filter((i) => i !== missing).map(level),
    `export const problem = Problem.close(level${count - 1})`,
    `export type Name = typeof problem extends Problem.Problem<infer V, unknown, unknown> ? V["name"] : never`,
    `export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false`,
    `export const bound: Same<Name, ${all.map((i) => `"x${i}"`).join(" | ")}> = true`
  ].join("\n")
}

const chain = (i: number): ReadonlyArray<number> => (i === 0 ? [] : [i - 1])
// i − 1 and i − 2 meet again at once, i ≫ 1 only far below: small diamonds within large ones.
const diamonds = (i: number): ReadonlyArray<number> =>
  [...new Set([i - 1, i - 2, i >> 1])].filter((j) => j >= 0 && j < i)

describe("fifty levels", () => {
  it.each([
    ["a chain", chain],
    ["diamonds", diamonds]
  ] as const)("%s type-checks in little time and binds every variable", async (shape, upstream) => {
    const { checkTime, errors, instantiations } = await check({ program: program(50, upstream) })
    process.stdout.write(`50 levels, ${shape}: checked in ${checkTime} s, ${instantiations} instantiations\n`)
    expect(errors("program")).toEqual([])
    expect(checkTime).toBeLessThan(10)
    // Four times what they need today: a count does not depend on how busy the machine is.
    expect(instantiations).toBeLessThan(160_000)
  })

  it("with one owner missing yield one error, which names it in one sentence", async () => {
    const source = program(50, chain, 37).replace(/^export const bound.*$/m, "")
    const { errors } = await check({ program: source })
    expect(errors("program")).toHaveLength(1)
    expect(errors("program")[0]).toContain(`"no level minimizes 'x37'"`)
  })
})
