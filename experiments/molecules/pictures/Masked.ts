/** Pictures with a square hidden, for mask-based contrastive learning (TapWeight, appendix C.1). */
import { Seed } from "tapweight"
import type { Size, Views } from "./Augment.ts"

/** The paper's 16 pixels of 224, at another size. */
export const squareOf = ({ size }: Size): number => Math.max(1, Math.round((16 * size) / 224))

/**
 * The views with one square each, of `square` pixels, filled with its picture's mean colour. Its corner is uniform over
 * the picture, so that it may be cut at the edge (as ImageMol's code does).
 */
export const masked = (views: Views, square: number, { size }: Size, seed: Seed.Seed): Views => {
  const pixels = size * size
  const each = 3 * pixels
  const n = views.length / each
  const corners = Seed.integers(seed, 2 * n, size)
  const out = views.slice()
  for (let i = 0; i < n; i++) {
    const at = i * each
    const mean = [0, 0, 0]
    for (let k = at; k < at + each; k += 3) for (let c = 0; c < 3; c++) mean[c]! += views[k + c]! / pixels
    const [left, top] = [corners[2 * i]!, corners[2 * i + 1]!]
    for (let y = top; y < Math.min(size, top + square); y++) {
      for (let x = left; x < Math.min(size, left + square); x++) out.set(mean, at + 3 * (y * size + x))
    }
  }
  return out
}
