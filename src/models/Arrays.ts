/** Arrays on the host as files of weights have them. */
import * as NdArray from "../dsl/values/NdArray.ts"

/** Dtype and shape, for people: `float32[2, 3]`. */
export const form = ({ dtype, shape }: Pick<NdArray.NdArray, "dtype" | "shape">): string =>
  `${dtype}[${shape.join(", ")}]`

/** `array` with its axes, four at most, in another order: axis i of the result is axis `order[i]`. */
export const permuted = <A extends NdArray.NdArray>({ data, dtype, shape }: A, order: ReadonlyArray<number>): A => {
  const to = order.map((axis) => shape[axis]!)
  const steps = order.map((axis) => NdArray.size(shape.slice(axis + 1)))
  const filled = (axes: ReadonlyArray<number>): [number, number, number, number] =>
    [...Array<number>(4 - axes.length).fill(1), ...axes] as [number, number, number, number]
  const [[a, b, c, d], [p, q, r, s]] = [filled(to), filled(steps)]
  const out = data.slice()
  let next = 0
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) {
        let at = i * p + j * q + k * r
        // An axis that is not there has one place, at which every step begins.
        for (let l = 0; l < d; l++, at += s) out[next++] = data[at]!
      }
    }
  }
  return { dtype, shape: to, data: out } as NdArray.NdArray as A
}
