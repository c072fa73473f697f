import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import type * as tf from "@tensorflow/tfjs-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import koffi from "koffi"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import type * as Problem from "../../../src/dsl/Problem.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import type * as Var from "../../../src/dsl/Var.ts"
import * as Eager from "../../../src/engines/eager/Eager.ts"
import { Engine } from "../../../src/engines/Engine.ts"
import * as Api from "../../../src/engines/xla/pjrt/Api.ts"
import * as Client from "../../../src/engines/xla/pjrt/Client.ts"
import * as XlaEngine from "../../../src/engines/xla/XlaEngine.ts"
import * as Optimizer from "../../../src/levels/Optimizer.ts"
import type * as Program from "../../../src/runs/Program.ts"
import { levelsOf } from "../../../src/runtime/step/State.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import * as PlanText from "../../../src/runtime/plan/PlanText.ts"
import * as Sharing from "../../../src/runtime/step/Sharing.ts"
import * as Run from "../../../src/runtime/run/Run.ts"
import * as Noise from "../../../src/tensor/Noise.ts"
import { boundOf } from "../../../src/testing/laws/Engines.ts"
import * as Snapshots from "../../../src/testing/laws/Snapshots.ts"
import * as Programs from "../../../src/testing/Programs.ts"
import { triLevel } from "../../support/programs.ts"

type Any = Problem.Problem<Var.Var.Any, unknown, never>

const plugin = process.env["TAPWEIGHT_PJRT_PLUGIN"]
const seed = 3
const one = Layer.fresh(XlaEngine.layer())
const on = (devices: number, shardOptimizer = false) => Layer.fresh(XlaEngine.layer({ devices, shardOptimizer }))
/** Batches of 8 and 4 rows, which two and four devices can share. */
const shareable = (i: number) => Programs.random(Seed.fold(Seed.make(78), i), 1, { constant: 8, batch: 4 })

/** Leaves in which a run on several devices differs from one on a single device by more than rounding. */
const apart = (problem: Any, single: Snapshots.At["state"], ticks: number) =>
  Effect.map(Snapshots.after(problem, { ticks, seed }), (state) =>
    Snapshots.differences(single, state, boundOf(Result.getOrThrow(Plan.make(problem))))
  )

