/** A program as a person reads it: its loops in order, and what each computes. */
import { type Node, sizeOf, uniformValue } from "../graph/Graph.ts"
import type { Access } from "./Access.ts"
import { type Kernel, reductions, Schedule } from "./Schedule.ts"

/** The loops of a graph as text, one operation a line. A name in brackets is in memory, one without is in a register. */
export const listing = (inputs: ReadonlyArray<Node>, kept: ReadonlyArray<Node>, sent: ReadonlyArray<Node>): string => {
  const schedule = new Schedule(inputs, kept, sent)
  const names = new Map<Node, string>([[schedule.list, "sent"]])
  let next = 0
  const nameOf = (node: Node): string => {
    if (node.op === "input") return String(node.attrs["name"])
    const known = names.get(node) ?? `t${next++}`
    names.set(node, known)
    return known
  }
  const place = ({ constant, factors, node }: Access): string => {
    const terms = factors.flatMap((factor, loop) =>
      factor === 0 ? [] : [`${factor === 1 ? "" : `${factor} `}${"ijklmn"[loop] ?? `i${loop}`}`]
    )
    return `${nameOf(node)}[${[...terms, ...(constant === 0 && terms.length > 0 ? [] : [String(constant)])].join(" + ")}]`
  }
  const operand = (access: Access, at: number): string => {
    const value = uniformValue(access.node)
    if (value !== undefined) return String(Number(value.toPrecision(7)))
    return schedule.written.get(access.node) === at && schedule.begun.get(access.node) === at
      ? nameOf(access.node)
      : place(access)
  }
  const written = (kernel: Kernel, at: number): ReadonlyArray<string> => {
    if (kernel.kind === "apart") {
      const { node, operands } = kernel
      const given = operands.map((access) => `${place(access)}`).join(", ")
      const loops = node.op === "matmul" ? ` over rows i, columns j, sum k` : ""
      return [`${nameOf(node)}[${sizeOf(node)}] = ${node.op}(${given})${loops}`]
    }
    const lines = kernel.members.map((member) => {
      const { as, node, operands, store } = member
      const value = `${as.op}(${operands.map((access) => operand(access, at)).join(", ")})`
      const inMemory = schedule.stored.has(node) || store.node !== node
      const name = inMemory || reductions.has(as.op) ? place(store) : nameOf(node)
      return `  ${name} ${reductions.has(as.op) ? `${as.op}=` : "="} ${value.replace(/^(sum|prodOf|maxOf|minOf)\((.*)\)$/, "$2")}`
    })
    const counters = kernel.loops.map((n, loop) => `${"ijklmn"[loop] ?? `i${loop}`} < ${n}`).join(", ")
    return [`for ${counters === "" ? "one element" : counters}:`, ...lines]
  }
  const results = schedule.kept.map((source, i) =>
    source.from === "input" ? `kept ${i}: input ${source.index}` : `kept ${i}: ${nameOf(source.node)}`
  )
  return [...schedule.kernels.flatMap(written), ...results].join("\n")
}
