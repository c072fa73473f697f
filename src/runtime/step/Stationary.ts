/** The linear system of a level's solution: the derivative of where its update stands still. */
import * as tf from "@tensorflow/tfjs-core"
import type { Product } from "../../dsl/Hypergradient.ts"
import type { Optimizer, Stationarity } from "../../dsl/Optimizer.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Gradient from "../../tensor/Gradient.ts"
import * as Vector from "../../tensor/Vector.ts"

/** The part of a variable that its optimizer moves; the variable itself where it moves all of it. */
export const moving = ({ stationarity }: Pick<Optimizer, "stationarity">, params: Tree.Tree): Tree.Tree =>
  stationarity?.moves === undefined ? params : Tree.select(params, stationarity.moves)

/**
 * `F(x) = seen(∇L(x)) + added(x) = 0`, over what moves and is free. Where an optimizer states nothing, F is the gradient
 * and everything here is as if it were not there.
 */
export interface System {
  /** The right-hand side over what can respond. */
  readonly restrict: (v: Tree.Tree) => Tree.Tree
  /** `u ↦ (∂F/∂x)ᵀ u`, the identity on what a projection holds. */
  readonly operator: (u: Tree.Tree) => Tree.Tree
  /** The direction `w` with `−∂ᵧ⟨∇L, w⟩ = −(∂F/∂y)ᵀ u`. */
  readonly direction: (u: Tree.Tree) => Tree.Tree
  /** The value of the variable at which its moving part is `x`. */
  readonly at: (x: Tree.Tree) => Tree.Tree
  /** The moving part of the variable. */
  readonly x: Tree.Tree
  /** A direction of the moving part as one of the variable. */
  readonly embed: (u: Tree.Tree) => Tree.Tree
}

type Map = (u: Tree.Tree) => Tree.Tree
const same: Map = (u) => u

/**
 * The system at `own`, whose gradient there is `gradient(own)`, a tree of its structure. `reduced` takes products with the curvature
 * where that is not simply the gradient's derivative.
 */
export const system = (
  optimizer: Optimizer,
  product: Product,
  own: Tree.Tree,
  gradient: Map,
  reduced?: Map
): System => {
  const { added, free, moves, seen }: Stationarity = optimizer.stationarity ?? {}
  const part: Map = (tree) => moving(optimizer, tree)
  const x = part(own)
  const at: Map = moves === undefined ? same : (moved) => Tree.replace(own, moved)
  const mask = free?.(x)
  const project: Map = mask === undefined ? same : (u) => Tree.zipWith(u, mask, (a, b) => tf.mul(a, b))
  const here = seen === undefined ? undefined : part(gradient(own))
  const bend: Map = here === undefined ? same : (u) => Gradient.pullback(seen!, here, u)
  const embed: Map = moves === undefined ? same : (u) => Tree.replace(Vector.zeros(own), u)
  const curvature: Map =
    reduced === undefined
      ? (w) => product.derivative((moved: Tree.Tree) => part(gradient(at(moved))), x, w)
      : (w) => part(reduced(embed(w)))
  const operator: Map = (u) => {
    const inside = project(u)
    const image = curvature(bend(inside))
    const whole = added === undefined ? image : Vector.add(image, Gradient.pullback(added, x, inside))
    return mask === undefined ? whole : Vector.add(project(whole), Vector.subtract(u, inside))
  }
  return { restrict: (v) => project(part(v)), operator, direction: (u) => bend(project(u)), at, x, embed }
}
