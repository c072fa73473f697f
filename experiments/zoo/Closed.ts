/** What the zoo's figures are measured against, in double precision on the host. */

/** x with A x = b, by elimination without pivots: for positive definite systems. */
export const solve = (a: ReadonlyArray<ReadonlyArray<number>>, b: ReadonlyArray<number>): ReadonlyArray<number> => {
  const n = b.length
  const rows = a.map((row, i) => [...row, b[i]!])
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const factor = k === i ? 0 : rows[k]![i]! / rows[i]![i]!
      for (let j = i; j <= n; j++) rows[k]![j]! -= factor * rows[i]![j]!
    }
  }
  return rows.map((row, i) => row[n]! / row[i]!)
}

/** Where a function of one number with one minimum has it, by golden section. */
export const minimum = (f: (x: number) => number, low: number, high: number): number => {
  const golden = (Math.sqrt(5) - 1) / 2
  let [a, b] = [low, high]
  for (let i = 0; i < 80; i++) {
    const [c, d] = [b - golden * (b - a), a + golden * (b - a)]
    if (f(c) < f(d)) b = d
    else a = c
  }
  return (a + b) / 2
}

/** The gradient by central differences of a function in double precision. */
export const differences = (f: (x: ReadonlyArray<number>) => number, x: ReadonlyArray<number>): ReadonlyArray<number> =>
  x.map((_, i) => {
    const [ahead, behind] = [1e-5, -1e-5].map((step) => f(x.map((each, j) => (i === j ? each + step : each))))
    return (ahead! - behind!) / 2e-5
  })

export const norm = (x: ReadonlyArray<number>): number => Math.hypot(...x)

/** Shares that logits give. */
export const softmax = (logits: ArrayLike<number>): ReadonlyArray<number> => {
  const raised = Array.from(logits, (each) => Math.exp(each - Math.max(...Array.from(logits))))
  const sum = raised.reduce((a, b) => a + b, 0)
  return raised.map((each) => each / sum)
}
