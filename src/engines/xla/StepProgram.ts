/** What a function is before a device sees it: its program as text, with the trees of what it takes, keeps and sends. */
import type { LeafType } from "../../compiler/graph/Graph.ts"
import { type Aliases, lower } from "../../compiler/stablehlo/Lower.ts"
import { trace } from "../../compiler/trace/Trace.ts"
import type * as Tree from "../../dsl/Tree.ts"
import { inLevel } from "../../runtime/step/Evaluation.ts"
import { type Numbered, numbered } from "../../runtime/step/Numbering.ts"
import { leavesOf, type Shaped, shaped, type Types, typesOf } from "../Handles.ts"

export interface StepProgram {
  readonly program: string
  /** How many arrays it takes: the state's, then the batch's. */
  readonly takes: number
  readonly results: ReadonlyArray<LeafType>
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
    kept.flatMap(({ dtype, shape }, i) => {
      const input = inputs[i]
      return input?.dtype === dtype && input.shape.join() === shape.join() ? [[i, i] as const] : []
    })
  )

/** Traces and lowers; `owns` where the state is the function's own to write over. Throws a `CompileError`. */
export const make = (
  f: Source,
  names: ReadonlyArray<string>,
  args: ReadonlyArray<unknown>,
  owns: boolean
): StepProgram => {
  // What the function itself throws is its own fault, not the engine's.
  const own = (...given: ReadonlyArray<never>) => inLevel("", () => f(...given))
  const traced = trace(own as never, names, args)
  const trees = traced.structure as unknown as readonly [Types, Types]
  const [kept, sent] = [shaped(trees[0]), shaped(trees[1])]
  const aliases: Aliases = owns ? aliasesOf(traced.inputs as ReadonlyArray<LeafType>, kept.leaves) : new Map()
  const split = kept.leaves.length
  const program = lower(traced.inputs, traced.results.slice(0, split), traced.results.slice(split), aliases)
  const list: ReadonlyArray<LeafType> = sent.words === 0 ? [] : [{ dtype: "float32", shape: [sent.words] }]
  const held = traced.inputs.length - leavesOf(args.at(-1)).length
  return {
    program,
    takes: traced.inputs.length,
    results: [...kept.leaves, ...list],
    batch: typesOf(args.at(-1)),
    kept,
    sent,
    numberings: numbered(traced.numberings, traced.inputs, held)
  }
}
