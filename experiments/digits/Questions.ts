/** A picture of what is asked: digits, and each of them as every objective sees it. */
import { Seed } from "tapweight"
import * as Digits from "./Digits.ts"
import * as Pretext from "./Pretext.ts"

const columns = 10
const cell = 44
const gap = 6
const margin = 128

/** Ink in eight shades, as rectangles: a path for each shade, along each row of pixels. */
const drawn = (ink: Float32Array, from: number, x: number, y: number): string => {
  const size = cell / Digits.side
  const shades = 8
  const paths = Array.from({ length: shades }, () => "")
  for (let row = 0; row < Digits.side; row++) {
    for (let column = 0; column < Digits.side; column++) {
      const shade = Math.min(shades - 1, Math.floor(ink[from + row * Digits.side + column]! * shades))
      const at = `M${(x + column * size).toFixed(1)} ${(y + row * size).toFixed(1)}`
      if (shade > 0) paths[shade] += `${at}h${size.toFixed(1)}v${size.toFixed(1)}h-${size.toFixed(1)}z`
    }
  }
  return paths
    .map((d, shade) =>
      d === "" ? "" : `<path d="${d}" fill="#000" fill-opacity="${(shade / (shades - 1)).toFixed(2)}"/>`
    )
    .join("")
}

/** One digit of each kind, and below it the pictures that objectives read, as an SVG. */
export const chart = (pictures: Digits.Pictures, changes: Pretext.Changes): string => {
  const firsts = Array.from({ length: columns }, (_, digit) => pictures.labels.indexOf(digit))
  const { ink } = Digits.rows(pictures, firsts)
  const asked = Pretext.ask(ink, changes, Seed.fold(Seed.make(0), "questions"))
  const rows: ReadonlyArray<readonly [string, Float32Array]> = [
    ["digits", ink],
    ["contrast: one view", asked.first],
    ["and another", asked.second],
    ["rotation", asked.turned],
    ["jigsaw", asked.shuffled],
    ["fill", asked.covered]
  ]
  const width = margin + columns * (cell + gap)
  const height = 24 + rows.length * (cell + gap) + 24
  const lines = rows.map(([name, ink], r) => {
    const y = 24 + r * (cell + gap)
    const label = `<text x="8" y="${y + cell / 2 + 4}">${name}</text>`
    const cells = Array.from({ length: columns }, (_, c) => {
      const x = margin + c * (cell + gap)
      return `<rect x="${x}" y="${y}" width="${cell}" height="${cell}" fill="#f2f2f2"/>${drawn(ink, c * Digits.pixels, x, y)}`
    })
    return label + cells.join("")
  })
  const coins = `<text x="8" y="${height - 8}">coin</text>${Array.from(asked.coin, (side, c) => `<text x="${margin + c * (cell + gap) + cell / 2}" y="${height - 8}" text-anchor="middle">${side === 0 ? "heads" : "tails"}</text>`).join("")}`
  const title = "What unlabelled digits are asked: each column is one digit"
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" font-family="system-ui, Arial, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="8" y="16" font-weight="bold">${title}</text>`,
    ...lines,
    coins,
    "</svg>"
  ].join("\n")
}
