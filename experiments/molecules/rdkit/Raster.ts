/**
 * Opaque vector shapes as 8-bit RGB pixels with exact area coverage: a small picture is the area average of a large one.
 *
 * Coverage is accumulated along edges and summed along rows (as in Levien's font-rs), so that the cost of a shape is that
 * of its bounding box.
 */
import type { Shape } from "./Svg.ts"

/** A canvas of `size` × `size` pixels to draw many pictures on, one after another. */
export interface Canvas {
  /** Draws these shapes, `scale` pixels to a unit, on white: uint8 [size, size, 3], valid until the next drawing. */
  readonly draw: (shapes: ReadonlyArray<Shape>, scale: number) => Uint8Array
}

/** SVG's limit on the length of a miter, in widths. */
const miterLimit = 10

/** A canvas of this many pixels a side. */
export const canvas = (size: number): Canvas => {
  const stride = size + 2
  const cover = new Float32Array(stride * size)
  const pixels = new Uint8Array(size * size * 3)
  let [left, right, top, bottom] = [size, 0, size, 0]

  /** Adds the edge's signed area to the right of it. */
  const edge = (ax: number, ay: number, bx: number, by: number): void => {
    left = Math.min(left, ax, bx)
    right = Math.max(right, ax, bx)
    top = Math.min(top, ay, by)
    bottom = Math.max(bottom, ay, by)
    if (ay === by) return
    const sign = ay < by ? 1 : -1
    const [x0, y0, x1, y1] = ay < by ? [ax, ay, bx, by] : [bx, by, ax, ay]
    const slope = (x1 - x0) / (y1 - y0)
    const last = Math.min(size, Math.ceil(y1))
    let x = y0 < 0 ? x0 - y0 * slope : x0
    for (let y = Math.max(0, Math.floor(y0)); y < last; y++) {
      const height = Math.min(y + 1, y1) - Math.max(y, y0)
      const next = x + slope * height
      // Beyond the left side an edge covers whole rows, beyond the right side nothing.
      const from = Math.min(size, Math.max(0, Math.min(x, next)))
      const to = Math.min(size, Math.max(0, Math.max(x, next)))
      const area = sign * height
      const first = Math.floor(from)
      const end = Math.ceil(to)
      const at = y * stride + first
      if (end <= first + 1) {
        const share = 0.5 * (from + to) - first
        cover[at] = cover[at]! + area * (1 - share)
        cover[at + 1] = cover[at + 1]! + area * share
      } else {
        const inverse = 1 / (to - from)
        let before = 0
        for (let column = first; column < end; column++) {
          // The integral, up to this column's right side, of how much of the edge lies to the left.
          const a = Math.max(from, column)
          const b = Math.min(to, column + 1)
          const passed = inverse * ((b - a) * (column + 1 - 0.5 * (a + b)) + (a - from))
          const place = y * stride + column
          cover[place] = cover[place]! + area * (passed - before)
          before = passed
        }
        cover[y * stride + end] = cover[y * stride + end]! + area * (1 - before)
      }
      x = next
    }
  }

  const polygon = (points: ReadonlyArray<number>): void => {
    let twice = 0
    const n = points.length
    for (let i = 0; i < n; i += 2) {
      const j = (i + 2) % n
      twice += points[i]! * points[j + 1]! - points[j]! * points[i + 1]!
    }
    // Pieces of one shape must not cancel each other.
    for (let i = 0; i < n; i += 2) {
      const j = (i + 2) % n
      if (twice > 0) edge(points[i]!, points[i + 1]!, points[j]!, points[j + 1]!)
      else edge(points[j]!, points[j + 1]!, points[i]!, points[i + 1]!)
    }
  }

  const paint = (colour: number): void => {
    const [red, green, blue] = [colour >> 16, (colour >> 8) & 255, colour & 255]
    const x0 = Math.max(0, Math.floor(left))
    const x1 = Math.min(size, Math.ceil(right) + 1)
    const y1 = Math.min(size, Math.ceil(bottom))
    for (let y = Math.max(0, Math.floor(top)); y < y1; y++) {
      let sum = 0
      for (let x = x0; x < x1; x++) {
        const at = y * stride + x
        sum += cover[at]!
        const opacity = Math.min(1, Math.abs(sum))
        if (opacity < 1 / 512) continue
        const p = 3 * (y * size + x)
        pixels[p] = pixels[p]! + opacity * (red - pixels[p]!) + 0.5
        pixels[p + 1] = pixels[p + 1]! + opacity * (green - pixels[p + 1]!) + 0.5
        pixels[p + 2] = pixels[p + 2]! + opacity * (blue - pixels[p + 2]!) + 0.5
      }
      cover.fill(0, y * stride + x0, y * stride + Math.min(stride, x1 + 2))
    }
    ;[left, right, top, bottom] = [size, 0, size, 0]
  }

  /** A polyline with butt ends and mitered joins, `half` its width to either side. */
  const stroke = (points: ReadonlyArray<number>, half: number): void => {
    let [lastX, lastY] = [Number.NaN, Number.NaN]
    for (let i = 0; i + 3 < points.length; i += 2) {
      const [ax, ay, bx, by] = [points[i]!, points[i + 1]!, points[i + 2]!, points[i + 3]!]
      const length = Math.hypot(bx - ax, by - ay)
      if (length === 0) continue
      const [nx, ny] = [(half * (ay - by)) / length, (half * (bx - ax)) / length]
      polygon([ax + nx, ay + ny, bx + nx, by + ny, bx - nx, by - ny, ax - nx, ay - ny])
      const cosine = (nx * lastX + ny * lastY) / (half * half)
      // The outer side of a bend is where the two normals part: a wedge from the corner, mitered if short enough.
      if (cosine < 0.9999) {
        const outer = nx * lastY - ny * lastX > 0 ? 1 : -1
        const miter = cosine > 2 / (miterLimit * miterLimit) - 1 ? 1 / (1 + cosine) : undefined
        const tip = miter === undefined ? [] : [ax + outer * miter * (nx + lastX), ay + outer * miter * (ny + lastY)]
        polygon([ax, ay, ax + outer * lastX, ay + outer * lastY, ...tip, ax + outer * nx, ay + outer * ny])
      }
      ;[lastX, lastY] = [nx, ny]
    }
  }

  const draw = (shapes: ReadonlyArray<Shape>, scale: number): Uint8Array => {
    pixels.fill(255)
    for (const { ends, fill, points: unscaled, stroke: outline, width } of shapes) {
      const points = unscaled.map((value) => value * scale)
      if (fill !== undefined) {
        // Contours run against each other where one is a hole in the other.
        for (let from = 0, c = 0; c < ends.length; from = ends[c]!, c++) {
          const to = ends[c]!
          for (let i = from; i < to; i++) {
            const j = i + 1 < to ? i + 1 : from
            edge(points[2 * i]!, points[2 * i + 1]!, points[2 * j]!, points[2 * j + 1]!)
          }
        }
        paint(fill)
      }
      if (outline !== undefined) {
        for (let from = 0, c = 0; c < ends.length; from = ends[c]!, c++) {
          stroke(points.slice(2 * from, 2 * ends[c]!), (scale * width) / 2)
        }
        paint(outline)
      }
    }
    return pixels
  }
  return { draw }
}
