/** What a function is before a device sees it: its program as text, with the trees of what it takes, keeps and sends. */
import type { LeafType } from "../../compiler/graph/Graph.ts"
import { type Aliases, lower } from "../../compiler/stablehlo/Lower.ts"
import { trace } from "../../compiler/trace/Trace.ts"
import type * as Tree from "../../dsl/values/Tree.ts"
import { inLevel } from "../../runtime/step/Evaluation.ts"
import { type Numbered, numbered } from "../../runtime/step/Numbering.ts"
import { leavesOf, type Shaped, shaped, type Types, typesOf } from "../Handles.ts"
import * as Placement from "./Placement.ts"

export interface StepProgram {
  readonly program: string
  /** How many arrays it takes: the state's, then the batch's. */
  readonly takes: number
  readonly results: ReadonlyArray<LeafType>
  /** Its arrays, and along which axis devices share them. */
  readonly batch: Types
  readonly kept: Shaped
  readonly sent: Shaped
  /** Which arrays of a batch number rows or classes. */
  readonly numberings: ReadonlyArray<Numbered>
}

/** A function of a state and a batch, or of one of them: what it leaves on the device, and what it sends back. */
export type Source = (...args: ReadonlyArray<never>) => readonly [Tree.Tree, Tree.Tree]

/** Of results that stay, the inputs whose place they take: those of a state that a step hands on. */
const aliasesOf = (inputs: ReadonlyArray<LeafType>, kept: ReadonlyArray<LeafType>): Aliases =>
  new Map(
    kept.flatMap(({ axis, dtype, shape }, i) => {
      const input = inputs[i]
      const alike = input?.dtype === dtype && input.shape.join() === shape.join() && input.axis === axis
      return alike ? [[i, i] as const] : []
    })
  )

/** What a function is of: a step of a state and a batch, an observer of the same, or where a state starts, from values. */
export type Role = "step" | "observer" | "start"

/** Traces and lowers. Only a step may write over its state. Throws a `CompileError`. */
export const make = (
  f: Source,
  names: ReadonlyArray<string>,
  args: ReadonlyArray<unknown>,
  role: Role,
  placement: Placement.Placement
): StepProgram => {
  // What the function itself throws is its own fault, not the engine's.
  const own = (...given: ReadonlyArray<never>) => inLevel("", () => f(...given))
  const traced = trace(own as never, names, args, { halves: true })
  const trees = traced.structure as unknown as readonly [Types, Types]
  const [kept, sent] = [shaped(Placement.ofState(trees[0], placement)), shaped(trees[1])]
  const given = typesOf(args.at(-1))
  const batch = role === "start" ? given : Placement.ofBatch(given, placement)
  const inputs = [...args.slice(0, -1), batch].flatMap((tree) => leavesOf<LeafType>(tree))
  const aliases: Aliases = role === "step" ? aliasesOf(inputs, kept.leaves) : new Map()
  const split = kept.leaves.length
  const [axes, { devices }] = [(types: ReadonlyArray<LeafType>) => types.map(({ axis }) => axis), placement]
  const sharding = { devices, inputs: axes(inputs), kept: axes(kept.leaves) }
  const program = lower(traced.inputs, traced.results.slice(0, split), traced.results.slice(split), aliases, sharding)
  const list: ReadonlyArray<LeafType> = sent.words === 0 ? [] : [{ dtype: "float32", shape: [sent.words] }]
  const held = traced.inputs.length - leavesOf(args.at(-1)).length
  return {
    program,
    takes: traced.inputs.length,
    results: [...kept.leaves, ...list],
    batch,
    kept,
    sent,
    numberings: numbered(traced.numberings, traced.inputs, held)
  }
}
