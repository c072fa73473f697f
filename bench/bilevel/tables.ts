/** What was measured, as tables in Markdown. */
import type { Iterate, Measured, Outcome } from "./sides.ts"
import { cases } from "./problems.ts"
import { solvers } from "./solvers.ts"

const relative = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [apart, size] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    apart += (a[i]! - b[i]!) ** 2
    size += b[i]! ** 2
  }
  return Math.sqrt(apart / size)
}

/** The largest relative distance of iterates, over all that were looked at. */
const apart = (ours: ReadonlyArray<Iterate>, theirs: ReadonlyArray<Iterate>): number =>
  Math.max(...theirs.flatMap(({ x, z }, i) => [relative(ours[i]!.z, z), relative(ours[i]!.x, x)]))

const short = (value: number): string =>
  !Number.isFinite(value)
    ? "–"
    : value !== 0 && Math.abs(value) < 1e-3
      ? value.toExponential(1)
      : String(Number(value.toPrecision(3)))

const sorted = (values: ReadonlyArray<number>) => values.filter(Number.isFinite).sort((a, b) => a - b)

/** Medians over seeds at a quarter, a half and all of the ticks; then the least and the largest at the end. */
const curve = (outcomes: ReadonlyArray<Outcome>): string => {
  const at = [0, 1, 2].map((i) => sorted(outcomes.map(({ measures }) => measures[i]!)))
  if (at[2]!.length === 0) return "–"
  const medians = at.map((values) => short(values[Math.floor(values.length / 2)] ?? Number.NaN)).join(", ")
  return `${medians} (${short(at[2]![0]!)} to ${short(at[2]!.at(-1)!)})`
}

const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const table = (problem: string, all: ReadonlyArray<Measured>): string => {
  const { measured, ratio, size, step, ticks } = cases[problem]!
  const of = (side: "ours" | "theirs", solver: string, isFull: boolean): ReadonlyArray<Outcome> =>
    all.flatMap((each) => each[side].filter((one) => one.solver === solver && one.isFull === isFull))
  const names = [...new Set(all[0]!.ours.map(({ solver }) => solver))]
  const distances = (name: string, isFull: boolean): string => {
    const [own, other] = [of("ours", name, isFull), of("theirs", name, isFull)]
    if (own[0] === undefined) return ""
    return short(Math.max(...own.map(({ iterates }, i) => apart(iterates, other[i]!.iterates))))
  }
  const rows = names.map((name) => {
    const [own, other] = [of("ours", name, false), of("theirs", name, false)]
    const ended = (outcomes: ReadonlyArray<Outcome>) => outcomes.map(({ measures }) => measures.at(-1)!)
    const diverged = (outcomes: ReadonlyArray<Outcome>) =>
      String(ended(outcomes).filter((each) => !Number.isFinite(each)).length)
    const least = (outcomes: ReadonlyArray<Outcome>) => Math.min(...outcomes.map(({ milliseconds }) => milliseconds))
    return row([
      name,
      distances(name, true),
      solvers[name]!.onBatches === true ? distances(name, false) : "",
      curve(own),
      curve(other),
      `${diverged(own)}, ${diverged(other)}`,
      short(least(own)),
      short(least(other)),
      short(least(other) / least(own))
    ])
  })
  const heads = [
    "solver",
    "apart, all rows",
    "apart, batches",
    `${measured} at ¼, ½ and all ticks, ours`,
    "theirs",
    "diverged",
    "ms a tick, ours",
    "theirs",
    "theirs / ours"
  ]
  return [
    `## ${problem}`,
    "",
    `${size}; batches of 64, ${ticks} ticks, a step of ${step}, ${1 / ratio === 1 ? "the same" : `${1 / ratio} times that`} above, ${all.length} seeds.`,
    "",
    row(heads),
    row(heads.map(() => "---")),
    ...rows
  ].join("\n")
}

/** A table for each problem. */
export const tables = (all: ReadonlyArray<Measured>): string =>
  [...new Set(all.map(({ problem }) => problem))]
    .map((problem) =>
      table(
        problem,
        all.filter((each) => each.problem === problem)
      )
    )
    .join("\n\n")
