import * as tf from "@tensorflow/tfjs-core"
import { make, type Optimizer } from "../dsl/Optimizer.ts"
import * as Tree from "../dsl/Tree.ts"
import * as Rate from "./Rate.ts"

export { make, type Optimizer }

const named = (
  what: string,
  options: { readonly [option: string]: number | boolean | undefined },
  ...unlabelled: ReadonlyArray<string>
): string => {
  const labelled = Object.entries(options).filter(([, value]) => value !== undefined)
  return `${what}(${[...unlabelled, ...labelled.map(([option, value]) => `${option}=${value}`)].join(", ")})`
}

const refuse = (what: string, value: number, wanted: string): never => {
  throw new RangeError(`Optimizer.${what} is ${value}: give ${wanted}`)
}

const fraction = (what: string, value: number): void => {
  if (!(value >= 0 && value < 1)) refuse(what, value, "a number of at least 0 and less than 1")
}

const nonNegative = (what: string, value: number): void => {
  if (!(Number.isFinite(value) && value >= 0)) refuse(what, value, "a finite number that is not negative")
}

const positive = (what: string, value: number): void => {
  if (!(Number.isFinite(value) && value > 0)) refuse(what, value, "a finite number greater than 0")
}

const zeros = (params: Tree.Tree): Tree.Tree => Tree.map(params, (leaf) => tf.zerosLike(leaf))

/** Gradient descent: θ ← θ − ηg. Keeps no state. */
export const sgd = (rate: number | Rate.Rate): Optimizer => {
  const eta = Rate.from(rate)
  return make({
    name: named("sgd", {}, eta.name),
    init: () => ({}),
    update: (gradients, state, params, clock) => {
      const size = eta.at(clock)
      return [Tree.zipWith(params, gradients, (p, g) => tf.sub(p, tf.mul(size, g))), state]
    }
  })
}

/**
 * Heavy-ball momentum without dampening, as `torch.optim.SGD`: v ← μv + g, θ ← θ − ηv; with `nesterov` θ ← θ − η(g + μv).
 *
 * Throws a `RangeError` unless 0 ≤ μ < 1.
 */
export const momentum = (
  rate: number | Rate.Rate,
  options: { readonly momentum: number; readonly nesterov?: boolean }
): Optimizer => {
  const { momentum: mu, nesterov = false } = options
  fraction("momentum: momentum", mu)
  const eta = Rate.from(rate)
  return make({
    name: named("momentum", { momentum: mu, nesterov }, eta.name),
    init: (params) => ({ velocity: zeros(params) }),
    update: (gradients, state, params, clock) => {
      const size = eta.at(clock)
      const last = state as { readonly velocity: Tree.Tree }
      const velocity = Tree.zipWith(gradients, last.velocity, (g, v) => tf.add(tf.mul(mu, v), g))
      const direction = nesterov ? Tree.zipWith(gradients, velocity, (g, v) => tf.add(g, tf.mul(mu, v))) : velocity
      return [Tree.zipWith(params, direction, (p, d) => tf.sub(p, tf.mul(size, d))), { velocity }]
    }
  })
}

/** What Adam can be told; the defaults are those of PyTorch. */
export interface AdamOptions {
  /** Decay of the mean of gradients, in [0, 1); 0.9 where absent. */
  readonly beta1?: number
  /** Decay of the mean of squared gradients, in [0, 1); 0.999 where absent. */
  readonly beta2?: number
  /** Added to the root of the second moment, in units of the gradient; 1e-8 where absent. */
  readonly epsilon?: number
}

// The slope of √ at 0 is infinite, and 0 · ∞ would be NaN in a gradient taken through the update. This much under the
// root bounds the slope by 5e14 and moves the root by at most 1e-15.
const underRoot = 1e-30

/** 1 − βᵗ as 2h / (1 + h) with h = tanh(−t ln β / 2): nothing cancels when β is near 1, where float32 `1 − βᵗ` loses 4 digits. */
const correction = (beta: number, t: tf.Scalar): tf.Scalar => {
  const h = tf.tanh(tf.mul(-Math.log(beta) / 2, t))
  return tf.div(tf.mul(2, h), tf.add(1, h))
}

const blend = (beta: number, mean: tf.Tensor, sample: tf.Tensor): tf.Tensor =>
  tf.add(tf.mul(beta, mean), tf.mul(1 - beta, sample))

/**
 * Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015), as `torch.optim.Adam`:
 * m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², θ ← θ − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε), with t = clock + 1.
 *
 * Throws a `RangeError` unless both β are in [0, 1) and ε is finite and not negative.
 */
