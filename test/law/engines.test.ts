import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import type * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import type * as Program from "../../src/runs/Program.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as WebAssemblyEngine from "../../src/engines/webassembly/WebAssemblyEngine.ts"
import * as XlaEngine from "../../src/engines/xla/XlaEngine.ts"
import * as Plan from "../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../src/runtime/plan/PlanText.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import { triLevel } from "../support/programs.ts"
import { boundOf } from "../../src/testing/laws/Engines.ts"
import * as Snapshots from "../../src/testing/laws/Snapshots.ts"
import * as Programs from "../../src/testing/Programs.ts"

type Any = Problem.Problem<Var.Var.Any, unknown, never>

const eager = Layer.fresh(Eager.layer("cpu"))
const compiled = Compiled.layer({ threads: 1 })
/** Engines that compile: XLA's too where its plugin is named, as `npm run check:xla` does. */
const compiling: ReadonlyArray<readonly [string, typeof compiled]> = [
  ["compiled", compiled],
  ["webassembly", WebAssemblyEngine.layer()],
  ...(process.env["TAPWEIGHT_PJRT_PLUGIN"] === undefined ? [] : [["xla", XlaEngine.layer()] as const])
]
const seed = 3
/** As `bin/check-xla --short` asks: fewer programs where compiling each takes seconds. */
const isShort = process.env["TAPWEIGHT_LAWS"] === "short"

/** Eager runs that were made by now: they are the same whichever engine is held against them. */
const made = new Map<string, Parameters<typeof Snapshots.differences>[0]>()

/** Leaves in which a compiled run differs from an eager one by more than it may. What is named is run eagerly once. */
const apart = (problem: Any, eagerly: Any = problem, name?: string) =>
  Effect.gen(function* () {
    const bound = boundOf(Result.getOrThrow(Plan.make(problem)))
    const before = name === undefined ? undefined : made.get(name)
    const wanted = before ?? (yield* Snapshots.after(eagerly, { ticks: 10, seed }).pipe(Effect.provide(eager)))
    if (name !== undefined) made.set(name, wanted)
    return Snapshots.differences(wanted, yield* Snapshots.after(problem, { ticks: 10, seed }), bound)
  })

describe.each(compiling)("a run on the engine %s is the eager run", (_, compiled) => {
  const examples = fileURLToPath(new URL("../../examples", import.meta.url))

  const programs = readdirSync(examples).filter(
    (name) => /^[^.]*\.ts$/.test(name) && /^export default Program/m.test(readFileSync(join(examples, name), "utf8"))
  )
  it("has examples to be held for", () => assert.isAtLeast(programs.length, 5))

  for (const file of programs) {
    it.live(`example ${file}`, () =>
      Effect.gen(function* () {
        const { default: program } = (yield* Effect.promise(() => import(join(examples, file)))) as {
          default: Program.Program.Needing<never>
        }
        const { problems } = yield* program.prepare(program.config.defaults)
        for (const [name, problem] of Object.entries(problems)) {
          const { levels } = yield* Effect.fromResult(Plan.make(problem))
          // Exact products are compiled or not at all.
          if (levels.some(({ estimator }) => estimator?.name.endsWith("× exact"))) continue
          assert.deepStrictEqual(yield* apart(problem, problem, `${file} ${name}`), [])
        }
      }).pipe(Effect.scoped, Effect.provide([compiled, NodeServices.layer]))
    )
  }

  it.live("random programs: DAGs, nets, losses, optimizers, estimators, schedules", () =>
    Effect.gen(function* () {
      const seen = new Set<string>()
      for (let i = 0; i < 22; i++) {
        const problem = Programs.random(Seed.fold(Seed.make(77), i), 1)
        const plan = Result.getOrThrow(Plan.make(problem))
        assert.deepStrictEqual(
          yield* apart(problem, problem, `program ${i}`),
          [],
          `program ${i}\n${PlanText.text(plan)}`
        )
        for (const { estimator } of plan.levels) if (estimator !== null) seen.add(/[a-z]+/.exec(estimator.name)![0])
        if (plan.simultaneous) seen.add("simultaneous")
        if (plan.levels.some((l) => l.accumulate !== undefined)) seen.add("accumulate")
        for (const what of ["restart", "freeze", "warmup"] as const)
          if (plan.levels.some((l) => l[what])) seen.add(what)
        for (const what of ["unroll", "repeat"] as const) if (plan.levels.some((l) => l[what] > 1)) seen.add(what)
      }
      const estimators = ["identity", "neumann", "cg", "nystrom", "sama", "preconditioned", "exact", "warm", "unrolled"]
      const schedules = ["restart", "freeze", "warmup", "unroll", "repeat", "simultaneous", "accumulate"]
      assert.includeMembers([...seen], [...estimators, "detached", ...schedules])
    }).pipe(Effect.provide(compiled))
  )

  it.live("and this test can fail: a rate that is off by one part in ten thousand shows in every variable", () =>
    Effect.gen(function* () {
      const of = (rate: number) => triLevel({ optimizer: Optimizer.sgd(rate) })
      assert.deepStrictEqual(yield* apart(of(0.02)), [])
      const found = yield* apart(of(0.02), of(0.020_002))
      for (const variable of ["theta", "omega"]) {
        assert.isTrue(
          found.some((leaf) => leaf.startsWith(`vars.${variable}`)),
          `${found}`
        )
      }
    }).pipe(Effect.provide(compiled))
  )
})

/** Interrupts a run when it reaches a tick, and gives what it would have put into a checkpoint. */
const interrupted = (problem: Any, at: number) =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    let saved: Snapshots.At | undefined
    const ticks = Run.ticks(problem, {
      ticks: 1000,
      seed,
      onInterrupt: (last) =>
        Effect.map(Effect.orDie(last.snapshot), (state) => void (saved = { tick: last.index, state }))
    })
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(ticks, (tick) => (tick.index === at ? Deferred.succeed(reached, undefined) : Effect.void))
    )
    yield* Deferred.await(reached)
    yield* Fiber.interrupt(fiber)
    if (saved === undefined) return assert.fail("an interrupted run did not checkpoint")
    return saved
  })

describe("interrupted anywhere and gone on from its checkpoint, a run ends in the bits of an undisturbed one", () => {
  for (const [name, engine] of [["cpu", eager], ...compiling] as const) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { live } = yield* Engine
        const before = yield* live
        for (let i = 100; i < (isShort ? 102 : 106); i++) {
          const problem = Programs.random(Seed.fold(Seed.make(77), i), 1)
          const saved = yield* interrupted(problem, 1 + (i % 7))
          assert.strictEqual(yield* live, before, `program ${i}`)
          // However many ticks the run was ahead of its reader.
          const ticks = saved.tick + 4
          const resumed = yield* Snapshots.after(problem, { ticks, seed, from: saved })
          const whole = yield* Snapshots.after(problem, { ticks, seed })
          assert.deepStrictEqual(Snapshots.differences(whole, resumed), [], `program ${i} from tick ${saved.tick}`)
          assert.strictEqual(yield* live, before, `program ${i}`)
        }
      }).pipe(Effect.provide(engine))
    )
  }
})
