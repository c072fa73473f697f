import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import * as Eager from "../../engines/eager/Eager.ts"
import { Engine } from "../../engines/Engine.ts"
import * as Onnx from "../../engines/onnx/OnnxEngine.ts"
import * as Plan from "../../runtime/plan/Plan.ts"
import * as Property from "../Property.ts"
import * as Snapshots from "./Snapshots.ts"

/** The smallest radius of a plan's finite differences; 1 where it has none. */
const radiusOf = (plan: Plan.Plan): number =>
  Math.min(
    1,
    ...plan.levels.flatMap((l) => /finiteDifference\((.+)\)/.exec(l.estimator?.name ?? "")?.[1] ?? []).map(Number)
  )

/**
 * What two engines may differ by in a leaf after ten ticks.
 *
 * They add in different orders, so their float32 gradients differ by about 1e-7 of their size; ten updates leave that well
 * below 1e-5. A hop divides the difference of two gradients by the radius, so what it hands on differs by 1e-7 / radius of
 * the gradient's size, and its image may be a hundred times smaller than the gradient and its solve ill-conditioned by a
 * factor of ten: 1e-4 / radius. This holds for variables and optimizers of levels that sweep, and for solvers' states.
 */
export const boundOf = (plan: Plan.Plan): ((path: string) => number) => {
  const sweeping = plan.levels.filter(({ name }) => plan.sweeps.some((s) => s.level === name && s.hops.length > 0))
  const rough = sweeping.flatMap(({ name, variable }) => [`vars.${variable}`, `optimizer.${name}`])
  const under = (path: string, part: string) => path === part || path.startsWith(`${part}.`)
  return (path) => (["solver", ...rough].some((part) => under(path, part)) ? 1e-4 / radiusOf(plan) : 1e-5)
}

/** An engine of another kind than this one. TensorFlow.js has one backend a process, which is put back. */
const otherThan = (engine: Engine["Service"]): Layer.Layer<Engine, unknown> => {
  if (!engine.name.startsWith("compiled")) return Onnx.layer({ threads: 1 })
  const backend = Effect.acquireRelease(
    // Where nothing has asked for a backend yet there is none, whatever its type says.
    Effect.sync((): string | undefined => tf.getBackend()),
    (name) => (name === undefined ? Effect.void : Effect.promise(() => tf.setBackend(name)))
  )
  return Layer.fresh(Layer.unwrap(Effect.as(backend, Eager.layer("cpu"))))
}

/**
 * Eager and compiled, a run comes to the same state, to what float32 allows: the engine of the context is held against one
 * of the other kind. An objective that computes something else when it is traced breaks it. Exact products are compiled only,
 * so that no problem with them can be held against it.
 *
 * ```ts
 * yield* Law.engines(problem, { ticks: 10 }).pipe(Effect.provide(CompiledEngine.layer()))
 * ```
 */
export const engines: Property.Law = (problem, options = {}) =>
  Property.holds(
    "engines",
    fc.record({ seed: Property.seeds, ticks: fc.integer({ min: 1, max: options.ticks ?? Property.defaults.ticks }) }),
    options,
    (run) =>
      Effect.gen(function* () {
        const engine = yield* Engine
        const bound = boundOf(yield* Effect.fromResult(Plan.make(problem)))
        const one = yield* Snapshots.after(problem, run)
        const other = yield* Effect.provide(Snapshots.after(problem, run), otherThan(engine))
        return Snapshots.inWords(
          `after tick ${run.ticks}, ${engine.name} and the other kind of engine differ in`,
          Snapshots.differences(one, other, bound)
        )
      })
  )
