import { createHash } from "node:crypto"
import * as Hypergradient from "../dsl/Hypergradient.ts"
import type { Definition } from "../dsl/Level.ts"
import * as NdArray from "../dsl/values/NdArray.ts"
import type { Problem } from "../dsl/Problem.ts"
import * as Seed from "../dsl/values/Seed.ts"
import * as Tree from "../dsl/values/Tree.ts"
import type { Moment } from "../runtime/plan/Moment.ts"
import { readerOf } from "../runtime/plan/Window.ts"
import type { Plan, PlannedLevel } from "../runtime/plan/Plan.ts"
import * as Wiring from "../runtime/plan/Wiring.ts"
import type { Batches } from "../runtime/step/Direction.ts"
import { StepFailure } from "../runtime/step/Failure.ts"
import { initial, initialVars, levelsOf, type State, type Vars } from "../runtime/step/State.ts"
import * as Step from "../runtime/step/Step.ts"
import { CompileError } from "./graph/CompileError.ts"
import { digest } from "./graph/Digest.ts"
import { trace } from "./trace/Trace.ts"

/** What identifies a program: the whole of it, and each level's own work, so that a difference has a place. */
export interface Fingerprints {
  readonly program: string
  readonly levels: { readonly [level: string]: string }
  /**
   * What the first level that cannot be traced says: an objective that throws, which it would do at tick 1, or, as a
   * `CompileError`, shapes that do not fit and what no graph can hold.
   */
  readonly mistake: StepFailure | CompileError | undefined
  /** Bytes of the state that each level carries: its variable and buffers, its optimizer, solves and past updates; none where it cannot be traced. */
  readonly bytes: { readonly [level: string]: number }
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

/** The turn of one level, alone: its objective, the sweep below it, its optimizer, its restart. */
const turn = (plan: Plan, name: string): Moment => ({
  acting: [name],
  restarting: plan.levels.flatMap((level) => (level.name === name && level.restart ? [name] : [])),
  frozen: [],
  past: Object.fromEntries(
    plan.levels.flatMap((l) => (l.estimator?.kind === "unrolled" ? [[l.name, l.estimator.steps] as const] : []))
  ),
  ...carrying(plan, name),
  diagnostics: false
})

/** A level that carries its derivative forward does so in its turn. */
const carrying = (plan: Plan, name: string): Pick<Moment, "carrying"> => {
  const { estimator, repeat } = plan.levels.find((level) => level.name === name)!
  if (estimator?.kind !== "forward" || readerOf(plan, name) === undefined) return {}
  return { carrying: { [name]: Array.from({ length: repeat }, () => "carry" as const) } }
}

/** Types of what an update of a level takes. */
const updateType = ({ accumulate }: PlannedLevel, { data: { fields } }: Definition) =>
  accumulate === undefined ? fields : Array.from({ length: accumulate }, () => fields)

/** Types of as many batches of each level as its own turn and a sweep through its past take. */
const batchTypes = (plan: Plan, levels: ReadonlyMap<string, Definition>) =>
  Object.fromEntries(
    plan.levels.map((planned) => [
      planned.name,
      Array.from({ length: Math.max(planned.repeat, planned.estimator?.steps ?? 1, 1) }, () =>
        updateType(planned, levels.get(planned.name)!)
      )
    ])
  )

const sizeOf = (tree: Tree.Tree | undefined): number =>
  tree === undefined ? 0 : Tree.leaves(tree).reduce((sum, { shape }) => sum + 4 * NdArray.size(shape), 0)

/** Bytes of what a level carries from tick to tick. */
const carriedBy = ({ buffers, name, own }: Definition, state: State): number =>
  [own, ...(buffers === undefined ? [] : [buffers])].reduce(
    (sum, variable) => sum + sizeOf(state.vars[variable.name]) + sizeOf(state.initial[variable.name]),
    sizeOf(state.optimizer[name]) +
      sizeOf(state.solver[name]) +
      sizeOf(state.tape[name]) +
      sizeOf(state.tangents[name]) +
      sizeOf(state.clock[name]) +
      sizeOf(state.lossScale[name])
  )

const namedResults = (traced: ReturnType<typeof trace>) =>
  Tree.entries(traced.structure).map(([path], i) => [path, traced.results[i]!] as const)

// What cannot be traced is told apart by what there is of it to read.
const described = (level: Definition): string => {
  const { hypergradient, objective, optimizer } = level
  const estimator = hypergradient === undefined ? "" : Hypergradient.describe(hypergradient)
  return sha256(["text", objective.toString(), optimizer.name, estimator].join("\n"))
}

/**
 * Identifies a program, so that a checkpoint is never continued by another one: hashes of its plan, its constants, the
 * fields of its data, the types of its variables, and of what is computed: the traced graph of every level's turn, with
 * the numbers that its objective closes over. Where a level's turn cannot be traced (an operation that no graph has, an
 * objective that throws), the text of its objective stands for it, and numbers that this closes over are not seen. Initial
 * values are drawn for their shapes and are no part of it.
 *
 * Costs one trace of each level's turn, which is the first part of what compiling it costs.
 */
export const fingerprints = (problem: Problem.Any, plan: Plan): Fingerprints => {
  const levels = levelsOf(problem)
  const vars = initialVars(problem, Seed.make(0))
  const batches = batchTypes(plan, levels)
  let mistake: StepFailure | CompileError | undefined
  const untraced = (error: unknown): void => {
    if (error instanceof StepFailure || error instanceof CompileError) mistake ??= error
  }
  const start = (): Tree.Tree | undefined => {
    try {
      return trace(initial(problem, plan) as (vars: Vars) => State, ["vars"], [vars], { halves: true }).structure
    } catch (error) {
      untraced(error)
      return undefined
    }
  }
  const state = start()
  const hashOf = (name: string): string => {
    const level = levels.get(name)!
    if (state === undefined) return described(level)
    const step = Step.make(problem, plan, turn(plan, name)) as (state: State, batches: Batches) => Tree.Tree
    try {
      return digest(namedResults(trace(step, ["state", "batch"], [state, batches], { halves: true })))
    } catch (error) {
      untraced(error)
      return described(level)
    }
  }
  const each = Object.fromEntries(plan.levels.map(({ name }) => [name, hashOf(name)]))
  const parts = {
    plan,
    levels: each,
    fields: plan.levels.map(({ name }) => levels.get(name)!.data.fields),
    fixed: Wiring.fixed(problem).map(({ value, variable }) => [
      variable.name,
      value === undefined ? null : Tree.hostEntries(value).map(([path, { data }]) => [path, Array.from(data, String)])
    ]),
    variables: Tree.hostEntries(vars).map(([path, { dtype, shape }]) => [path, dtype, shape])
  }
  const bytes = Object.fromEntries(
    state === undefined ? [] : plan.levels.map(({ name }) => [name, carriedBy(levels.get(name)!, state as State)])
  )
  return { program: sha256(JSON.stringify(parts, unpriced)), levels: each, mistake, bytes }
}

/** What a response of a response would cost decides nothing that is computed. */
const unpriced = (key: string, value: unknown): unknown =>
  key === "solve" && typeof value === "object" ? undefined : value

/** The fingerprint of the whole program. */
export const fingerprint = (problem: Problem.Any, plan: Plan): string => fingerprints(problem, plan).program