export const adam = (rate: number | Rate.Rate, options: AdamOptions = {}): Optimizer => {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options
  fraction("adam: beta1", beta1)
  fraction("adam: beta2", beta2)
  nonNegative("adam: epsilon", epsilon)
  const eta = Rate.from(rate)
  return make({
    name: named("adam", { beta1, beta2, epsilon }, eta.name),
    init: (params) => ({ first: zeros(params), second: zeros(params) }),
    update: (gradients, state, params, clock) => {
      const t = tf.add(tf.cast(clock, "float32"), 1) as tf.Scalar
      const size = tf.div(eta.at(clock), correction(beta1, t))
      const bias = correction(beta2, t)
      const last = state as { readonly first: Tree.Tree; readonly second: Tree.Tree }
      const first = Tree.zipWith(gradients, last.first, (g, m) => blend(beta1, m, g))
      const second = Tree.zipWith(gradients, last.second, (g, v) => blend(beta2, v, tf.square(g)))
      const direction = Tree.zipWith(first, second, (m, v) =>
        tf.div(m, tf.add(tf.sqrt(tf.add(tf.div(v, bias), underRoot)), epsilon))
      )
      return [Tree.zipWith(params, direction, (p, d) => tf.sub(p, tf.mul(size, d))), { first, second }]
    }
  })
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as `torch.optim.AdamW`: the step of {@link adam}
 * and −ηλθ beside it. λ is 0.01 where absent. Throws a `RangeError` where {@link adam} does or λ is negative or not finite.
 */
export const adamw = (
  rate: number | Rate.Rate,
  options: AdamOptions & { readonly weightDecay?: number } = {}
): Optimizer => {
  const { weightDecay: lambda = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options
  nonNegative("adamw: weightDecay", lambda)
  const eta = Rate.from(rate)
  const inner = adam(eta, { beta1, beta2, epsilon })
  return make({
    name: named("adamw", { beta1, beta2, epsilon, weightDecay: lambda }, eta.name),
    init: inner.init,
    update: (gradients, state, params, clock) => {
      const decay = tf.mul(lambda, eta.at(clock))
      const [stepped, moments] = inner.update(gradients, state, params, clock)
      return [Tree.zipWith(stepped, params, (next, p) => tf.sub(next, tf.mul(decay, p))), moments]
    }
  })
}

// A combinator's name holds the optimizer it wraps, so that it reads in the order in which a gradient meets the parts.
const before =
  (
    what: string,
    amount: number,
    transform: <T extends Tree.Tree>(gradients: T, params: T) => T
  ): ((self: Optimizer) => Optimizer) =>
  (self) =>
    make({
      name: named(what, {}, `${amount}`, self.name),
      init: self.init,
      update: (gradients, state, params, clock) => self.update(transform(gradients, params), state, params, clock)
    })

/**
 * Coupled L2 decay, as the `weight_decay` of `torch.optim.SGD` and `Adam`: the optimizer sees g + λθ. Of several
 * combinators in one pipe the last meets the gradient first. Throws a `RangeError` where λ is negative or not finite.
 */
export const weightDecay = (lambda: number): ((self: Optimizer) => Optimizer) => {
  nonNegative("weightDecay", lambda)
  return before("weightDecay", lambda, (gradients, params) =>
    Tree.zipWith(gradients, params, (g, p) => tf.add(g, tf.mul(lambda, p)))
  )
}

/**
 * Rescales gradients whose norm over all leaves together exceeds `max`: g / max(1, ‖g‖ / max). Others pass bit for bit.
 * Throws a `RangeError` unless `max` is finite and positive.
 */
export const clipByGlobalNorm = (max: number): ((self: Optimizer) => Optimizer) => {
  positive("clipByGlobalNorm", max)
  return before("clipByGlobalNorm", max, (gradients) => {
    const squares = Tree.leaves(gradients).map((g) => tf.sum(tf.square(tf.div(g, max))))
    const total = squares.reduce((sum, square) => tf.add(sum, square), tf.scalar(0))
    // The maximum is taken under the root, whose slope at 0 is infinite.
    const excess = tf.sqrt(tf.maximum(total, 1))
    return Tree.map(gradients, (g) => tf.div(g, excess))
  })
}

const within = (leaf: tf.Tensor, minimum: number | undefined, maximum: number | undefined): tf.Tensor => {
  const raised = minimum === undefined ? leaf : tf.maximum(leaf, minimum)
  return maximum === undefined ? raised : tf.minimum(raised, maximum)
}

/** Holds every element of the gradient within ±`max`. Throws a `RangeError` unless `max` is finite and positive. */
export const clipByValue = (max: number): ((self: Optimizer) => Optimizer) => {
  positive("clipByValue", max)
  return before("clipByValue", max, (gradients) => Tree.map(gradients, (g) => within(g, -max, max)))
}

/**
 * Projects parameters onto minimum ≤ θ ≤ maximum, element by element, after each update.
 * Throws a `RangeError` where neither bound is given, a bound is NaN, or minimum > maximum.
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
  return (self) =>
    make({
      name: named("clamp", { minimum, maximum }, self.name),
      init: self.init,
      update: (gradients, state, params, clock) => {
        const [next, nextState] = self.update(gradients, state, params, clock)
        return [Tree.map(next, (leaf) => within(leaf, minimum, maximum)), nextState]
      }
    })
}

/**
 * Updates only the leaves whose path `select` accepts (`encoder.layers.0.w`; the empty path where parameters are one
 * tensor); the others keep their value bit for bit and have no state. A wrapped `clipByGlobalNorm` sees the selected only.
 *
 * The name prints the predicate's source text, which cannot show what the predicate closes over: prefer literals in it.
 */
export const masked =
  (select: (path: string) => boolean) =>
  (self: Optimizer): Optimizer => {
    // A flat record keyed by path has the paths of the tree that it was taken from.
    const selected = (tree: Tree.Tree) => Object.fromEntries(Tree.entries(tree).filter(([path]) => select(path)))
    return make({
      name: named("masked", {}, `${select}`.replace(/\s+/g, " "), self.name),
      init: (params) => self.init(selected(params)),
      update: (gradients, state, params, clock) => {
        const [next, nextState] = self.update(selected(gradients), state, selected(params), clock)
        const updated = new Map(Object.entries(next))
        // A clone is a new handle on the same numbers: whoever owns the old parameters may still dispose of them.
        return [Tree.map(params, (leaf, path) => updated.get(path) ?? tf.clone(leaf)), nextState]
      }
    })
  }
