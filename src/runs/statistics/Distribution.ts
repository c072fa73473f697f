/** The two distributions that intervals of few numbers need. */

// Lanczos' series with g = 7 and nine terms, as in Numerical Recipes; relative error below 1e-14 for x ≥ ½.
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7
]

const logGamma = (x: number): number => {
  const sum = lanczos.reduce((total, c, i) => total + (i === 0 ? c : c / (x - 1 + i)), 0)
  const t = x + 6.5
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum)
}

/** The continued fraction of the incomplete beta function (Lentz), for x < (a + 1) / (a + b + 2). */
const fraction = (x: number, a: number, b: number): number => {
  const tiny = 1e-300
  const kept = (value: number) => (Math.abs(value) < tiny ? tiny : value)
  let c = 1
  let d = 1 / kept(1 - ((a + b) * x) / (a + 1))
  let product = d
  for (let m = 1; m <= 500; m++) {
    for (const term of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    ]) {
      d = 1 / kept(1 + term * d)
      c = kept(1 + term / c)
      product *= c * d
    }
    if (Math.abs(c * d - 1) < 1e-15) break
  }
  return product
}

const incompleteBeta = (x: number, a: number, b: number): number => {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x))
  return x < (a + 1) / (a + b + 2) ? (front * fraction(x, a, b)) / a : 1 - (front * fraction(1 - x, b, a)) / b
}

/** How much of Student's distribution with `freedom` degrees of freedom lies beyond t ≥ 0. */
export const studentTail = (t: number, freedom: number): number =>
  incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2

/** The t ≥ 0 beyond which `tail` ≤ ½ of Student's distribution lies. */
export const studentQuantile = (tail: number, freedom: number): number => {
  let [low, high] = [0, 1]
  while (studentTail(high, freedom) > tail) high *= 2
  for (let i = 0; i < 200 && high - low > 1e-13 * high; i++) {
    const middle = (low + high) / 2
    if (studentTail(middle, freedom) > tail) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** How much of the standard normal distribution lies beyond z ≥ 0: Student's with no end of freedom. */
export const normalTail = (z: number): number => {
  if (z < 3) {
    // Φ(z) − ½ by its Taylor series, which does not cancel here.
    let [term, sum] = [z, z]
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) sum += term = (term * z * z) / (2 * n + 1)
    return 0.5 - (sum * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI)
  }
  // Laplace's continued fraction.
  let value = 0
  for (let n = 80; n > 0; n--) value = n / (z + value)
  return Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI) / (z + value)
}
