/** Equal parts of an array along an axis, one for each device. */
import type { Shape } from "../../../compiler/graph/Graph.ts"
import { size } from "../../../dsl/values/NdArray.ts"

type Numbers = Float32Array | Int32Array

const like = (array: Numbers, length: number): Numbers =>
  array instanceof Float32Array ? new Float32Array(length) : new Int32Array(length)

/** Runs of numbers that lie together: how many, and how long one is in a part. */
const runs = (shape: Shape, axis: number, count: number) => ({
  before: size(shape.slice(0, axis)),
  length: size(shape.slice(axis)) / count
})

/** The shape of one part. */
export const partOf = (shape: Shape, axis: number, count: number): Shape => shape.with(axis, shape[axis]! / count)

/** The parts; views of `array` where their numbers lie together. */
export const split = (array: Numbers, shape: Shape, axis: number, count: number): ReadonlyArray<Numbers> => {
  const { before, length } = runs(shape, axis, count)
  return Array.from({ length: count }, (_, part) => {
    if (before === 1) return array.subarray(part * length, (part + 1) * length)
    const own = like(array, before * length)
    for (let i = 0; i < before; i++) {
      const from = (i * count + part) * length
      own.set(array.subarray(from, from + length), i * length)
    }
    return own
  })
}

/** The array that parts are of. */
export const join = (parts: ReadonlyArray<Numbers>, shape: Shape, axis: number): Numbers => {
  const { before, length } = runs(shape, axis, parts.length)
  const whole = like(parts[0]!, size(shape))
  for (const [part, own] of parts.entries())
    for (let i = 0; i < before; i++)
      whole.set(own.subarray(i * length, (i + 1) * length), (i * parts.length + part) * length)
  return whole
}
