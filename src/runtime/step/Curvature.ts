/** Gradient maps whose derivative is a curvature other than the Hessian: positive semidefinite, whatever the model is. */
import * as tf from "@tensorflow/tfjs-core"
import type { Curvature } from "../../dsl/Hypergradient.ts"
import type { Definition } from "../../dsl/Level.ts"
import type { Tree } from "../../dsl/values/Tree.ts"
import * as Gradient from "../../tensor/Gradient.ts"
import * as Outputs from "../../tensor/Outputs.ts"
import * as Vector from "../../tensor/Vector.ts"
import * as Objective from "./Evaluation.ts"
import type { Vars } from "./State.ts"

/**
 * A map of a level's variable whose value at the present one, `point`, is the level's gradient. Of what the objective makes beside its marked
 * outputs the derivative there is the Hessian. Of what it makes of them, it is `Jᵀ B J`, J being the derivative of the outputs: with B the
 * Hessian of the loss by them (Gauss-Newton), or with `Jᵀ J / n` for the losses of n rows (empirical Fisher).
 */
export const map = (kind: Curvature, level: Definition, vars: Vars, batch: Objective.Batch): ((x: Tree) => Tree) => {
  const own = level.own.name
  const point = vars[own]!
  const at = (x: Tree): Vars => ({ ...vars, [own]: x })
  const gradient = (x: Tree): Tree => Objective.gradient(level, at(x), batch, [own]).gradient[own]!
  const outputsAt = (x: Tree): ReadonlyArray<tf.Tensor> => {
    const [, values] = Outputs.collected(() => Objective.evaluate(level, at(x), batch))
    if (values.length > 0) return values
    const reason = `its curvature is '${kind}', but its objective marks no outputs: wrap what the model says in Objective.outputs(…)`
    throw new Objective.StepFailure(level.name, reason)
  }
  /** The gradient of what is made beside the outputs. */
  const besides = (x: Tree, values: ReadonlyArray<tf.Tensor>): Tree =>
    Outputs.replaced(values, false, () => gradient(x))
  if (kind === "gaussNewton") {
    return (x) => {
      const values = outputsAt(x)
      const through = Vector.subtract(
        Outputs.replaced(values, true, () => gradient(point)),
        besides(point, values)
      )
      return Vector.add(through, besides(x, values))
    }
  }
  return (x) => {
    const [values, here] = [outputsAt(x), outputsAt(point)]
    const rows = here.reduce((sum, { size }) => sum + size, 0)
    const ahead = values.map((value, i) => tf.div(tf.sub(value, here[i]!), rows))
    const through = Gradient.pullback((w: Tree) => [...outputsAt(w)], point, ahead)
    const beside = Vector.subtract(besides(x, values), besides(point, here))
    return Vector.add(Vector.add(gradient(point), through), beside)
  }
}
