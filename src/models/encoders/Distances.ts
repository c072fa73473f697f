/** Distances between tokens as rows of a table (He et al. 2021), and scores by distance as scores by token. */
import * as tf from "@tensorflow/tfjs-core"
import type { Relative } from "./EncoderConfig.ts"

/**
 * The bucket of a distance: itself up to `buckets / 2`, beyond on a logarithmic scale such that `farthest - 1` has the last
 * one. As `make_log_bucket_position` of transformers computes it, in float32, so that borders are the same.
 */
export const bucket = (distance: number, buckets: number, farthest: number): number => {
  const middle = Math.floor(buckets / 2)
  const length = Math.abs(distance)
  if (length <= middle) return distance
  const log = (x: number): number => Math.fround(Math.log(Math.fround(x)))
  const share = Math.fround(log(length / middle) / log((farthest - 1) / middle))
  return Math.sign(distance) * (Math.ceil(Math.fround(share * (middle - 1))) + middle)
}

/** The rows of a table that the distances of `length` tokens have, from the most negative, 1 - length, to length - 1. */
export const rows = ({ buckets, farthest, span }: Relative, length: number): Int32Array =>
  Int32Array.from({ length: 2 * length - 1 }, (_, i) => {
    const distance = i - (length - 1)
    const at = buckets > 0 ? bucket(distance, buckets, farthest) : distance
    return Math.min(Math.max(at + span, 0), 2 * span - 1)
  })

/** The part of a table that the distances of `length` tokens look at: [2 · span, d] → [rows, d]. */
export const part = (table: tf.Tensor2D, relative: Relative, length: number): tf.Tensor2D => {
  const at = rows(relative, length)
  return tf.slice(table, [at[0]!, 0], [at.at(-1)! - at[0]! + 1, table.shape[1]])
}

/** A row for each distance of `length` tokens, from 1 - length up, of what {@link part} took: [rows, d] → [2 · length - 1, d]. */
export const each = (part: tf.Tensor2D, relative: Relative, length: number): tf.Tensor2D => {
  // Rows follow one another; where each is one distance's own, they stand as they should.
  if (part.shape[0] === 2 * length - 1) return part
  const at = rows(relative, length)
  return tf.gather(
    part,
    tf.tensor1d(
      at.map((row) => row - at[0]!),
      "int32"
    )
  )
}

/**
 * Scores by token from scores by distance: [n, t, 2 t - 1] → [n, t, t], where place j of row i is x[n, i, j - i + t - 1]. Rows of one
 * element more, read as if they had one less, move by one from each to the next: no index is needed.
 */
export const skewed = (x: tf.Tensor3D): tf.Tensor3D => {
  const [n, t] = x.shape
  const longer = tf.pad(x, [
    [0, 0],
    [0, 0],
    [0, 1]
  ])
  const moved = tf.slice(tf.reshape(longer, [n, 2 * t * t]), [0, t - 1], [n, t * (2 * t - 1)])
  return tf.slice(tf.reshape(moved, [n, t, 2 * t - 1]) as tf.Tensor3D, [0, 0, 0], [n, t, t])
}
