/** Which arrays several devices share, and along which axis: batches by their rows, and of the state at most the optimizers'. */
import type { LeafType } from "../../compiler/graph/Graph.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Sharing from "../../runtime/step/Sharing.ts"
import type { Types } from "../Handles.ts"

export interface Placement {
  readonly devices: number
  /** Whether each device has a part of the optimizers' state, where an axis can be divided; else all of it. */
  readonly shardOptimizer: boolean
}

/** Everything on one device. */
export const single: Placement = { devices: 1, shardOptimizer: false }

const placed = (types: Types, axisOf: (leaf: LeafType, path: string) => number | undefined): Types =>
  Tree.map(types as never, (leaf, path) => {
    const { dtype, shape } = leaf as unknown as LeafType
    const axis = axisOf({ dtype, shape }, path)
    return (axis === undefined ? { dtype, shape } : { dtype, shape, axis }) as never
  }) as never

/** A state, or a part of one that is named as in the whole. */
export const ofState = (types: Types, { devices, shardOptimizer }: Placement): Types =>
  placed(types, ({ shape }, path) => {
    if (!shardOptimizer || devices === 1 || !path.startsWith("optimizer.")) return undefined
    const axis = shape.findIndex((n) => n > 0 && n % devices === 0)
    return axis < 0 ? undefined : axis
  })

/** A batch: each array by its rows, where these can be divided. */
export const ofBatch = (types: Types, { devices }: Placement): Types =>
  placed(types, (leaf) => (Sharing.isShared(leaf, devices) ? 0 : undefined))
