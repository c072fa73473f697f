/** Reduced gradients of levels whose own gradients contain responses, differentiated along directions: see `plan/Reduced.ts`. */
import type { Definition } from "../../dsl/Level.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import * as Expansion from "../plan/Reduced.ts"
import { shapesOf, type Sweep } from "../plan/Sweep.ts"
import { type Reduced, seenOf } from "./Adjoint.ts"
import * as Objective from "./Evaluation.ts"
import { type Vars, visible } from "./State.ts"
import * as Stationary from "./Stationary.ts"

/** By level, its last update's batches. */
type Batches = { readonly [level: string]: ReadonlyArray<Objective.UpdateBatch> }

const implicit = ({ hypergradient, name }: Definition) => {
  if (hypergradient?._tag === "Implicit") return hypergradient
  throw new Error(`level '${name}' has no implicit estimator and cannot be part of a response of a response`)
}

const unstated = (): never => {
  throw new Error("a solver that uses the preconditioner cannot be differentiated")
}

/** Reduced gradients at these values: what several levels of a sweep need alike is computed once. */
export const at = (
  levels: ReadonlyMap<string, Definition>,
  sweeps: ReadonlyMap<string, Sweep>,
  vars: Vars,
  batches: Batches
): ((level: Definition) => Reduced) => {
  const owned = new Set([...levels.values()].map(({ own }) => own.name))
  const readsOf = (level: Definition): ReadonlyArray<string> =>
    visible(level).flatMap(({ name }) => (owned.has(name) && name !== level.own.name ? [name] : []))
  const shapes = shapesOf(
    [...levels.values()].map((level) => ({ name: level.name, variable: level.own.name, reads: readsOf(level) })),
    sweeps
  )
  const gradientOf = (level: Definition): ((x: Vars) => Vars) => {
    const { rows } = implicit(level)
    const batch = seenOf(level, rows, Objective.microBatches(batches[level.name]!.at(-1)!).at(-1)!)
    const wrt = [level.own.name, ...readsOf(level)]
    return (x) => Objective.gradient(level, { ...vars, ...x }, batch, wrt).gradient
  }
  const derivative = (name: string, along: ReadonlyArray<Expansion.Direction<Tree>>): Expansion.Direction<Tree> => {
    const level = levels.get(name)!
    const { product } = implicit(level)
    const moved = [...new Set(along.flatMap((direction) => [...direction.keys()]))]
    const pick = (of: (variable: string) => Tree): Vars => Object.fromEntries(moved.map((v) => [v, of(v)]))
    const whole = (direction: Expansion.Direction<Tree>): Vars =>
      pick((variable) => direction.get(variable) ?? Vector.zeros(vars[variable]!))
    const differentiated = along.reduce<(x: Vars) => Vars>(
      (f, direction) => (x) => product.derivative(f, x, whole(direction)),
      gradientOf(level)
    )
    return new Map(Object.entries(differentiated(pick((variable) => vars[variable]!))))
  }
  const solve = (name: string, operator: (w: Tree) => Tree, right: Tree): Tree => {
    const level = levels.get(name)!
    const { product, solver } = implicit(level)
    return Objective.inLevel(name, () => {
      const own = vars[level.own.name]!
      const system = Stationary.system(level.optimizer, product, own, unstated, operator)
      const restricted = system.restrict(right)
      const [u] = solver.update(system.operator, restricted, solver.init(restricted), unstated)
      return system.embed(system.direction(u))
    })
  }
  const reduced = Expansion.make<Tree>(shapes, {
    add: Vector.add,
    negate: (a) => Vector.scale(-1, a),
    derivative: (name, directions) => Objective.inLevel(name, () => derivative(name, directions)),
    solve
  })
  return (level) => ({
    gradient: () => reduced.value(level.name, level.own.name)!,
    along: (direction, by) => {
      const found = reduced.along(level.name, direction, by)
      return Object.fromEntries(by.map((variable, i) => [variable, found[i] ?? Vector.zeros(vars[variable]!)]))
    }
  })
}
