/** A sweep: one program with many settings and seeds, as a value. Its points are known before anything runs. */
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { whole } from "../../dsl/errors/Numbers.ts"
import * as Seed from "../../dsl/values/Seed.ts"

const TypeId = "~tapweight/runs/Sweep"

/** Settings by dotted path. */
export type Settings = { readonly [path: string]: Schema.Json }

/** A setting that is drawn. */
export interface Draw {
  readonly of: (u: number) => Schema.Json
}

/** Settings of the points, before seeds. */
export type Space =
  | { readonly _tag: "Grid"; readonly values: { readonly [path: string]: ReadonlyArray<Schema.Json> } }
  | {
      readonly _tag: "Random"
      readonly n: number
      readonly seed: number
      readonly space: { readonly [path: string]: Draw }
    }

/** One program over a space of settings, each with every seed. */
export interface Sweep {
  readonly [TypeId]: typeof TypeId
  /** Up to 64 of a-z, 0-9 and '-': names its folder. */
  readonly name: string
  /** A built-in's name, or a file: its path from the sweep's own file where it begins with a point. */
  readonly program: string
  readonly space: Space
  readonly seeds: ReadonlyArray<number>
  readonly exclude: (settings: Settings) => boolean
}

/** One run of a sweep. */
export interface Point {
  readonly settings: Settings
  readonly seed: number
}

/** A distinct refusal, since a sweep is made of plain constructors. */
const refuse = (reason: string): never => {
  throw new RangeError(`Sweep: ${reason}`)
}

/** Seeds 0 … n - 1, or those from `from` on. */
export const seeds = (n: number, from = 0): ReadonlyArray<number> => {
  whole("Sweep.seeds: n", n, 1)
  return Array.from({ length: n }, (_, i) => from + i)
}

/** Uniform between two numbers. */
export const uniform = (low: number, high: number): Draw =>
  low < high
    ? { of: (u) => low + u * (high - low) }
    : refuse(`uniform(${low}, ${high}): the first is to be the smaller`)

/** Uniform in the logarithm, between two numbers above zero. */
export const logUniform = (low: number, high: number): Draw =>
  low > 0 && low < high
    ? { of: (u) => low * (high / low) ** u }
    : refuse(`logUniform(${low}, ${high}): both are above zero, the first the smaller`)

/** One of these, each as likely. */
export const choice = (...values: ReadonlyArray<Schema.Json>): Draw =>
  values.length > 0 ? { of: (u) => values[Math.floor(u * values.length)]! } : refuse("choice(): of nothing")

/**
 * A sweep over a grid, or over settings drawn from a space: `n` draws, each a function of (seed, number of the draw, setting), so
 * that more draws leave the first ones as they were.
 *
 * ```ts
 * const sweep = Sweep.make({ name: "rates", program: "./program.ts", grid: { rate: [0.1, 0.01] }, seeds: Sweep.seeds(3) })
 * Sweep.points(sweep).length // => 6
 * ```
 */
export const make = (spec: {
  readonly name: string
  readonly program: string
  readonly grid?: { readonly [path: string]: ReadonlyArray<Schema.Json> }
  readonly random?: { readonly n: number; readonly seed?: number; readonly space: { readonly [path: string]: Draw } }
  readonly seeds: ReadonlyArray<number>
  readonly exclude?: (settings: Settings) => boolean
}): Sweep => {
  const { exclude = () => false, grid, name, program, random } = spec
  if (!/^[a-z0-9-]{1,64}$/.test(name)) return refuse(`name '${name}': up to 64 of a-z, 0-9 and '-'`)
  if (grid !== undefined && random !== undefined) return refuse("a grid and random draws: give one of them")
  if (spec.seeds.length === 0) return refuse("no seeds: give at least one")
  if (new Set(spec.seeds).size < spec.seeds.length) return refuse("a seed twice")
  for (const seed of spec.seeds) whole("Sweep: a seed", seed, -Infinity)
  if (random !== undefined) whole("Sweep: random.n", random.n, 1)
  if (Object.hasOwn(grid ?? random?.space ?? {}, "seed"))
    return refuse("'seed' is no setting of a sweep, whose runs have its seeds: give them as seeds")
  const empty = Object.entries(grid ?? {}).find(([, values]) => values.length === 0)
  if (empty !== undefined) return refuse(`no values of '${empty[0]}'`)
  const space: Space =
    random === undefined
      ? { _tag: "Grid", values: grid ?? {} }
      : { _tag: "Random", n: random.n, seed: random.seed ?? 0, space: random.space }
  return { [TypeId]: TypeId, name, program, space, seeds: spec.seeds, exclude }
}

/** Whether a value is a sweep. */
export const isSweep = (value: unknown): value is Sweep => Predicate.hasProperty(value, TypeId)

/** The settings of a sweep's points, before seeds, in order. */
export const settings = ({ exclude, space }: Sweep): ReadonlyArray<Settings> => {
  const all =
    space._tag === "Grid"
      ? Object.entries(space.values).reduce<ReadonlyArray<Settings>>(
          (points, [path, values]) => points.flatMap((point) => values.map((value) => ({ ...point, [path]: value }))),
          [{}]
        )
      : Array.from({ length: space.n }, (_, i) =>
          Object.fromEntries(
            Object.entries(space.space).map(([path, draw]) => {
              const seed = Seed.fold(Seed.fold(Seed.make(space.seed), i), path)
              return [path, draw.of(Seed.uniform(seed, 1)[0]!)]
            })
          )
        )
  return all.filter((point) => !exclude(point))
}

/** The points of a sweep: all settings with the first seed, then with the next. */
export const points = (sweep: Sweep): ReadonlyArray<Point> =>
  sweep.seeds.flatMap((seed) => settings(sweep).map((point) => ({ settings: point, seed })))

/** A setting as `-s` takes it. */
export const override = ([path, value]: readonly [string, Schema.Json]): string =>
  `${path}=${typeof value === "string" ? value : JSON.stringify(value)}`
