/** The tables of a comparison, in Markdown, from what its rounds measured. */
import type { Clocks, Round, Side } from "./Side.ts"

/** What is known of one side on one workload. */
export interface Measured {
  readonly rounds: ReadonlyArray<Round>
  /** Why there are no more of them. */
  readonly failure?: string
}

/** How many times as long as the best of our ways each peer should take. */
export type Targets = { readonly [peer: string]: number }

/** One workload. */
export interface Row {
  readonly name: string
  readonly title: string
  readonly targets: Targets
  /** How far apart losses of the first steps may lie and be called the same computation. */
  readonly tolerance: number
  readonly sides: { readonly [name: string]: Measured }
}

/** How much longer JAX should take to start, whatever the workload. */
const startTarget = 2

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Nothing said is a dash. */
const cell = (value: number | undefined, digits: number): string =>
  value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(digits)

const over = (rounds: ReadonlyArray<Round> | undefined, of: (round: Round) => number): number | undefined =>
  rounds === undefined || rounds.length === 0 ? undefined : median(rounds.map(of))

/** The largest relative difference between the losses of two rounds. */
export const apart = (a: Round, b: Round): number =>
  Math.max(...a.losses.flat().map((x, i) => Math.abs(x - b.losses.flat()[i]!) / Math.max(Math.abs(x), 1e-6)))

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map((_, i) => (i === 0 ? "---" : "---:")), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

/** What the tables say of one workload, as numbers: milliseconds, MiB, and peers' time over that of the best of our ways. */
export const summary = (row: Row, sides: ReadonlyArray<Side>, clock: keyof Clocks) => {
  const of = (name: string) => row.sides[name]?.rounds
  const each = Object.fromEntries(
    sides.map(({ name }) => [
      name,
      {
        step: over(of(name), (round) => round.step[clock]),
        // Compilers may keep what they compiled: the first round found nothing, later ones may have.
        start: of(name)?.[0]?.start[clock],
        startAgain: over(of(name)?.slice(1), (round) => round.start[clock]),
        peak: over(of(name), (round) => round.peak)
      }
    ])
  )
  const own = sides.flatMap(({ name, ours }) => (ours && each[name]!.step !== undefined ? [name] : []))
  const best = own.toSorted((a, b) => each[a]!.step! - each[b]!.step!)[0]
  const reference = best === undefined ? undefined : of(best)![0]
  const ratio = (name: string, what: "step" | "start" | "peak") =>
    best === undefined ? undefined : (each[name]?.[what] ?? NaN) / each[best]![what]!
  return {
    best,
    each,
    ratios: Object.fromEntries(sides.filter(({ ours }) => !ours).map(({ name }) => [name, ratio(name, "step")])),
    start: ratio("jax", "start"),
    memory: ratio("jax", "peak"),
    apart: Object.fromEntries(
      sides.flatMap(({ name }) => {
        const first = of(name)?.[0]
        return first === undefined || reference === undefined ? [] : [[name, apart(reference, first)]]
      })
    )
  }
}

const reached = (value: number | undefined, target: number | undefined): string => {
  if (target === undefined) return cell(value, 2)
  if (value === undefined || !Number.isFinite(value)) return `– (≥ ${target})`
  return `${value.toFixed(2)} (≥ ${target}: ${value >= target ? "reached" : "not reached"})`
}

/** All of it, as text. */
export const text = (rows: ReadonlyArray<Row>, sides: ReadonlyArray<Side>, clock: keyof Clocks): string => {
  const found = rows.map((row) => ({ row, ...summary(row, sides, clock) }))
  const names = sides.map(({ name }) => name)
  const peers = sides.filter(({ ours }) => !ours).map(({ name }) => name)
  const digits = (value: number | undefined) => (value !== undefined && value < 10 ? 3 : value! < 100 ? 1 : 0)
  const steps = table(
    ["workload", ...names],
    found.map(({ each, row }) => [
      row.name,
      ...names.map((name) => cell(each[name]!.step, digits(each[name]!.step ?? 0)))
    ])
  )
  const ratios = table(
    ["workload", "our best", ...peers, "JAX's start", "JAX's memory"],
    found.map(({ best, memory, ratios, row, start }) => [
      row.name,
      best ?? "–",
      ...peers.map((peer) => reached(ratios[peer], row.targets[peer])),
      reached(start, startTarget),
      reached(memory, 1)
    ])
  )
  const starts = table(
    ["workload", ...names],
    found.map(({ each, row }) => [
      row.name,
      ...names.map((name) => {
        const { start, startAgain } = each[name]!
        return startAgain === undefined ? cell(start, 0) : `${cell(start, 0)}, ${cell(startAgain, 0)}`
      })
    ])
  )
  const peaks = table(
    ["workload", ...names],
    found.map(({ each, row }) => [row.name, ...names.map((name) => cell(each[name]!.peak, 0))])
  )
  const distances = (apart: { readonly [name: string]: number }, tolerance: number): string =>
    Object.entries(apart)
      .map(
        ([name, far]) => `${name} ${far.toExponential(0)}${far > tolerance ? " (**not the same computation**)" : ""}`
      )
      .join(", ")
  const notes = found.flatMap(({ apart, best, row }) => [
    `- ${row.name}: ${row.title}.${best === undefined ? "" : ` Losses of the first steps apart from those of ${best}: ${distances(apart, row.tolerance)}.`}`,
    ...names.flatMap((name) => {
      const failure = row.sides[name]?.failure
      return failure === undefined ? [] : [`- ${row.name}, ${name}: ${failure}`]
    })
  ])
  const unit = clock === "wall" ? "Milliseconds" : "Milliseconds of processors' work"
  return [
    `${unit} a step, medians of rounds that take turns:`,
    steps,
    "Peers over the best of ours, a step, start and peak memory:",
    ratios,
    `${unit} until the first step is done: the first round's, and the median of later ones, which may find what was compiled:`,
    starts,
    "Peak memory of a process, MiB:",
    peaks,
    notes.join("\n")
  ].join("\n\n")
}
