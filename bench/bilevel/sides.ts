/** A problem's runs on both sides: by solver on all rows at once, and on batches. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as tf from "@tensorflow/tfjs-core"
import { CompiledEngine, Dataset, Level, NdArray, Problem, Run, Seed, Var } from "../../src/index.ts"
import { type Batch, type Bilevel, cases } from "./problems.ts"
import { type Settings, type Solver, solvers } from "./solvers.ts"

/** Rows of a batch, and at how many ticks a run is looked at. */
export const [batch, records] = [64, 16]

/** How a run ended: its measure at each record, and how long its ticks took between two of them. */
export interface Outcome {
  readonly solver: string
  readonly isFull: boolean
  readonly iterates: ReadonlyArray<Iterate>
  readonly measures: ReadonlyArray<number>
  /** Milliseconds a tick: the least between two records, the first left out. */
  readonly milliseconds: number
}
export interface Iterate {
  readonly z: ArrayLike<number>
  readonly x: ArrayLike<number>
}
/** One problem and seed. */
export interface Measured {
  readonly problem: string
  readonly seed: number
  readonly ours: ReadonlyArray<Outcome>
  readonly theirs: ReadonlyArray<Outcome>
}

const countOf = (columns: Bilevel["lower"]): number => Object.values(columns)[0]!.shape[0]!

/** Places where batches begin, each once an epoch in an order of its own. */
const startsOf = (seed: number, side: string, count: number, length: number): Int32Array => {
  const terms = Math.floor(count / batch)
  const starts = new Int32Array(length)
  for (let epoch = 0; epoch * terms < length; epoch++) {
    const order = Seed.permutation(Seed.fold(Seed.fold(Seed.make(seed), side), epoch), terms)
    for (let i = 0; i < terms && epoch * terms + i < length; i++) starts[epoch * terms + i] = batch * order[i]!
  }
  return starts
}

/** All rows every time, or the batches that begin at `starts`. */
const dataset = (name: string, columns: Bilevel["lower"], starts: Int32Array | undefined): Dataset.Dataset<Batch> => {
  if (starts === undefined) return Dataset.constant(name, columns) as never
  const terms = Math.floor(countOf(columns) / batch)
  const fields = Object.fromEntries(
    Object.entries(columns).map(([key, { dtype, shape }]) => [key, { dtype, shape: [batch, ...shape.slice(1)] }])
  )
  const slices = Array.from({ length: terms }, (_, term) => ({
    ...Object.fromEntries(
      Object.entries(columns).map(([key, column]) => [
        key,
        NdArray.rows(
          column,
          Int32Array.from({ length: batch }, (_v, i) => term * batch + i)
        )
      ])
    ),
    [Dataset.term]: NdArray.int32([], [term])
  }))
  const open = Effect.succeed((_: Seed.Seed, index: number) =>
    Effect.succeed(slices[starts[index % starts.length]! / batch]!)
  )
  const made = Dataset.make(name, { fields: { ...fields, [Dataset.term]: Dataset.int32([]) }, open } as never)
  return Object.assign(made, { terms }) as never
}

interface Drawn {
  readonly lower: Int32Array
  readonly upper: Int32Array
}

const problemOf = (bilevel: Bilevel, solver: Solver, settings: Settings, drawn: Drawn | undefined) => {
  const z = Var.make("z", () => NdArray.float32([bilevel.z0.length], bilevel.z0))
  const x = Var.make("x", () => NdArray.float32([bilevel.x0.length], bilevel.x0))
  const lower = Level.minimize(z, {
    name: "lower",
    given: [x],
    data: dataset("below", bilevel.lower, drawn?.lower),
    optimizer: solver.lower(settings),
    objective: ({ x, z }, rows) => bilevel.lowerLoss(z as tf.Tensor1D, x as tf.Tensor1D, rows)
  })
  const upper = Level.minimize(x, {
    name: "upper",
    upstream: [lower],
    data: dataset("above", bilevel.upper, drawn?.upper),
    optimizer: solver.upper(settings),
    objective: ({ x, z }, rows) => bilevel.upperLoss(z as tf.Tensor1D, x as tf.Tensor1D, rows)
  })
  return Problem.close(upper).pipe(solver.method(settings))
}

interface Asked {
  readonly name: string
  readonly solver: Solver
  readonly settings: Settings
  readonly isFull: boolean
  readonly every: number
  readonly drawn: Drawn | undefined
}

/** Seeds whose runs are also made on all rows at once: nothing is drawn then, so that each says the same. */
const fullSeeds = 2

/** Runs of a problem and seed: where a solver has no randomness of its own all rows at once, and batches. */
const asked = (problem: string, seed: number, bilevel: Bilevel, names: ReadonlyArray<string>): ReadonlyArray<Asked> => {
  const { fullTicks, ratio, step, ticks } = cases[problem]!
  const [n, m] = [countOf(bilevel.lower), countOf(bilevel.upper)]
  return names.flatMap((name) => {
    const solver = solvers[name]!
    const settings = { step, outer: step / ratio, period: Math.floor((0.5 * (n + m)) / batch) }
    const [lower, upper] = solver.calls
    const drawn = { lower: startsOf(seed, "lower", n, lower * ticks), upper: startsOf(seed, "upper", m, upper * ticks) }
    const on = (isFull: boolean): Asked => ({
      name,
      solver,
      settings,
      isFull,
      every: (isFull ? fullTicks : ticks) / records,
      drawn: isFull ? undefined : drawn
    })
    const isDrawn = solver.random === true || solver.finite === true
    const full = isDrawn || seed >= fullSeeds ? [] : [on(true)]
    return solver.whole === true ? full : [...full, on(false)]
  })
}

