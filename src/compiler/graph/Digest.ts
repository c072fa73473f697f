import { createHash } from "node:crypto"
import { type Attr, type Node, reachable } from "./Graph.ts"

// JSON knows neither −0 nor numbers that are not finite.
const number = (value: number): string => (Object.is(value, -0) ? "-0" : `${value}`)

const shown = (value: Attr): string => {
  if (typeof value === "number") return number(value)
  if (typeof value === "string" || typeof value === "boolean") return JSON.stringify(value)
  return `[${value.map(number).join()}]`
}

const attributes = ({ attrs }: Node): string =>
  Object.keys(attrs)
    .sort()
    .map((name) => `${name}=${shown(attrs[name]!)}`)
    .join()

/**
 * A hash (SHA-256) of what a graph computes: operations, attributes, types, the bits of its constants, and under which
 * names results leave it. Equal graphs have equal hashes in every process and on every machine, in whatever order their
 * nodes were made; whose work a node is has no part in it.
 */
export const digest = (results: ReadonlyArray<readonly [name: string, node: Node]>): string => {
  const known = new Map<Node, string>()
  for (const node of reachable(results.map(([, result]) => result))) {
    const hash = createHash("sha256")
    hash.update(`${node.op} ${attributes(node)} ${node.dtype}[${node.shape.join()}]`)
    for (const input of node.inputs) hash.update(` ${known.get(input)}`)
    const { values } = node
    if (values !== undefined) hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    known.set(node, hash.digest("hex"))
  }
  const whole = createHash("sha256")
  for (const [name, node] of results) whole.update(`${name} ${known.get(node)}\n`)
  return whole.digest("hex")
}
