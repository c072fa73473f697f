import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Hypergradient from "../../../src/dsl/Hypergradient.ts"
import * as Level from "../../../src/dsl/Level.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Problem from "../../../src/dsl/Problem.ts"
import * as Var from "../../../src/dsl/Var.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { fingerprint } from "../../../src/compiler/Fingerprint.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import { mermaid, text } from "../../../src/runtime/plan/PlanText.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import * as Safetensors from "../../../src/files/tensors/Safetensors.ts"
import * as Trial from "../../../src/runs/trial/Trial.ts"
import { counting, weight, running, bilevel, run, still, average, meanOf, type Some } from "../../support/buffers.ts"

const cpu = Effect.provide(Eager.layer("cpu"))

describe("what of buffers is refused, shown and saved", () => {
  const failing = (objective: (vars: any, batch: any) => unknown, buffers: object = { buffers: running }) =>
    Level.minimize(weight, {
      name: "only",
      data: counting,
      optimizer: Optimizer.sgd(0.1),
      objective: objective as never,
      ...buffers
    })
  const loss = ({ weight }: { readonly weight: tf.Tensor1D }) => tf.sum(weight)
  const cases: ReadonlyArray<readonly [string, Parameters<typeof failing>, ReadonlyArray<string>]> = [
    ["none returned", [loss], ["returned no buffers", "'running'"]],
    ["some returned where there are none", [(v) => ({ loss: loss(v), buffers: {} }), {}], ["the level has none"]],
    [
      "a missing part",
      [(v) => ({ loss: loss(v), buffers: { mean: v.running.mean } })],
      ["returned nothing", "'running' at 'square'", "float32[1]"]
    ],
    [
      "another shape",
      [(v) => ({ loss: loss(v), buffers: { mean: tf.sum(v.weight), square: v.running.square } })],
      ["float32[]", "'running' at 'mean'", "float32[1]"]
    ],
    [
      "another type",
      [(v) => ({ loss: loss(v), buffers: { mean: tf.cast(v.weight, "int32"), square: v.running.square } })],
      ["int32[1]", "'running' at 'mean'", "float32[1]"]
    ]
  ]
  for (const [name, args, sentences] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const problem = Problem.close(failing(...args))
        const error = yield* Effect.flip(run(problem as Some, 1))
        assert.strictEqual((error as { readonly _tag: string })._tag, "StepError")
        for (const sentence of [...sentences, "'only'"]) assert.include((error as Error).message, sentence)
      }).pipe(cpu)
    )
  }
  it("buffers that others minimize, hold, are given or carry", () => {
    const any = Level as any
    const spec = { data: counting, optimizer: Optimizer.sgd(0.1), objective: loss }
    const carrier = any.minimize(weight, { ...spec, name: "carrier", buffers: running })
    const other = Var.make("other", () => NdArray.scalar(0))
    const refused: ReadonlyArray<readonly [unknown, string]> = [
      [any.minimize(running, { ...spec, name: "top", upstream: [carrier] }), "are minimized by a level"],
      [any.minimize(weight, { ...spec, name: "own", buffers: weight }), "are minimized by a level"],
      [
        any.minimize(other, { ...spec, name: "top", upstream: [carrier], given: [running] }),
        "the buffers of 'carrier'"
      ],
      [any.minimize(other, { ...spec, name: "top", upstream: [carrier], buffers: running }), "also those of 'carrier'"],
      [any.fix(running)(carrier), "also held constant"]
    ]
    for (const [top, sentence] of refused) {
      const plan = Plan.make(Problem.close(top as never))
      assert.isTrue(Result.isFailure(plan))
      if (Result.isFailure(plan)) {
        assert.strictEqual(plan.failure.kind, "Buffers")
        assert.include(plan.failure.message, sentence)
      }
    }
  })

  it("plans name them, and they are part of a program's fingerprint", () => {
    const problem = bilevel(Hypergradient.detached, 0.1)
    const plan = Result.getOrThrow(Plan.make(problem))
    assert.include(text(plan), "minimizes weight, carries running")
    assert.include(mermaid(plan), 'l0["lower<br/>min weight<br/>carries running"]')
    assert.notProperty(plan.levels[1], "buffers")
    const renamed = { ...plan, levels: plan.levels.map((l) => ("buffers" in l ? { ...l, buffers: "other" } : l)) }
    assert.notStrictEqual(fingerprint(problem, renamed), fingerprint(problem, plan))
  })

  it.live("the run reads them as it reads variables", () =>
    Effect.gen(function* () {
      const read = yield* Run.ticks(bilevel(Hypergradient.detached, 0.1), { ticks: 3, seed: 4 }).pipe(
        Stream.mapEffect((tick) =>
          Effect.all([
            tick.read(["running"]),
            tick.evaluate(({ running }, { x }: { readonly x: tf.Tensor }) => tf.mul((running as any).mean, x), {
              x: NdArray.float32([1], [10])
            } as never)
          ])
        ),
        Stream.runLast
      )
      const [vars, scaled] = Option.getOrThrow(read)
      assert.closeTo((scaled as NdArray.NdArray).data[0]!, 10 * meanOf(vars), 1e-4)
    }).pipe(cpu)
  )

  it.live("a trial's best and final weights hold them", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-buffers-"))),
      (root) =>
        Effect.gen(function* () {
          const path = join(root, "run")
          const score = ({ index }: { readonly index: number }) => Effect.succeed({ loss: Math.abs(index - 2) })
          const validation = { every: 1, rows: 1, score, select: { metric: "loss", mode: "min" } } as const
          const options = { problem: Problem.close(still()), ticks: 5, seed: 4, validation }
          yield* Trial.run({ id: "test", program: "test", path }, options)
          for (const [name, seen] of [
            ["best", [1, 2]],
            ["final", [1, 2, 3, 4, 5]]
          ] as const) {
            const { tensors } = Result.getOrThrow(Safetensors.decode(readFileSync(join(path, `${name}.safetensors`))))
            assert.deepStrictEqual([...tensors.keys()].sort(), ["running.mean", "running.square", "weight"])
            assert.closeTo(tensors.get("running.mean")!.data[0]!, average(seen), 1e-5)
          }
        }),
      (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
    ).pipe(Effect.provide([Eager.layer("cpu"), NodeServices.layer]))
  )
})
