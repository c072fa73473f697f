/** The part of SVG that RDKit draws molecules with: a white ground, stroked polylines and filled paths, all opaque. */

/** A picture that RDKit does not draw: this file and RDKit's version do not go together. */
export class SvgError extends Error {}

/** A shape in drawing order. `points` holds x and y in turn; contours end where `ends` says (in points, not numbers). */
export interface Shape {
  readonly points: ReadonlyArray<number>
  readonly ends: ReadonlyArray<number>
  /** The colour of its inside, 0xRRGGBB. */
  readonly fill: number | undefined
  /** The colour of its outline, 0xRRGGBB. */
  readonly stroke: number | undefined
  /** The width of its outline in user units. */
  readonly width: number
}

/** Steps that a curve is cut into: glyphs are a few pixels high. */
const curveSteps = 4

const attribute = (tag: string, name: string): string | undefined => {
  const at = tag.indexOf(` ${name}='`)
  return at < 0 ? undefined : tag.slice(at + name.length + 3, tag.indexOf("'", at + name.length + 3))
}

const colourAfter = (tag: string, what: string): number | undefined => {
  const at = tag.indexOf(what)
  return at < 0 ? undefined : Number.parseInt(tag.slice(at + what.length, at + what.length + 6), 16)
}

/** Commands and numbers of a path in turn: commands as letters, numbers as numbers. */
const path = (text: string): Pick<Shape, "points" | "ends"> => {
  const points: Array<number> = []
  const ends: Array<number> = []
  const numbers: Array<number> = []
  let command = ""
  const finish = (): void => {
    if (points.length > 2 * (ends.at(-1) ?? 0)) ends.push(points.length / 2)
  }
  const curve = (control: ReadonlyArray<number>): void => {
    const [x, y] = [points.at(-2)!, points.at(-1)!]
    for (let step = 1; step <= curveSteps; step++) {
      const t = step / curveSteps
      const u = 1 - t
      for (const [axis, from] of [x, y].entries()) {
        points.push(
          control.length === 4
            ? u * u * from + 2 * u * t * control[axis]! + t * t * control[2 + axis]!
            : u * u * u * from +
                3 * u * t * (u * control[axis]! + t * control[2 + axis]!) +
                t * t * t * control[4 + axis]!
        )
      }
    }
  }
  const wanted: { readonly [command: string]: number } = { M: 2, L: 2, Q: 4, C: 6 }
  for (let i = 0; i < text.length;) {
    const code = text.charCodeAt(i)
    if (code === 90) {
      // Z: back to where this contour began.
      const first = 2 * (ends.at(-1) ?? 0)
      points.push(points[first]!, points[first + 1]!)
      i++
    } else if (code >= 65) {
      command = text[i++]!
      if (command === "M") finish()
      if (wanted[command] === undefined) throw new SvgError(`Svg: path command '${command}' is not among M L Q C Z`)
    } else if (code === 32 || code === 44 || code === 10) {
      i++
    } else {
      let end = i + 1
      while (end < text.length && (text.charCodeAt(end) === 46 || (text.charCodeAt(end) ^ 48) < 10)) end++
      numbers.push(Number(text.slice(i, end)))
      i = end
      if (numbers.length === wanted[command]) {
        if (numbers.length === 2) points.push(numbers[0]!, numbers[1]!)
        else curve(numbers)
        numbers.length = 0
      }
    }
  }
  finish()
  return { points, ends }
}

/** The shapes of a picture, its white ground left out. Throws an {@link SvgError} on what RDKit does not draw with. */
export const shapes = (svg: string): ReadonlyArray<Shape> => {
  const found: Array<Shape> = []
  for (let at = svg.indexOf("<path"); at >= 0; at = svg.indexOf("<path", at + 5)) {
    const tag = svg.slice(at, svg.indexOf(">", at))
    const d = attribute(tag, "d")
    if (d === undefined) throw new SvgError("Svg: a path without d")
    const width = tag.indexOf("stroke-width:")
    found.push({
      ...path(d),
      fill: colourAfter(tag, "fill:#") ?? colourAfter(tag, "fill='#"),
      stroke: colourAfter(tag, "stroke:#"),
      width: width < 0 ? 0 : Number.parseFloat(tag.slice(width + 13))
    })
  }
  return found
}
