/** A flat list of parameters or gradients. */
export type Vector = ReadonlyArray<number>
/** One update; `t` counts the updates before it. */
export type Update = (params: Vector, gradient: Vector, t: number) => Vector
/** A fresh update that remembers what it must: the optimizers of PyTorch in plain float64. */
export type Reference = () => Update

export const sgd =
  (rate: (t: number) => number): Reference =>
  () =>
  (p, g, t) =>
    p.map((x, i) => x - rate(t) * g[i]!)
export const momentum =
  (rate: number, mu: number, nesterov: boolean): Reference =>
  () => {
    let v: Vector | undefined
    return (p, g) => {
      const last = v
      const now = last === undefined ? g : g.map((x, i) => mu * last[i]! + x)
      v = now
      return p.map((x, i) => x - rate * (nesterov ? g[i]! + mu * now[i]! : now[i]!))
    }
  }
export const adam =
  (rate: number, b1: number, b2: number, epsilon: number, decay = 0): Reference =>
  () => {
    let m: Vector = []
    let v: Vector = []
    return (p, g, t) => {
      m = g.map((x, i) => b1 * (m[i] ?? 0) + (1 - b1) * x)
      v = g.map((x, i) => b2 * (v[i] ?? 0) + (1 - b2) * x * x)
      const root = v.map((x) => Math.sqrt(x / (1 - b2 ** (t + 1))) + epsilon)
      return p.map((x, i) => x * (1 - rate * decay) - (rate * m[i]!) / (1 - b1 ** (t + 1)) / root[i]!)
    }
  }
const onGradient =
  (change: (g: Vector, p: Vector) => Vector) =>
  (inner: Reference): Reference =>
  () => {
    const update = inner()
    return (p, g, t) => update(p, change(g, p), t)
  }
export const norm = (g: Vector): number => Math.sqrt(g.reduce((sum, x) => sum + x * x, 0))
export const clipNorm = (max: number) => onGradient((g) => g.map((x) => x * Math.min(1, max / norm(g))))
export const clipValue = (max: number) => onGradient((g) => g.map((x) => Math.max(-max, Math.min(max, x))))
export const couple = (lambda: number) => onGradient((g, p) => g.map((x, i) => x + lambda * p[i]!))
export const project =
  (low: number, high: number) =>
  (inner: Reference): Reference =>
  () => {
    const update = inner()
    return (p, g, t) => update(p, g, t).map((x) => Math.max(low, Math.min(high, x)))
  }
