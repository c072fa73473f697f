import * as tf from "@tensorflow/tfjs-core"
import { make, type Optimizer, type Stationarity } from "../../dsl/Optimizer.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import { named, nonNegative, positive } from "./Named.ts"

const decaysAroundClip =
  "one weight decay is added before a clip and one after it, so that no sum says where it stands still: decay once"
const clipsAroundMask =
  "a clip outside of a mask or of groups also sees what does not move: put the mask or the groups last in the pipe"

/** Of an optimizer whose gradient gets `added(x)` before anything else happens to it. */
const adding =
  (added: (params: Tree.Tree) => Tree.Tree) =>
  (inner: Stationarity): Stationarity => {
    if (inner.seen !== undefined) return { ...inner, unsolvable: inner.unsolvable ?? decaysAroundClip }
    const { added: before } = inner
    return { ...inner, added: before === undefined ? added : (x) => Vector.add(before(x), added(x)) }
  }

/** Of an optimizer that sees a bent gradient, which is zero where the gradient is: it matters where something is added to it. */
const bending =
  (bend: (gradient: Tree.Tree) => Tree.Tree) =>
  (inner: Stationarity): Stationarity => {
    const { added, moves, seen } = inner
    if (added === undefined) return inner
    if (moves !== undefined) return { ...inner, unsolvable: inner.unsolvable ?? clipsAroundMask }
    return { ...inner, seen: seen === undefined ? bend : (g) => seen(bend(g)) }
  }

const same = (gradients: Tree.Tree): Tree.Tree => gradients

// A combinator's name holds the optimizer it wraps, so that it reads in the order in which a gradient meets the parts.
const before =
  (
    what: string,
    amount: number,
    transform: <T extends Tree.Tree>(gradients: T, params: T) => T,
    stationarity: (inner: Stationarity) => Stationarity
  ): ((self: Optimizer) => Optimizer) =>
  (self) =>
    make({
      name: named(what, {}, `${amount}`, self.name),
      stationarity: stationarity(self.stationarity ?? {}),
      ...(self.rates === undefined ? {} : { rates: self.rates }),
      taken: (gradients, params) => (self.taken ?? same)(transform(gradients, params), params),
      init: self.init,
      update: (gradients, state, params, clock) => self.update(transform(gradients, params), state, params, clock)
    })

/**
 * Coupled L2 decay, as the `weight_decay` of `torch.optim.SGD` and `Adam`: the optimizer sees g + λθ. Of several
 * combinators in one pipe the last meets the gradient first. Throws a `RangeError` where λ is negative or not finite.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.weightDecay(0.1))
 * optimizer.update({ w: tf.scalar(0) }, {}, { w: tf.scalar(1) }, tf.scalar(0, "int32"))[0] // => { w: 0.9 }
 * ```
 */
export const weightDecay = (lambda: number): ((self: Optimizer) => Optimizer) => {
  nonNegative("weightDecay", lambda)
  return before(
    "weightDecay",
    lambda,
    (gradients, params) => Tree.zipWith(gradients, params, (g, p) => tf.add(g, tf.mul(lambda, p))),
    lambda === 0 ? (inner) => inner : adding((params) => Vector.scale(lambda, params))
  )
}

/**
 * Rescales gradients whose norm over all leaves together exceeds `max`: g / max(1, ‖g‖ / max). Others pass bit for bit.
 * Throws a `RangeError` unless `max` is finite and positive.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.clipByGlobalNorm(1))
 * const [next] = optimizer.update({ w: tf.tensor([3, 4]) }, {}, { w: tf.tensor([0, 0]) }, tf.scalar(0, "int32"))
 * next // => { w: [-0.6, -0.8] }
 * ```
 */
export const clipByGlobalNorm = (max: number): ((self: Optimizer) => Optimizer) => {
  positive("clipByGlobalNorm", max)
  const clip = <T extends Tree.Tree>(gradients: T): T => {
    const squares = Tree.leaves(gradients).map((g) => tf.sum(tf.square(tf.div(g, max))))
    const total = squares.reduce((sum, square) => tf.add(sum, square), tf.scalar(0))
    // The maximum is taken under the root, whose slope at 0 is infinite.
    const excess = tf.sqrt(tf.maximum(total, 1))
    return Tree.map(gradients, (g) => tf.div(g, excess))
  }
  return before("clipByGlobalNorm", max, clip, bending(clip))
}

