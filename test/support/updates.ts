/** Optimizers beside what they do to one number, in double precision: x, its gradient, what they keep, and the update's number from 1. */
import * as Optimizer from "../../src/levels/Optimizer.ts"

export type Update = (x: number, g: number, s: Array<number>, t: number) => number
export const updates: {
  readonly [name: string]: { readonly optimizer: Optimizer.Optimizer; readonly update: Update }
} = {
  sgd: { optimizer: Optimizer.sgd(0.3), update: (x, g) => x - 0.3 * g },
  momentum: {
    optimizer: Optimizer.momentum(0.2, { momentum: 0.8 }),
    update: (x, g, s) => x - 0.2 * (s[0] = 0.8 * (s[0] ?? 0) + g)
  },
  "adam with weight decay": {
    optimizer: Optimizer.adam(0.1).pipe(Optimizer.weightDecay(0.05)),
    update: (x, raw, s, t) => {
      const g = raw + 0.05 * x
      s[0] = 0.9 * (s[0] ?? 0) + 0.1 * g
      s[1] = 0.999 * (s[1] ?? 0) + 0.001 * g * g
      return x - (0.1 * (s[0] / (1 - 0.9 ** t))) / (Math.sqrt(s[1] / (1 - 0.999 ** t)) + 1e-8)
    }
  }
}
