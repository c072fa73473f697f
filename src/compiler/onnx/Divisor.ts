/** What whole numbers are divided by. */
import { core, type Node } from "../graph/Graph.ts"
import type { Emitter } from "./Emitter.ts"

/**
 * The divisors `b`, with 1 for −1 where that may be one: remainders are the same, and quotients those of opposite sign. The
 * least whole number divided by −1 is none of 32 bits, and a processor's trap for it ends the process.
 */
export const divisorOf = (e: Emitter, b: string, node: Node): string =>
  core(node).values?.every((value) => value !== -1) === true
    ? b
    : e.emit("Where", [e.emit("Equal", [b, e.int(-1)]), e.int(1), b])
