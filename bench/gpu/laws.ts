// The laws' short form on one engine, as JSON: node --conditions=tapweight-source bench/gpu/laws.ts <engine>
// Examples and random programs against the eager cpu engine, bits that repeat, a run that goes on from a checkpoint, noise.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Options from "../../src/cli/Options.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import type * as Problem from "../../src/dsl/Problem.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import type { Program } from "../../src/runs/Program.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import { boundOf } from "../../src/testing/laws/Engines.ts"
import * as Snapshots from "../../src/testing/laws/Snapshots.ts"
import * as Programs from "../../src/testing/Programs.ts"

const [name = "xla", count = "4"] = process.argv.slice(2)
const engine = Layer.fresh(Options.engineLayer(name as Options.EngineName))
const eager = Layer.fresh(Eager.layer("cpu"))
const examples = join(import.meta.dirname, "../../examples")
const seed = 3

/** What does not hold of a problem, in words. */
const broken = Effect.fnUntraced(function* (problem: Problem.Problem<any, unknown, never>) {
  const plan = yield* Effect.fromResult(Plan.make(problem))
  const run = { ticks: 6, seed }
  const own = yield* Snapshots.after(problem, run).pipe(Effect.provide(engine))
  const again = yield* Snapshots.after(problem, run).pipe(Effect.provide(engine))
  const half = { tick: 3, state: yield* Snapshots.after(problem, { ticks: 3, seed }).pipe(Effect.provide(engine)) }
  const resumed = yield* Snapshots.after(problem, { ...run, from: half }).pipe(Effect.provide(engine))
  // Exact products are compiled only.
  const exact = plan.levels.some(({ estimator }) => estimator?.name.endsWith("× exact"))
  const wanted = exact ? own : yield* Snapshots.after(problem, run).pipe(Effect.provide(eager))
  return [
    ...Snapshots.differences(wanted, own, boundOf(plan)).map((leaf) => `not the eager run: ${leaf}`),
    ...Snapshots.differences(own, again).map((leaf) => `not repeated: ${leaf}`),
    ...Snapshots.differences(own, resumed).map((leaf) => `not resumed: ${leaf}`)
  ]
})

const main = Effect.gen(function* () {
  const laws: { [of: string]: ReadonlyArray<string> } = {}
  const hold = Effect.fnUntraced(function* (of: string, problem: Problem.Problem<any, unknown, never>) {
    laws[of] = yield* Effect.catchCause(broken(problem), (cause) => Effect.succeed([String(cause).slice(0, 500)]))
  })
  for (const file of readdirSync(examples)) {
    if (!/^[^.]*\.ts$/.test(file) || !/^export default Program/m.test(readFileSync(join(examples, file), "utf8")))
      continue
    const { default: program } = (yield* Effect.promise(() => import(join(examples, file)))) as {
      default: Program.Needing<never>
    }
    const { problems } = yield* program.prepare(program.config.defaults)
    for (const problem of Object.values(problems)) yield* hold(file, problem)
  }
  for (let i = 0; i < Number(count); i++)
    yield* hold(`random program ${i}`, Programs.random(Seed.fold(Seed.make(77), i), 1))
  const failed = Object.values(laws).filter((found) => found.length > 0).length
  yield* Console.log(JSON.stringify({ held: Object.keys(laws).length - failed, failed, laws }))
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

NodeRuntime.runMain(main as Effect.Effect<void>)
