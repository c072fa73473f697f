/** What is wrong with a wiring as it is written, before its levels are put in order. */
import type * as Wiring from "./Wiring.ts"
import { WiringError } from "./Wiring.ts"

/** A defect of one level: what was found there and what to change. */
export const defect = (kind: WiringError["kind"], level: string, found: string, remedy: string): WiringError =>
  new WiringError({ kind, level, found, remedy })

const duplicates = (wiring: Wiring.Wiring): WiringError | undefined => {
  const names = new Set<string>()
  const variables = new Map<string, string>()
  for (const level of wiring.levels) {
    if (names.has(level.name)) {
      const remedy = "a modified copy is another level: modify it once and use that value in both places, or rename one"
      return defect("DuplicateLevel", level.name, "two different levels have this name", remedy)
    }
    names.add(level.name)
    const other = variables.get(level.variable)
    if (other !== undefined) {
      const found = `it minimizes '${level.variable}', which '${other}' minimizes too`
      return defect("DuplicateVariable", level.name, found, "give each level its own variable")
    }
    variables.set(level.variable, level.name)
  }
  return undefined
}

/** Buffers belong to one level, which alone moves them: whatever else owns or is given their name is a defect. */
const misused = (wiring: Wiring.Wiring): WiringError | undefined => {
  const minimized = new Set(wiring.levels.map((level) => level.variable))
  const carriers = new Map<string, string>()
  for (const { buffers, name } of wiring.levels) {
    if (buffers === undefined) continue
    const other = carriers.get(buffers)
    if (other !== undefined) {
      return defect("Buffers", name, `its buffers '${buffers}' are also those of '${other}'`, "give each level its own")
    }
    carriers.set(buffers, name)
    if (minimized.has(buffers)) {
      const remedy = "what a level carries is not minimized: use a variable of its own"
      return defect("Buffers", name, `its buffers '${buffers}' are minimized by a level`, remedy)
    }
    if (wiring.fixed.includes(buffers)) {
      const remedy = "drop Level.fix: Level.freeze holds a level and its buffers"
      return defect("Buffers", name, `its buffers '${buffers}' are also held constant`, remedy)
    }
  }
  for (const level of wiring.levels) {
    const given = level.given.find((variable) => carriers.has(variable))
    if (given !== undefined) {
      const found = `it is given '${given}', the buffers of '${carriers.get(given)}'`
      return defect(
        "Buffers",
        level.name,
        found,
        "buffers are read by their own level and by those that have it upstream"
      )
    }
  }
  return undefined
}

/** Estimators that go by a level's last updates need them to be made, in the same tick, before what differentiates them. */
const untimely = (level: Wiring.LevelWiring, { simultaneous, upperFirst }: Wiring.Wiring): WiringError | undefined => {
  const { estimator } = level
  if (upperFirst === true && level.restart) {
    const found = "it starts again from its initial value before the levels above take their turn in the same tick"
    return defect("Schedule", level.name, found, "drop Level.restart or Problem.upperFirst")
  }
  if (estimator === null || !(simultaneous || upperFirst === true)) return undefined
  const [how, drop] = simultaneous
    ? ["the levels update simultaneously from one snapshot", "Problem.simultaneous"]
    : ["the levels above update first", "Problem.upperFirst"]
  const refuse = (found: string, remedy: string) =>
    defect("Schedule", level.name, `${found}, but ${how}`, `${remedy}, or drop ${drop}`)
  if (estimator.preconditioned === true)
    return refuse(`'${estimator.name}' uses its last update`, "use a solver without preconditioner")
  if (estimator.kind === "forward")
    return refuse(`'${estimator.name}' is carried through its updates`, "use an implicit estimator")
  if (estimator.kind === "unrolled") return refuse("it is unrolled through past updates", "use an implicit estimator")
  if (upperFirst === true && estimator.atUpdate === true)
    return refuse("it is to be differentiated where its last update was made from", "leave out at")
  return undefined
}