const decaysBesideNormalized =
  "weight decay is added to a gradient of norm 1, so that where it stands still is no equation that can be differentiated: decay before it"

/**
 * Gives the gradient over all leaves together norm 1, `g / ‖g‖`: only its direction counts, and the rate is the length of a step. A gradient
 * of zero stays zero.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.normalized)
 * const [next] = optimizer.update({ w: tf.tensor([30, 40]) }, {}, { w: tf.tensor([0, 0]) }, tf.scalar(0, "int32"))
 * next // => { w: [-0.6, -0.8] }
 * ```
 */
export const normalized: (self: Optimizer) => Optimizer = (self) => {
  const normalize = <T extends Tree.Tree>(gradients: T): T =>
    Vector.scale(tf.div(1, tf.maximum(Vector.norm(gradients), least)) as tf.Scalar, gradients)
  return make({
    ...self,
    name: named("normalized", {}, self.name),
    ...(self.stationarity?.added === undefined
      ? {}
      : {
          stationarity: {
            ...self.stationarity,
            unsolvable: self.stationarity.unsolvable ?? decaysBesideNormalized
          }
        }),
    taken: (gradients, params) => (self.taken ?? same)(normalize(gradients), params),
    update: (gradients, state, params, clock) => self.update(normalize(gradients), state, params, clock)
  })
}

// Keeps a zero gradient finite.
const least = 1e-30

const within = (leaf: tf.Tensor, minimum: number | undefined, maximum: number | undefined): tf.Tensor => {
  const raised = minimum === undefined ? leaf : tf.maximum(leaf, minimum)
  return maximum === undefined ? raised : tf.minimum(raised, maximum)
}

/** Holds every element of the gradient within ±`max`. Throws a `RangeError` unless `max` is finite and positive. */
export const clipByValue = (max: number): ((self: Optimizer) => Optimizer) => {
  positive("clipByValue", max)
  const clip = <T extends Tree.Tree>(gradients: T): T => Tree.map(gradients, (g) => within(g, -max, max))
  return before("clipByValue", max, clip, bending(clip))
}

/**
 * Projects parameters onto minimum ≤ θ ≤ maximum, element by element, after each update.
 * An element at a bound is held there and responds to nothing.
 * Throws a `RangeError` where neither bound is given, a bound is NaN, or minimum > maximum.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.clamp({ minimum: 0 }))
 * const [next] = optimizer.update({ w: tf.tensor([1, -1]) }, {}, { w: tf.tensor([0, 0]) }, tf.scalar(0, "int32"))
 * next // => { w: [0, 1] }
 * ```
 */
export const clamp = (bounds: {
  readonly minimum?: number
  readonly maximum?: number
}): ((self: Optimizer) => Optimizer) => {
  const { minimum, maximum } = bounds
  if (minimum === undefined && maximum === undefined) {
    throw new RangeError("Optimizer.clamp has no bound: give a minimum, a maximum or both")
  }
  if (!((minimum ?? -Infinity) <= (maximum ?? Infinity))) {
    throw new RangeError(`Optimizer.clamp: minimum is ${minimum} and maximum is ${maximum}: no parameter fits between`)
  }
  const inside = (leaf: tf.Tensor): tf.Tensor => {
    const above = minimum === undefined ? undefined : tf.cast(tf.greater(leaf, minimum), "float32")
    const below = maximum === undefined ? undefined : tf.cast(tf.less(leaf, maximum), "float32")
    return above === undefined ? below! : below === undefined ? above : tf.mul(above, below)
  }
  const free = (params: Tree.Tree): Tree.Tree => Tree.map(params, inside)
  const bounded = (inner: Stationarity): Stationarity => {
    const { free: within } = inner
    return {
      ...inner,
      free: within === undefined ? free : (x) => Tree.zipWith(within(x), free(x), (a, b) => tf.mul(a, b))
    }
  }
  return (self) =>
    make({
      name: named("clamp", { minimum, maximum }, self.name),
      stationarity: bounded(self.stationarity ?? {}),
      ...(self.rates === undefined ? {} : { rates: self.rates }),
      ...(self.taken === undefined ? {} : { taken: self.taken }),
      init: self.init,
      update: (gradients, state, params, clock) => {
        const [next, nextState] = self.update(gradients, state, params, clock)
        return [Tree.map(next, (leaf) => within(leaf, minimum, maximum)), nextState]
      }
    })
}
