import { Seed } from "tapweight"
/** Random views of pictures, drawn on the host: flip, grey and rotation as ImageMol trains with (Zeng et al. 2022). */

/** Side in pixels; pictures are RGB, 8 bits a channel, row by row. */
export interface Size {
  readonly size: number
}

/** How a view is drawn. ImageMol: flip 0.5, grey 0.2, rotation 360, fill black. */
export interface Augmentation {
  /** Probability of a flip from left to right. */
  readonly flip: number
  /** Probability of losing all colour. */
  readonly grey: number
  /** Largest rotation either way, in degrees. */
  readonly rotation: number
  /** What fills corners that a rotation uncovers. */
  readonly fill: "black" | "white"
}

/** The picture as it is. */
export const asIs: Augmentation = { flip: 0, grey: 0, rotation: 0, fill: "white" }

/** Views of n pictures: float32, [n, size, size, 3], channels from 0 to 1. */
export type Views = Float32Array

const luminance = [0.299, 0.587, 0.114] as const

/** What is drawn for one picture. */
interface Draw {
  readonly flip: boolean
  readonly grey: boolean
  /** Radians. */
  readonly angle: number
}

const draws = (augmentation: Augmentation, seed: Seed.Seed, n: number): ReadonlyArray<Draw> => {
  const u = Seed.uniform(seed, 3 * n)
  return Array.from({ length: n }, (_, i) => ({
    flip: u[3 * i]! < augmentation.flip,
    grey: u[3 * i + 1]! < augmentation.grey,
    angle: ((2 * u[3 * i + 2]! - 1) * augmentation.rotation * Math.PI) / 180
  }))
}

const copy = (picture: Uint8Array, { flip }: Draw, size: number, out: Views, at: number): void => {
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const from = 3 * (y * size + (flip ? size - 1 - x : x))
      const to = at + 3 * (y * size + x)
      for (let c = 0; c < 3; c++) out[to + c] = picture[from + c]! / 255
    }
  }
}

// Each pixel of the view is looked up where the rotation took it from, between the four pixels around.
const rotate = (picture: Uint8Array, { angle, flip }: Draw, size: number, fill: number, out: Views, at: number) => {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const centre = (size - 1) / 2
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [dx, dy] = [x - centre, y - centre]
      const turned = centre + cos * dx - sin * dy
      const sx = flip ? size - 1 - turned : turned
      const sy = centre + sin * dx + cos * dy
      const [x0, y0] = [Math.floor(sx), Math.floor(sy)]
      const [fx, fy] = [sx - x0, sy - y0]
      const to = at + 3 * (y * size + x)
      for (let c = 0; c < 3; c++) {
        let sum = 0
        for (let k = 0; k < 4; k++) {
          const [px, py] = [x0 + (k & 1), y0 + (k >> 1)]
          const share = ((k & 1) === 1 ? fx : 1 - fx) * (k >> 1 === 1 ? fy : 1 - fy)
          const inside = px >= 0 && py >= 0 && px < size && py < size
          sum += share * (inside ? picture[3 * (py * size + px) + c]! : fill)
        }
        out[to + c] = sum / 255
      }
    }
  }
}

const lose = (out: Views, at: number, pixels: number): void => {
  for (let to = at; to < at + 3 * pixels; to += 3) {
    const grey = luminance[0] * out[to]! + luminance[1] * out[to + 1]! + luminance[2] * out[to + 2]!
    out.fill(grey, to, to + 3)
  }
}

/** Views of n pictures, end to end in `pictures`: a function of the seed. */
export const views = (pictures: Uint8Array, augmentation: Augmentation, { size }: Size, seed: Seed.Seed): Views => {
  const pixels = size * size
  const each = 3 * pixels
  const n = pictures.length / each
  const out = new Float32Array(pictures.length)
  const fill = augmentation.fill === "white" ? 255 : 0
  for (const [i, draw] of draws(augmentation, seed, n).entries()) {
    const picture = pictures.subarray(i * each, (i + 1) * each)
    if (draw.angle === 0) copy(picture, draw, size, out, i * each)
    else rotate(picture, draw, size, fill, out, i * each)
    if (draw.grey) lose(out, i * each, pixels)
  }
  return out
}

// ImageNet's, which ImageMol and torchvision's networks are trained with.
const mean = [0.485, 0.456, 0.406] as const
const deviation = [0.229, 0.224, 0.225] as const

/** Channels less ImageNet's mean over its deviation, in place: what networks read. */
export const normalize = (views: Views): Views => {
  for (let i = 0; i < views.length; i += 3) {
    for (let c = 0; c < 3; c++) views[i + c] = (views[i + c]! - mean[c]!) / deviation[c]!
  }
  return views
}
