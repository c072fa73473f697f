import * as tf from "@tensorflow/tfjs-core"
import { branchesOf, remembers } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import type { Problem } from "../../dsl/Problem.ts"
import * as Seed from "../../dsl/values/Seed.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import type { Plan } from "../plan/Plan.ts"
import type { Sweep } from "../plan/Sweep.ts"
import { readerOf } from "../plan/Window.ts"
import * as Wiring from "../plan/Wiring.ts"
import { inLevel, StepFailure } from "./Failure.ts"
import * as LossScale from "./LossScale.ts"
import { moving } from "./Stationary.ts"
import * as Memory from "./Memory.ts"

/** Values by variable name, buffers among them. */
export type Vars = { readonly [variable: string]: Tree.Tree }
/** The same on the host. */
export type HostVars<V = Vars> = { readonly [Name in keyof V]: Tree.Host<V[Name]> }

/** One past update of a level: what it was made from. */
export type Past = {
  readonly own: Tree.Tree
  readonly gradient: Tree.Tree
  readonly optimizer: Tree.Tree
  readonly clock: tf.Scalar
  /** What the gradient was taken at beside `own`; empty where only the optimizer is differentiated. */
  readonly reads: Vars
}

/** The derivative of a level's variable and of its optimizer's state by one element of a variable above; of branches, what they are there. */
export type Tangent = {
  readonly own: Tree.Tree
  readonly optimizer: Tree.Tree
  /** Of a branch whose direction is drawn: the direction, of the variable above. */
  readonly along?: Tree.Tree
}

/** Everything a run carries from tick to tick. A checkpoint is this tree, the tick and the seed. */
export type State = {
  readonly vars: Vars
  /** Optimizer state by level. */
  readonly optimizer: { readonly [level: string]: Tree.Tree }
  /** Updates made by each level since it last started: int32 scalars. */
  readonly clock: { readonly [level: string]: tf.Scalar }
  /** Solver state by sweeping level, then by the level it solves at. */
  readonly solver: { readonly [level: string]: { readonly [lower: string]: Tree.Tree } }
  /** Past updates of levels that are differentiated through them, oldest first. */
  readonly tape: { readonly [level: string]: ReadonlyArray<Past> }
  /** By level whose derivative is carried forward or that has branches, one for each element of the upper variable. */
  readonly tangents: { readonly [level: string]: ReadonlyArray<Tangent> }
  /** Where restarting levels start. */
  readonly initial: Vars
  /** By level that computes in float16: what its loss is multiplied by, and updates made in a row since that last changed. */
  readonly lossScale: { readonly [level: string]: LossScale.Scale }
  /** By level whose direction is estimated with less variance: what the estimate keeps. */
  readonly variance: { readonly [level: string]: Memory.Memory }
}

/** Levels by name. */
export const levelsOf = (problem: Problem.Any): ReadonlyMap<string, Definition> =>
  new Map(Wiring.computing(problem).map((level) => [level.name, level]))

/** Initial values of every variable on the host: a function of the seed alone. */
export const initialVars = (problem: Problem.Any, seed: Seed.Seed): { readonly [variable: string]: Tree.HostTree } => {
  const root = Seed.fold(seed, "init")
  const draw = (variable: Definition["own"]) => variable.init(root)
  return {
    ...Object.fromEntries(
      Wiring.definitions(problem)
        .flatMap(Wiring.owned)
        .map((v) => [v.name, draw(v)])
    ),
    ...Object.fromEntries(Wiring.fixed(problem).map((f) => [f.variable.name, f.value ?? draw(f.variable)]))
  }
}

/** The failure of the first level with a variable two of whose leaves have one path. */
export const ambiguousPath = (problem: Problem.Any, vars: HostVars): StepFailure | undefined => {
  for (const level of Wiring.definitions(problem)) {
    for (const { name } of Wiring.owned(level)) {
      try {
        Tree.hostEntries({ [name]: vars[name]! })
      } catch (error) {
        if (error instanceof TypeError) return new StepFailure(level.name, error.message, error)
        throw error
      }
    }
  }
  return undefined
}

/** The variables that a level's objective sees, its own first. */
export const visible = (level: Definition): ReadonlyArray<Definition["own"]> => [
  level.own,
  ...level.given,
  ...level.upstream.map((below) => below.own),
  ...[level, ...level.upstream].flatMap(({ buffers }) => (buffers === undefined ? [] : [buffers]))
]

/** What a level reads beside its own variable, by name. */
export const readsOf = (level: Definition, vars: Vars): Vars =>
  Object.fromEntries(
    visible(level)
      .slice(1)
      .map(({ name }) => [name, vars[name]!])
  )