describe.runIf(plugin !== undefined)("a run on several devices", () => {
  const examples = fileURLToPath(new URL("../../../examples", import.meta.url))
  const programs = readdirSync(examples).filter(
    (name) => /^[^.]*\.ts$/.test(name) && /^export default Program/m.test(readFileSync(join(examples, name), "utf8"))
  )
  const shared = new Set<string>()
  for (const file of programs) {
    it.live(`is the run on one: example ${file}`, () =>
      Effect.gen(function* () {
        const { default: program } = (yield* Effect.promise(() => import(join(examples, file)))) as {
          default: Program.Program.Needing<never>
        }
        const { problems } = yield* program.prepare(program.config.defaults)
        for (const problem of Object.values(problems)) {
          const single = yield* Snapshots.after(problem, { ticks: 10, seed }).pipe(Effect.provide(one))
          for (const devices of [2, 4]) {
            const unequal = Sharing.ofLevels(levelsOf(problem).values(), devices)
            const run = apart(problem, single, 10).pipe(Effect.provide(on(devices)))
            if (unequal === undefined) {
              assert.deepStrictEqual(yield* run, [], `${devices} devices`)
              shared.add(`${file} ${devices}`)
              continue
            }
            const error = yield* Effect.flip(run)
            assert.deepInclude(error, { _tag: "EngineError", kind: "Refused", reason: unequal })
          }
        }
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
    )
  }
  it("on two devices, every example; on four, most", () => {
    for (const file of programs) assert.isTrue(shared.has(`${file} 2`), file)
    assert.isAtLeast(shared.size, 2 * programs.length - 2)
  })

  it.live("is the run on one: random programs, the optimizers' state whole and in parts", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 4; i++) {
        const problem = shareable(i)
        const single = yield* Snapshots.after(problem, { ticks: 6, seed }).pipe(Effect.provide(one))
        const found = yield* apart(problem, single, 6).pipe(Effect.provide(on(i % 2 === 0 ? 2 : 4, i % 3 === 0)))
        const text = PlanText.text(Result.getOrThrow(Plan.make(problem)))
        assert.deepStrictEqual(found, [], `program ${i}\n${text}`)
      }
    })
  )

  it.live("repeats its bits, goes on from a checkpoint to the same, and from one of another number of devices", () =>
    Effect.gen(function* () {
      const problem = triLevel({ optimizer: Optimizer.adam(0.01) })
      const bound = boundOf(Result.getOrThrow(Plan.make(problem)))
      const run = (ticks: number, from?: Snapshots.At) =>
        Snapshots.after(problem, { ticks, seed, ...(from === undefined ? {} : { from }) })
      const single = { tick: 4, state: yield* run(4).pipe(Effect.provide(one)) }
      const [half, end] = yield* Effect.gen(function* () {
        const { live } = yield* Engine
        const half = { tick: 4, state: yield* run(4) }
        const end = yield* run(8)
        assert.deepStrictEqual(Snapshots.differences(end, yield* run(8)), [], "repeated")
        assert.deepStrictEqual(Snapshots.differences(end, yield* run(8, half)), [], "resumed")
        assert.deepStrictEqual(Snapshots.differences(end, yield* run(8, single), bound), [], "from one device")
        assert.strictEqual(yield* live, 0)
        return [half, end] as const
      }).pipe(Effect.provide(on(2, true)))
      assert.deepStrictEqual(Snapshots.differences(end, yield* run(8, half).pipe(Effect.provide(one)), bound), [])
    })
  )

  it.live("that is interrupted leaves its last tick as a checkpoint, and nothing on the devices", () =>
    Effect.gen(function* () {
      const problem = shareable(2)
      const { live } = yield* Engine
      const reached = yield* Deferred.make<void>()
      let saved: Snapshots.At | undefined
      const ticks = Run.ticks(problem, {
        ticks: 1000,
        seed,
        onInterrupt: (last) =>
          Effect.map(Effect.orDie(last.snapshot), (state) => void (saved = { tick: last.index, state }))
      })
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(ticks, (tick) => (tick.index === 3 ? Deferred.succeed(reached, undefined) : Effect.void))
      )
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* live, 0)
      const { state, tick } = saved!
      const whole = yield* Snapshots.after(problem, { ticks: tick + 3, seed })
      const resumed = yield* Snapshots.after(problem, { ticks: tick + 3, seed, from: { tick, state } })
      assert.deepStrictEqual(Snapshots.differences(whole, resumed), [])
    }).pipe(Effect.provide(on(2, true)))
  )

  it.live("draws the noise that every engine draws", () =>
    Effect.gen(function* () {
      const drawn = Effect.scoped(
        Effect.gen(function* () {
          const { observe, upload } = yield* Engine
          const f = yield* observe((_: {}, batch: { readonly key: tf.Tensor1D; readonly x: tf.Tensor2D }) => ({
            kept: Noise.dropout(batch.x, batch.key, 0.3, 5)
          }))
          const x = NdArray.float32([8, 5], new Float32Array(40).fill(1))
          return (yield* f(yield* upload({}), { x, key: NdArray.int32([2], [123, -456]) })).kept.data
        })
      )
      const wanted = yield* drawn.pipe(Effect.provide(Layer.fresh(Eager.layer("cpu"))))
      assert.deepStrictEqual(yield* drawn.pipe(Effect.provide(on(4))), wanted)
      assert.include([...wanted], 0)
    })
  )
})

describe.runIf(plugin !== undefined)("devices of a client", () => {
  const program = `
    module @step attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32} {
      sdy.mesh @devices = <["rows"=2]>
      func.func public @main(
        %arg0: tensor<4x3xf32> {sdy.sharding = #sdy.sharding<@devices, [{}, {}]>, tf.aliasing_output = 0 : i32},
        %arg1: tensor<4x3xf32> {sdy.sharding = #sdy.sharding<@devices, [{"rows"}, {}]>}
      ) -> (tensor<4x3xf32> {sdy.sharding = #sdy.sharding<@devices, [{}, {}]>}, tensor<4x3xf32> {sdy.sharding = #sdy.sharding<@devices, [{"rows"}, {}]>}) {
        %0 = stablehlo.add %arg0, %arg1 : tensor<4x3xf32>
        %1 = stablehlo.multiply %0, %arg1 : tensor<4x3xf32>
        return %0, %1 : tensor<4x3xf32>, tensor<4x3xf32>
      }
    }`

  it.live("take parts and wholes, give them back as arrays, and keep nothing that is released", () =>
    Effect.promise(async () => {
      const client = Client.make(Api.load(koffi as never, plugin!), 2)
      const type = { dtype: "float32", shape: [4, 3] } as const
      const wholeNumbers = Float32Array.from({ length: 12 }, (_, i) => i)
      const executable = await client.compile(program, 2, [type, { ...type, axis: 0 }])
      const state = client.upload(wholeNumbers, type)
      const batch = client.upload(wholeNumbers, { ...type, axis: 0 })
      assert.deepStrictEqual(client.alive(), { buffers: 4, executables: 1, events: 0 })
      const made = client.execute(executable, [state, batch], 1)
      const [sum, product] = await client.download(made, true)
      assert.deepStrictEqual(
        sum,
        Float32Array.from(wholeNumbers, (x) => 2 * x)
      )
      assert.deepStrictEqual(
        product,
        Float32Array.from(wholeNumbers, (x) => 2 * x * x)
      )
      client.release([state, batch, ...made])
      client.unload(executable)
      assert.deepStrictEqual(client.alive(), { buffers: 0, executables: 0, events: 0 })
      client.destroy()
    })
  )
})
