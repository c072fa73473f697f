// float64 reference arithmetic on small dense matrices (rows of numbers).
export type Matrix = ReadonlyArray<ReadonlyArray<number>>
export type Vector = ReadonlyArray<number>

export const apply = (a: Matrix, x: Vector): Vector => a.map((row) => row.reduce((sum, v, j) => sum + v * x[j]!, 0))
export const transpose = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!))
export const multiply = (a: Matrix, b: Matrix): Matrix => {
  const columns = transpose(b)
  return a.map((row) => columns.map((column) => row.reduce((sum, v, k) => sum + v * column[k]!, 0)))
}
export const add = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((v, j) => v + b[i]![j]!))
export const plus = (x: Vector, y: Vector): Vector => x.map((v, i) => v + y[i]!)
export const minus = (x: Vector, y: Vector): Vector => x.map((v, i) => v - y[i]!)
export const norm = (x: Vector): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0))
export const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array.from({ length: columns }, () => 0))

/** Solves `a x = b` for several right-hand sides by elimination with partial pivoting. */
export const solve = (a: Matrix, b: Matrix): Matrix => {
  const n = a.length
  const m = a.map((row, i) => [...row, ...b[i]!])
  for (let k = 0; k < n; k++) {
    let best = k
    for (let i = k + 1; i < n; i++) if (Math.abs(m[i]![k]!) > Math.abs(m[best]![k]!)) best = i
    ;[m[k], m[best]] = [m[best]!, m[k]!]
    const pivot = m[k]![k]!
    m[k] = m[k]!.map((v) => v / pivot)
    for (let i = 0; i < n; i++) {
      if (i === k) continue
      const factor = m[i]![k]!
      m[i] = m[i]!.map((v, j) => v - factor * m[k]![j]!)
    }
  }
  return m.map((row) => row.slice(n))
}

export const relativeError = (found: Vector, expected: Vector): number =>
  norm(minus(found, expected)) / (norm(expected) || 1)