/** The variables that a level's direction is a function of. */
const seenBy = (level: Definition, { hops }: Sweep, levels: ReadonlyMap<string, Definition>): ReadonlyArray<string> => {
  const names = [level.name, ...hops.flatMap((hop) => [hop.level, ...(hop.moving ?? [])])]
  return [...new Set(names.flatMap((name) => visible(levels.get(name)!).map((each) => each.name)))]
}

/** What a {@link Past} keeps of what a level reads. */
export const rememberedReads = (level: Definition, vars: Vars): Vars =>
  level.hypergradient?._tag === "Unrolled" ? readsOf(level, vars) : {}

/** How many branches a level has that does not have one for each element of the variable above. */
const countOf = ({ hypergradient }: Definition): number | undefined =>
  hypergradient?._tag === "Branches" ? branchesOf(hypergradient) : undefined

/** Whether a level's branches are along directions that are drawn. */
const isDrawn = ({ hypergradient }: Definition): boolean =>
  hypergradient?._tag === "Branches" && hypergradient.directions !== undefined && "draws" in hypergradient.directions

/** The state before the first tick. Pure tensor code: an engine runs it like a step. */
export const initial =
  (problem: Problem.Any, plan: Plan) =>
  (vars: Vars): State => {
    const levels = [...levelsOf(problem).values()]
    const byName = levelsOf(problem)
    const start = (level: Definition): Tree.Tree =>
      inLevel(level.name, () => level.optimizer.init(vars[level.own.name]!))
    const copy = <T extends Tree.Tree>(tree: T): T => Tree.map(tree, (leaf) => leaf.clone())
    return {
      vars,
      optimizer: Object.fromEntries(levels.map((level) => [level.name, start(level)])),
      clock: Object.fromEntries(levels.map((level) => [level.name, tf.scalar(0, "int32")])),
      solver: Object.fromEntries(
        plan.sweeps
          .filter((sweep) => sweep.hops.length > 0)
          .map((sweep) => [
            sweep.level,
            Object.fromEntries(
              // Every hop has an entry, empty or not: a step must not change the structure of a state.
              sweep.hops.map((hop) => {
                const { hypergradient: estimator, optimizer } = byName.get(hop.level)!
                const like = moving(optimizer, vars[hop.variable]!)
                return [
                  hop.level,
                  estimator?._tag === "Implicit" ? inLevel(hop.level, () => estimator.solver.init(like)) : {}
                ]
              })
            )
          ])
      ),
      tape: Object.fromEntries(
        levels.flatMap((level) => {
          const length = remembers(level.hypergradient)
          if (length === 0) return []
          const past = (): Past => ({
            own: copy(vars[level.own.name]!),
            gradient: Vector.zeros(vars[level.own.name]!),
            optimizer: start(level),
            clock: tf.scalar(0, "int32"),
            reads: copy(rememberedReads(level, vars))
          })
          return [[level.name, Array.from({ length }, past)]]
        })
      ),
      tangents: Object.fromEntries(
        levels.flatMap((level) => {
          const estimator = level.hypergradient?._tag
          if (estimator !== "Forward" && estimator !== "Branches") return []
          const reader = readerOf(plan, level.name)
          if (reader === undefined) return []
          const above = vars[reader.variable]!
          const tangent = (): Tangent =>
            estimator === "Branches"
              ? {
                  own: copy(vars[level.own.name]!),
                  optimizer: start(level),
                  ...(isDrawn(level) ? { along: Vector.zeros(above) } : {})
                }
              : { own: Vector.zeros(vars[level.own.name]!), optimizer: Vector.zeros(start(level)) }
          const length = countOf(level) ?? Vector.size(above)
          return [[level.name, Array.from({ length }, tangent)]]
        })
      ),
      initial: Object.fromEntries(
        levels.flatMap((level) =>
          level.schedule.restart ? Wiring.owned(level).map(({ name }) => [name, copy(vars[name]!)]) : []
        )
      ),
      lossScale: Object.fromEntries(
        levels.flatMap(({ name, precision }) =>
          precision?._tag === "float16" ? [[name, LossScale.start(precision.lossScale)]] : []
        )
      ),
      variance: Object.fromEntries(
        levels.flatMap((level) => {
          if (level.variance === undefined) return []
          const sweep = plan.sweeps.find((each) => each.level === level.name)!
          return [
            [
              level.name,
              inLevel(level.name, () => Memory.start(level, sweep, byName, vars, seenBy(level, sweep, byName)))
            ]
          ]
        })
      )
    }
  }
