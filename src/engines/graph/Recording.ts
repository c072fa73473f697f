/** A function traced, with what an engine needs to know of it. */
import type { LeafType } from "../../compiler/graph/Graph.ts"
import { trace } from "../../compiler/trace/Trace.ts"
import type * as Tree from "../../dsl/values/Tree.ts"
import { inLevel } from "../../runtime/step/Evaluation.ts"
import { numbered } from "../../runtime/step/Numbering.ts"
import { leavesOf, shaped, type Types, typesOf } from "../Handles.ts"
import type { Recorded } from "./Backend.ts"

/** Records `f`, whose last argument is a batch; its first tree of results stays, its second is sent back. */
export const record = (
  f: (...args: ReadonlyArray<never>) => readonly [Tree.Tree, Tree.Tree],
  names: ReadonlyArray<string>,
  args: ReadonlyArray<unknown>
): Recorded => {
  // What the function itself throws is its own fault, not the engine's.
  const own = (...given: ReadonlyArray<never>) => inLevel("", () => f(...given))
  const { inputs, numberings, results, structure } = trace(own as never, names, args)
  const trees = structure as unknown as readonly [Types, Types]
  const batch = typesOf(args.at(-1))
  const [kept, sent] = [shaped(trees[0]), shaped(trees[1])]
  const split = kept.leaves.length
  const held = inputs.length - leavesOf(batch).length
  return {
    inputs,
    keeps: results.slice(0, split),
    sends: results.slice(split),
    batch,
    kept,
    sent,
    numberings: numbered(numberings, inputs, held)
  }
}

/** What a backend tells of a function that it has made ready. */
export const loadedOf = ({ batch, inputs, kept, numberings, sent }: Recorded) => ({
  batch,
  kept,
  numberings,
  sent,
  inputs: inputs.map(({ dtype, shape }): LeafType => ({ dtype: dtype as LeafType["dtype"], shape }))
})
