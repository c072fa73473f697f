import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Dataset from "../../src/dsl/Dataset.ts"
import * as Level from "../../src/dsl/Level.ts"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Problem from "../../src/dsl/Problem.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import * as Var from "../../src/dsl/Var.ts"
import * as Optimizer from "../../src/levels/Optimizer.ts"
import * as Mlp from "../../src/models/Mlp.ts"
import * as ResNet from "../../src/models/ResNet.ts"
import * as TorchNames from "../../src/models/TorchNames.ts"
import { crossEntropy } from "../../src/objectives/Objective.ts"
import * as Compiled from "../../src/engines/onnx/OnnxEngine.ts"
import * as Eager from "../../src/engines/eager/Eager.ts"
import { Engine } from "../../src/engines/Engine.ts"
import * as Run from "../../src/runtime/run/Run.ts"
import * as Gradient from "../../src/tensor/Gradient.ts"
import { hashed, network, pictures } from "../support/resnet.ts"

interface Oracle {
  readonly evaluated: ReadonlyArray<number>
  readonly trained: ReadonlyArray<number>
  readonly statistics: { readonly [name: string]: ReadonlyArray<number> }
  readonly gradients: { readonly [name: string]: ReadonlyArray<number> }
}
const oracle = JSON.parse(readFileSync(new URL("../support/oracles/resnet.json", import.meta.url), "utf8")) as Oracle

/** ‖a − b‖ / ‖b‖. */
const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.strictEqual(a.length, b.length)
  let [difference, norm] = [0, 0]
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    norm += b[i]! ** 2
  }
  return Math.sqrt(difference / norm)
}

/** As the oracle's `some`: equally spaced elements. */
const some = (data: ArrayLike<number>, count = 12): ReadonlyArray<number> => {
  const step = Math.max(1, Math.floor(data.length / count))
  return Array.from({ length: Math.min(count, Math.ceil(data.length / step)) }, (_, i) => data[i * step]!)
}

type State = { readonly params: ResNet.Params; readonly statistics: ResNet.Statistics }
type Batch = { readonly x: tf.Tensor4D; readonly cotangent: tf.Tensor2D }

const compiled = Compiled.layer({ threads: 1 })
const both = [Eager.layer("cpu"), compiled] as const

/** Features in both modes, statistics after a training pass and gradients of ⟨features, cotangent⟩. */
const everything = ({ params, statistics }: State, { cotangent, x }: Batch) => {
  const { aux, gradient } = Gradient.valueAndGradient((params: ResNet.Params) => {
    const [trained, next] = ResNet.train(params, statistics, x)
    return [tf.sum(tf.mul(trained, cotangent)) as tf.Scalar, { trained, next }] as const
  }, params)
  return { ...aux, gradient, evaluated: ResNet.evaluate(params, statistics, x) }
}

const observed = (of: TorchNames.Network, n: number, size: number, features: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const engine = yield* Engine
      const look = yield* engine.observe(everything)
      const state = yield* engine.upload<State>(of as never)
      const cotangent = NdArray.float32([n, features], hashed("cotangent", n * features))
      const found = yield* look(state, { x: pictures(n, size), cotangent } as never)
      yield* engine.release(state)
      return found as Tree.Host<ReturnType<typeof everything>>
    })
  )

const tiny: ResNet.Config = { width: 4, blocks: [1, 1, 1], stem: "small" }