const wholeNumbers = (level: Wiring.LevelWiring, wiring: Wiring.Wiring): WiringError | undefined => {
  const least = { unroll: 1, repeat: 1, warmup: 0, freeze: 0, accumulate: 1 } as const
  for (const [key, minimum] of Object.entries(least) as ReadonlyArray<[keyof typeof least, number]>) {
    const value = level[key] ?? null
    if (value !== null && !(Number.isInteger(value) && value >= minimum)) {
      return defect("Schedule", level.name, `${key} is ${value}`, `give a whole number of at least ${minimum}`)
    }
  }
  const { estimator } = level
  if (wiring.simultaneous && level.repeat > 1) {
    const found = `it repeats ${level.repeat} updates on a turn, but the levels update simultaneously from one snapshot`
    return defect("Schedule", level.name, found, "drop Level.repeat or Problem.simultaneous")
  }
  const late = untimely(level, wiring)
  if (late !== undefined) return late
  if (
    level.precision?.startsWith("float16") === true &&
    (estimator?.kind === "unrolled" || estimator?.kind === "forward" || estimator?.preconditioned)
  ) {
    const found = `'${estimator.name}' uses its last updates, but in ${level.precision} some are skipped`
    return defect(
      "Precision",
      level.name,
      found,
      "use Precision.bfloat16, or an estimator that looks at no past update"
    )
  }
  if (estimator?.kind === "unrolled") {
    if (level.restart && estimator.steps > level.unroll * level.repeat) {
      const found = `it is unrolled through ${estimator.steps} updates but restarts after ${level.unroll * level.repeat}`
      return defect("Schedule", level.name, found, "unroll at most the updates of one round")
    }
  }
  return undefined
}

const namesKnown = (wiring: Wiring.Wiring): WiringError | undefined => {
  const names = new Set(wiring.levels.map((l) => l.name))
  const variables = new Set([...wiring.levels.map((l) => l.variable), ...wiring.fixed])
  if (!names.has(wiring.top)) {
    return defect(
      "UnknownLevel",
      wiring.top,
      "it is named as the top, but there is no such level",
      `levels are ${[...names].join(", ")}`
    )
  }
  for (const level of wiring.levels) {
    const bad = wholeNumbers(level, wiring)
    if (bad !== undefined) return bad
    const missing = level.upstream.find((name) => !names.has(name))
    if (missing !== undefined) {
      return defect(
        "UnknownLevel",
        level.name,
        `it reads '${missing}', which is no level`,
        `levels are ${[...names].join(", ")}`
      )
    }
    const unknown = level.given.find((name) => !variables.has(name))
    if (unknown !== undefined) {
      const remedy = "minimize it in a level above, or hold it constant with Level.fix"
      return defect(
        "UnknownVariable",
        level.name,
        `it is given '${unknown}', which no level minimizes and nothing fixes`,
        remedy
      )
    }
    const repeated = (name: string, at: number, all: ReadonlyArray<string>) => all.indexOf(name) !== at
    const twice = level.upstream.find(repeated) ?? level.given.find(repeated)
    if (twice !== undefined) {
      return defect("ReadTwice", level.name, `it reads '${twice}' twice`, "list it once")
    }
    if (level.given.includes(level.variable)) {
      return defect("OwnGiven", level.name, `it is given its own variable '${level.variable}'`, "drop it from given")
    }
    if (wiring.fixed.includes(level.variable)) {
      const found = `it minimizes '${level.variable}', which is also held constant`
      return defect("FixedAndMinimized", level.name, found, "drop Level.fix or the level")
    }
  }
  return undefined
}

/** The first defect that a wiring has as it is written. */
export const first = (wiring: Wiring.Wiring): WiringError | undefined =>
  duplicates(wiring) ?? misused(wiring) ?? namesKnown(wiring)