const outcome = (
  bilevel: Bilevel,
  one: Asked,
  iterates: ReadonlyArray<Iterate>,
  seconds: ReadonlyArray<number>
): Outcome => ({
  solver: one.name,
  isFull: one.isFull,
  iterates,
  measures: one.isFull ? [] : [3, 7, 15].map((at) => bilevel.measure(iterates[at]!.z, iterates[at]!.x)),
  milliseconds: (1000 * Math.min(...seconds.slice(1))) / one.every
})

/** Our runs. */
export const ours = async (
  problem: string,
  seed: number,
  names: ReadonlyArray<string>
): Promise<ReadonlyArray<Outcome>> => {
  const bilevel = cases[problem]!.make(seed)
  const outcomes: Array<Outcome> = []
  for (const one of asked(problem, seed, bilevel, names)) {
    const iterates: Array<Iterate> = []
    const seconds: Array<number> = []
    let last = performance.now()
    await Run.ticks(problemOf(bilevel, one.solver, one.settings, one.drawn), { ticks: one.every * records, seed })
      .pipe(
        Stream.filter(({ index }) => index % one.every === 0),
        Stream.runForEach((tick) =>
          Effect.gen(function* () {
            seconds.push((performance.now() - last) / 1000)
            const vars = yield* tick.read(["z", "x"])
            iterates.push({ z: vars["z"]!.data, x: vars["x"]!.data })
            last = performance.now()
          })
        ),
        Effect.provide(CompiledEngine.layer()),
        Effect.runPromise
      )
      .catch((error: unknown) => {
        // A run that leaves the numbers has diverged: what it came to counts as no number.
        if (!/Infinity|NaN|not finite/.test(String(error))) throw error
      })
    while (iterates.length < records) iterates.push({ z: [Number.NaN], x: [Number.NaN] })
    outcomes.push(outcome(bilevel, one, iterates, seconds.length > 1 ? seconds : [Number.NaN, Number.NaN]))
  }
  return outcomes
}

const Numbers = Schema.Array(Schema.NullOr(Schema.Number))
const Said = Schema.fromJsonString(
  Schema.Struct({
    jax: Schema.String,
    runs: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        records: Schema.Array(Schema.Struct({ z: Numbers, x: Numbers })),
        seconds: Schema.Array(Schema.Number)
      })
    )
  })
)

/** Batches of an update of theirs that takes none where all rows are its direction. */
const without = (starts: Int32Array, period: number): ReadonlyArray<number> =>
  [...starts].filter((_, i) => i % period !== 0)

/** Their runs, by `run` of a folder that holds all that they need. */
export const theirs = (
  problem: string,
  seed: number,
  names: ReadonlyArray<string>,
  folder: string,
  run: (folder: string) => string
): ReadonlyArray<Outcome> => {
  const bilevel = cases[problem]!.make(seed)
  const all = asked(problem, seed, bilevel, names)
  const written = (file: string, { data, dtype, shape }: NdArray.NdArray) => {
    writeFileSync(join(folder, file), new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    return { file, dtype, shape }
  }
  const columns = (side: "lower" | "upper") =>
    Object.fromEntries(Object.entries(bilevel[side]).map(([key, each]) => [key, written(`${side}.${key}`, each)]))
  const spec = {
    problem,
    lower: columns("lower"),
    upper: columns("upper"),
    z0: written("z0", NdArray.float32([bilevel.z0.length], bilevel.z0)),
    x0: written("x0", NdArray.float32([bilevel.x0.length], bilevel.x0)),
    runs: all.map(({ drawn, every, isFull, name, settings, solver }) => ({
      name,
      module: name.toLowerCase(),
      parameters: { step_size: settings.step, outer_ratio: settings.step / settings.outer, ...solver.theirs },
      batch: isFull ? null : batch,
      every,
      records,
      lowerStarts:
        drawn === undefined ? [0] : name === "SRBA" ? without(drawn.lower, settings.period) : [...drawn.lower],
      upperStarts:
        drawn === undefined ? [0] : name === "SRBA" ? without(drawn.upper, settings.period) : [...drawn.upper],
      mended: isFull && solver.mended !== undefined
    }))
  }
  writeFileSync(join(folder, "spec.json"), JSON.stringify(spec))
  const { runs } = Schema.decodeUnknownSync(Said)(run(folder))
  const read = (values: ReadonlyArray<number | null>) => Float64Array.from(values, (each) => each ?? Number.NaN)
  return runs.map(({ records, seconds }, i) =>
    outcome(
      bilevel,
      all[i]!,
      records.map(({ x, z }) => ({ z: read(z), x: read(x) })),
      seconds
    )
  )
}
