/** A few points in place of many, the extremes among them. */

/** One point of a line: a step, and the value there. */
export type Point = readonly [k: number, value: number]

/**
 * At most `most` points, in order: the first, the last, and of each stretch between them the lowest, the highest, and the first
 * that is not finite.
 */
export const thin = <P extends readonly [k: number, value: number, ...more: ReadonlyArray<number>]>(
  points: ReadonlyArray<P>,
  most: number
): ReadonlyArray<P> => {
  if (points.length <= most) return points
  const inner = points.slice(1, -1)
  const stretches = Math.max(1, Math.floor((most - 2) / 3))
  const out: Array<P> = [points[0]!]
  for (let s = 0; s < stretches; s++) {
    const [from, to] = [s, s + 1].map((end) => Math.floor((end * inner.length) / stretches))
    const stretch = inner.slice(from, to)
    const finite = stretch.filter(([, value]) => Number.isFinite(value))
    const kept = new Set<P | undefined>([
      finite.reduce<P | undefined>((low, point) => (low === undefined || point[1] < low[1] ? point : low), undefined),
      finite.reduce<P | undefined>(
        (high, point) => (high === undefined || point[1] > high[1] ? point : high),
        undefined
      ),
      stretch.find(([, value]) => !Number.isFinite(value))
    ])
    out.push(...stretch.filter((point) => kept.has(point)))
  }
  return [...out, points.at(-1)!]
}

/** At most `most` of many rows, evenly, the first and the last among them: for lines that are to keep their steps in common. */
export const even = <A>(rows: ReadonlyArray<A>, most: number): ReadonlyArray<A> =>
  rows.length <= most
    ? rows
    : Array.from({ length: most }, (_, i) => rows[Math.round((i * (rows.length - 1)) / (most - 1))]!)
