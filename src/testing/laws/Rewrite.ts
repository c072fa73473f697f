/** Problems with parts of their levels changed. */
import type { Definition } from "../../dsl/Level.ts"
import type { Problem } from "../../dsl/Problem.ts"
import type { Var } from "../../dsl/Var.ts"

const changed = <A extends object>(self: A, change: Partial<A>): A =>
  Object.assign(Object.create(Object.getPrototypeOf(self) as object), self, change)

/** Changes every level, from below; a level that two others rest on stays one. */
export const levels = <V extends Var.Any, E, R>(
  problem: Problem<V, E, R>,
  change: (level: Definition) => Partial<Definition>
): Problem<V, E, R> => {
  const known = new Map<Definition, Definition>()
  const visit = (level: Definition): Definition => {
    const made = known.get(level)
    if (made !== undefined) return made
    const onNew = changed(level, { upstream: level.upstream.map(visit) })
    const again = changed(onNew, change(onNew))
    known.set(level, again)
    return again
  }
  return changed(problem, { top: visit(problem.top) })
}
