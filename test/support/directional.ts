type Numbers = ArrayLike<number>

export const norm = (x: Numbers): number => Math.sqrt(Array.from(x).reduce((sum, n) => sum + n * n, 0))

/** d/dt f(x + t·direction) at t = 0: central differences in float64, of fourth order in the step. */
export const central = (
  f: (x: Float64Array) => ReadonlyArray<Numbers>,
  x: Numbers,
  direction: Numbers,
  step = 1e-4
): ReadonlyArray<Float64Array> => {
  const h = step / (norm(direction) || 1)
  const [ahead, behind, farAhead, farBehind] = [h, -h, 2 * h, -2 * h].map((t) =>
    f(Float64Array.from(x, (n, i) => n + t * direction[i]!))
  ) as [ReadonlyArray<Numbers>, ReadonlyArray<Numbers>, ReadonlyArray<Numbers>, ReadonlyArray<Numbers>]
  return ahead.map((leaf, k) =>
    Float64Array.from(leaf, (n, i) => (8 * (n - behind[k]![i]!) - (farAhead[k]![i]! - farBehind[k]![i]!)) / (12 * h))
  )
}
