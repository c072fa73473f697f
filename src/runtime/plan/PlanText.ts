import type { Plan, PlannedLevel } from "./Plan.ts"
import { firstTurn } from "./Plan.ts"

const when = (level: PlannedLevel): string => {
  const parts = [level.period === 1 ? "every tick" : `every ${level.period} ticks`]
  if (firstTurn(level) > level.period) parts.push(`from tick ${firstTurn(level)}`)
  if (level.freeze !== null) parts.push(`until tick ${level.freeze}`)
  if (level.repeat > 1) parts.push(`${level.repeat} updates a turn`)
  if (level.accumulate !== undefined) parts.push(`${level.accumulate} micro-batches an update`)
  if (level.restart) parts.push(`restarting every ${level.unroll} ${level.unroll === 1 ? "turn" : "turns"}`)
  return parts.join(", ")
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ")}`.trimEnd())
}

const evaluations = (cost: Plan["cost"][number]): string => {
  const dense = Object.entries(cost.evaluationsPerElement).map(([name, n]) => ` + ${n} × size of '${name}'`)
  return `${Number(cost.evaluations.toFixed(3))}${dense.join("")}`
}

/** On which of a level's micro-batches a hop through it is made. */
const seen = ({ accumulate, estimator }: PlannedLevel): string =>
  accumulate === undefined
    ? ""
    : ["unrolled", "forward"].includes(estimator?.kind ?? "")
      ? "on every micro-batch"
      : "on the last micro-batch"

/** Where levels compute in fewer bits: what is promoted. */
const rounding = ({ levels, sweeps }: Plan): ReadonlyArray<string> => {
  const fewer = levels.flatMap(({ name, precision }) => (precision === undefined ? [] : [name]))
  if (fewer.length === 0) return []
  const solved = [...new Set(sweeps.flatMap(({ hops }) => hops.map((hop) => hop.level)))].filter((l) =>
    fewer.includes(l)
  )
  const promoted = solved.length === 0 ? "" : `; so is every evaluation of a hypergradient at ${solved.join(", ")}`
  return [
    `rounded: losses and gradients of ${fewer.join(", ")} for their own updates; ` +
      `weights, optimizers' states, sums and normalisations are float32${promoted}`
  ]
}

const order = ({ simultaneous, upperFirst }: Plan): string =>
  simultaneous
    ? "updated together from one snapshot"
    : `updated in this order${upperFirst === true ? ", last first" : ""}`

/** What is made at a level for the one that reads it, by the kind of its estimator. */
const response = {
  implicit: "solve at",
  unrolled: "back through",
  forward: "carried forward at",
  detached: "nothing at"
} as const

/** What hops hand on, of which these solve. */
const handed = (solves: ReadonlyArray<boolean>): string =>
  solves.every(Boolean)
    ? "each hop solves H u = v and hands −∂⟨∇L, u⟩ on"
    : solves.some(Boolean)
      ? "a solve is of H u = v and hands −∂⟨∇L, u⟩ on; other hops hand on what came of updates"
      : "each hop hands on what came of updates"

/** A plan for people: order and firing, sweeps, cost. */
export const text = (plan: Plan): string => {
  const levels = plan.levels.map((level) => [
    level.name,
    `minimizes ${level.variable}${level.buffers === undefined ? "" : `, carries ${level.buffers}`}`,
    level.upstream.length === 0 ? "" : `on ${level.upstream.join(", ")}`,
    level.given.length === 0 ? "" : `given ${level.given.join(", ")}`,
    when(level),
    [
      level.optimizer,
      ...(level.precision === undefined ? [] : [`in ${level.precision}`]),
      ...(level.variance === undefined ? [] : [`by ${level.variance.name}`])
    ].join(" "),
    `data ${level.data}${level.terms === undefined ? "" : ` of ${level.terms} batches`}`
  ])
  const estimators = new Map(
    plan.levels.map((level) => [level.name, [level.estimator?.name ?? "", seen(level)].join(" ").trimEnd()])
  )
  const kindOf = (name: string) => plan.levels.find((level) => level.name === name)?.estimator?.kind ?? "implicit"
  const sweeps = plan.sweeps
    .filter((sweep) => sweep.hops.length > 0)
    .flatMap((sweep) => [
      `  ${sweep.level}`,
      ...table(
        sweep.hops.map((hop) => [
          `  ${response[kindOf(hop.level)]} ${hop.level}`,
          estimators.get(hop.level)!,
          `→ ${hop.into.join(", ")}`,
          hop.moving !== undefined
            ? `while ${hop.moving.join(", ")} ${hop.moving.length === 1 ? "follows" : "follow"}`
            : hop.shared === true
              ? `begins with the evaluation of ${hop.level}'s own update`
              : ""
        ])
      )
    ])
  const solves = plan.sweeps.flatMap(({ hops }) => hops.map((hop) => kindOf(hop.level) === "implicit"))
  const cost = plan.cost.map((c) => [c.level, evaluations(c), `${Number(c.perTick.toFixed(3))} a tick`])
  return [
    `levels (${order(plan)})`,
    ...table(levels),
    ...(plan.fixed.length > 0 ? [`held constant: ${plan.fixed.join(", ")}`] : []),
    ...rounding(plan),
    ...(sweeps.length > 0 ? [`sweeps (${handed(solves)})`, ...sweeps] : ["sweeps: none"]),
    "cost in gradient evaluations (a turn, on average a tick)",
    ...table(cost)
  ].join("\n")
}

/** A plan as a Mermaid flowchart: solid edges are solutions read from below, dashed ones are variables given from above. */
export const mermaid = (plan: Plan): string => {
  const id = new Map(plan.levels.map((level, i) => [level.name, `l${i}`]))
  const owner = new Map(plan.levels.map((level) => [level.variable, level.name]))
  const label = (s: string) => s.replaceAll('"', "#quot;")
  const variable = new Map(plan.levels.map((level) => [level.name, level.variable]))
  const carried = ({ buffers }: PlannedLevel) => (buffers === undefined ? "" : `<br/>carries ${label(buffers)}`)
  return [
    "flowchart LR",
    ...plan.levels.map(
      (level) => `  ${id.get(level.name)}["${label(level.name)}<br/>min ${label(level.variable)}${carried(level)}"]`
    ),
    ...plan.fixed.map((name, i) => `  f${i}(["${label(name)} (constant)"])`),
    ...plan.levels.flatMap((level) => [
      ...level.upstream.map(
        (below) => `  ${id.get(below)} -->|"${label(variable.get(below)!)}*"| ${id.get(level.name)}`
      ),
      ...level.given.map((name) => {
        const from = owner.has(name) ? id.get(owner.get(name)!) : `f${plan.fixed.indexOf(name)}`
        return `  ${from} -.->|"${label(name)}"| ${id.get(level.name)}`
      })
    ])
  ].join("\n")
}