describe("ResNet", () => {
  it.live("has torchvision's features, running statistics and gradients, in both modes", () =>
    Effect.gen(function* () {
      const found = yield* observed(network(ResNet.resnet18), 4, 64, 512)
      assert.isAtMost(apart(some(found.evaluated.data, 48), oracle.evaluated), 1e-5)
      assert.isAtMost(apart(some(found.trained.data, 48), oracle.trained), 1e-5)
      const after = new Map(
        TorchNames.encode({
          params: found.gradient as ResNet.HostParams,
          statistics: found.next as ResNet.HostStatistics
        })
      )
      for (const [name, expected] of Object.entries({ ...oracle.statistics, ...oracle.gradients })) {
        assert.isAtMost(apart(some(after.get(name)!.data), expected), 1e-4, name)
      }
    }).pipe(Effect.provide(compiled))
  )

  for (const [name, config, size] of [
    ["small", tiny, 8],
    ["large", { width: 3, blocks: [1, 2], stem: "large" }, 18]
  ] as const) {
    it.live(`of a ${name} stem has on the compiled engine what it has on the eager one`, () =>
      Effect.gen(function* () {
        const features = config.width * 2 ** (config.blocks.length - 1)
        const [eager, graph] = yield* Effect.forEach(both, (layer) =>
          observed(network(config), 3, size, features).pipe(Effect.provide(Layer.fresh(layer)))
        )
        const got = new Map(Tree.hostEntries(graph!))
        for (const [path, { data }] of Tree.hostEntries(eager!)) {
          assert.isAtMost(apart(got.get(path)!.data, data), 1e-4, path)
        }
      })
    )
  }

  it.live("learns which way bars lie, and knows it also by its running statistics", () =>
    Effect.gen(function* () {
      const [n, size, classes] = [96, 12, 3]
      const seed = Seed.make(5)
      const labels = Seed.integers(Seed.fold(seed, "labels"), n, classes)
      const noise = Seed.normal(Seed.fold(seed, "noise"), n * size * size * 3)
      const phase = Seed.uniform(Seed.fold(seed, "phase"), n)
      // Bars across, bars down, bars aslant, each somewhere else and under noise.
      const x = noise.map((z, i) => {
        const [picture, place] = [Math.floor(i / (size * size * 3)), Math.floor(i / 3) % (size * size)]
        const [row, column] = [Math.floor(place / size), place % size]
        const along = [row, column, row + column][labels[picture]!]!
        return 0.5 * z + Math.sin(1.5 * along + 2 * Math.PI * phase[picture]!)
      })
      const rows = { x: NdArray.float32([n, size, size, 3], x), y: NdArray.int32([n], labels) }
      const config: ResNet.Config = { width: 4, blocks: [1, 1], stem: "small" }
      const net = Var.make("net", (seed) => ({
        encoder: ResNet.init(config)(Seed.fold(seed, "encoder")),
        head: Mlp.dense(8, classes)(Seed.fold(seed, "head"))
      }))
      const level = Level.minimize(net, {
        buffers: Var.make("statistics", ResNet.statistics(config)),
        data: Dataset.fromRows("bars", rows, { batch: 32 }),
        optimizer: Optimizer.adam(0.02),
        objective: ({ net, statistics }, { x, y }) => {
          const [features, buffers] = ResNet.train(net.encoder, statistics, x)
          return { loss: crossEntropy(Mlp.affine(net.head, features), y), buffers }
        }
      })
      const evaluated = (vars: { readonly [name: string]: Tree.Tree }, { x, y }: any) => {
        const { net, statistics } = vars as any
        return { loss: crossEntropy(Mlp.affine(net.head, ResNet.evaluate(net.encoder, statistics, x)), y) }
      }
      const losses = yield* Run.ticks(Problem.close(level), { ticks: 40, seed: 2 }).pipe(
        Stream.mapEffect((tick) =>
          Effect.map(tick.index === 40 ? tick.evaluate(evaluated, rows as never) : Effect.void, (said) => [
            tick.levels["net"]!.loss,
            (said as { readonly loss: NdArray.NdArray } | undefined)?.loss.data[0]
          ])
        ),
        Stream.runCollect
      )
      assert.isAbove(losses[0]![0]!, 0.9)
      assert.isBelow(losses.at(-1)![0]!, 0.25)
      assert.isBelow(losses.at(-1)![1]!, 0.4)
    }).pipe(Effect.provide(compiled))
  )

  it("begins as He et al. say: filters of variance 2 / fan out", () => {
    const params = ResNet.init(ResNet.resnet18)(Seed.make(1))
    const statistics = ResNet.statistics(ResNet.resnet18)()
    assert.strictEqual(
      Tree.hostEntries(params).reduce((sum, [, { data }]) => sum + data.length, 0),
      11_176_512
    )
    for (const [path, { data, shape }] of Tree.hostEntries(params)) {
      if (shape.length === 1) continue
      const expected = 2 / (shape[0]! * shape[1]! * shape[3]!)
      const variance = Array.from(data).reduce((sum, w) => sum + w * w, 0) / data.length
      assert.closeTo(variance / expected, 1, 0.05, path)
    }
    assert.isTrue(
      Tree.hostEntries(statistics).every(([path, { data }]) => data[0] === Number(path.endsWith("variance")))
    )
  })

  it("refuses sizes that are none", () => {
    for (const wrong of [{ width: 0 }, { width: 1.5 }, { blocks: [] }, { blocks: [2, 0] }, { channels: 0 }]) {
      assert.throws(() => ResNet.init({ ...tiny, ...wrong })(Seed.make(0)), /ResNet: width .* whole numbers from 1/)
    }
  })
})
