/** Multinomial logistic regression on frozen features, on the host and in float64: the probe that every encoder is scored by. */

/** Rows of features, of `width` numbers each, and their classes. */
export interface Rows {
  readonly features: ReadonlyArray<ArrayLike<number>>
  readonly labels: ArrayLike<number>
}
/** Class probabilities of features, [rows][classes]. */
export type Probabilities = (features: ReadonlyArray<ArrayLike<number>>) => ReadonlyArray<Float64Array>

const standardiser = (features: ReadonlyArray<ArrayLike<number>>) => {
  const width = features[0]!.length
  const [mean, scale] = [new Float64Array(width), new Float64Array(width)]
  for (const row of features) for (let j = 0; j < width; j++) mean[j]! += row[j]! / features.length
  for (const row of features) for (let j = 0; j < width; j++) scale[j]! += (row[j]! - mean[j]!) ** 2 / features.length
  const deviation = scale.map((variance) => (variance > 0 ? Math.sqrt(variance) : 1))
  return (row: ArrayLike<number>): Float64Array => {
    const out = new Float64Array(width + 1)
    for (let j = 0; j < width; j++) out[j] = (row[j]! - mean[j]!) / deviation[j]!
    out[width] = 1
    return out
  }
}

const softmax = (scores: Float64Array): Float64Array => {
  const most = scores.reduce((a, b) => Math.max(a, b))
  let sum = 0
  const out = scores.map((z) => Math.exp(z - most))
  for (const e of out) sum += e
  return out.map((e) => e / sum)
}

/**
 * The minimum of `½‖W‖² + c Σ rows' cross-entropy`, biases free, of features standardised by the rows it is fitted on: scikit-learn's
 * `LogisticRegression(C=c)`. By accelerated gradients, until the gradient is below 1e-6 in every element.
 */
export const fit = ({ features, labels }: Rows, classes: number, c: number): Probabilities => {
  const standard = standardiser(features)
  const x = features.map(standard)
  const width = x[0]!.length
  const scores = (w: Float64Array, row: Float64Array): Float64Array => {
    const out = new Float64Array(classes)
    for (let k = 0; k < classes; k++) {
      let sum = 0
      for (let j = 0; j < width; j++) sum += w[k * width + j]! * row[j]!
      out[k] = sum
    }
    return out
  }
  const gradient = (w: Float64Array): Float64Array => {
    const g = w.map((value, at) => (at % width === width - 1 ? 0 : value))
    for (const [i, row] of x.entries()) {
      const p = softmax(scores(w, row))
      p[labels[i]!]! -= 1
      for (let k = 0; k < classes; k++) {
        const slope = c * p[k]!
        for (let j = 0; j < width; j++) g[k * width + j]! += slope * row[j]!
      }
    }
    return g
  }
  // The largest curvature of a softmax is a half: by powers of XᵀX.
  let v = new Float64Array(width).fill(1)
  let largest = 0
  for (let round = 0; round < 30; round++) {
    const next = new Float64Array(width)
    for (const row of x) {
      let dot = 0
      for (let j = 0; j < width; j++) dot += row[j]! * v[j]!
      for (let j = 0; j < width; j++) next[j]! += dot * row[j]!
    }
    largest = Math.hypot(...next)
    v = next.map((value) => value / largest)
  }
  const step = 1 / (1 + 0.55 * c * largest)
  let w = new Float64Array(classes * width)
  let ahead = w
  let momentum = 1
  for (let round = 0; round < 20_000; round++) {
    const g = gradient(ahead)
    if (g.every((slope) => Math.abs(slope) < 1e-6)) break
    const next = ahead.map((value, at) => value - step * g[at]!)
    // Where it runs uphill the momentum begins anew.
    let uphill = 0
    for (let at = 0; at < w.length; at++) uphill += g[at]! * (next[at]! - w[at]!)
    const following = uphill > 0 ? 1 : (1 + Math.sqrt(1 + 4 * momentum ** 2)) / 2
    const share = uphill > 0 ? 0 : (momentum - 1) / following
    const before = w
    ahead = next.map((value, at) => value + share * (value - before[at]!))
    w = next
    momentum = following
  }
  return (others) => others.map((row) => softmax(scores(w, standard(row))))
}

/** Mean cross-entropy in nats, and the share of rows whose likeliest class is theirs. */
export const score = (probabilities: Probabilities, { features, labels }: Rows) => {
  let [loss, right] = [0, 0]
  for (const [i, p] of probabilities(features).entries()) {
    loss -= Math.log(Math.max(p[labels[i]!]!, 1e-300)) / features.length
    if (p[labels[i]!]! >= p.reduce((a, b) => Math.max(a, b))) right += 1 / features.length
  }
  return { loss, accuracy: right }
}
