import * as tf from "@tensorflow/tfjs-core"
import { make, type Optimizer, type Stationarity } from "../../dsl/Optimizer.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Rate from "../Rate.ts"
import { fraction, named, nonNegative } from "./Named.ts"

/** At a rate of zero nothing moves; else a gradient of zero is where these stand still. */
const stationarity = (rate: Rate.Rate): Stationarity => (rate.zero === true ? { still: true } : {})

/** One rate for all. */
const rates =
  (rate: Rate.Rate): NonNullable<Optimizer["rates"]> =>
  (clock) => ({ "": rate.at(clock) })

const zeros = (params: Tree.Tree): Tree.Tree => Tree.map(params, (leaf) => tf.zerosLike(leaf))

/**
 * Gradient descent: θ ← θ − ηg. Keeps no state.
 *
 * ```ts
 * const [next] = Optimizer.sgd(0.5).update({ w: tf.scalar(2) }, {}, { w: tf.scalar(1) }, tf.scalar(0, "int32"))
 * next // => { w: 0 }
 * Optimizer.sgd(Rate.cosine({ peak: 0.1, total: 100 })).name // => "sgd(cosine(peak=0.1, warmup=0, total=100, floor=0))"
 * ```
 */
export const sgd = (rate: number | Rate.Rate): Optimizer => {
  const eta = Rate.from(rate)
  return make({
    name: named("sgd", {}, eta.name),
    stationarity: stationarity(eta),
    rates: rates(eta),
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
    stationarity: stationarity(eta),
    rates: rates(eta),
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
 *
 * ```ts
 * const adam = Optimizer.adam(0.1)
 * const params = { w: tf.scalar(1) }
 * const [next] = adam.update({ w: tf.scalar(5) }, adam.init(params), params, tf.scalar(0, "int32"))
 * next // => { w: 0.9 }
 * ```
 */
export const adam = (rate: number | Rate.Rate, options: AdamOptions = {}): Optimizer => {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options
  fraction("adam: beta1", beta1)
  fraction("adam: beta2", beta2)
  nonNegative("adam: epsilon", epsilon)
  const eta = Rate.from(rate)
  return make({
    name: named("adam", { beta1, beta2, epsilon }, eta.name),
    stationarity: stationarity(eta),
    rates: rates(eta),
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

const decoupled =
  "adamw decays its parameters beside a step that is nearly a sign, so that where it stands still depends on its second " +
  "moments and not on the gradient alone; with Optimizer.adam(…).pipe(Optimizer.weightDecay(λ)) the decay is part of the optimum"

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as `torch.optim.AdamW`: the step of {@link adam}
 * and −ηλθ beside it. λ is 0.01 where absent. A level that uses it cannot be solved implicitly, save by `identity` and
 * `sama`, which solve nothing: the plan says so. Throws a `RangeError` where {@link adam} does or λ is negative or not finite.
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
    stationarity: lambda === 0 ? stationarity(eta) : { ...stationarity(eta), unsolvable: decoupled },
    rates: rates(eta),
    init: inner.init,
    update: (gradients, state, params, clock) => {
      const decay = tf.mul(lambda, eta.at(clock))
      const [stepped, moments] = inner.update(gradients, state, params, clock)
      return [Tree.zipWith(stepped, params, (next, p) => tf.sub(next, tf.mul(decay, p))), moments]
    }
  })
}
