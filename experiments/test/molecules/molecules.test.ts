import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Mlp, NdArray, OnnxEngine as Compiled, Plan, ResNet, Run, Seed } from "tapweight"
import type * as PictureBatches from "../../molecules/pictures/PictureBatches.ts"
import { scorable, scored, splitOf, unitOf } from "../../molecules/Labels.ts"
import * as Levels from "../../molecules/Levels.ts"
import * as Objectives from "../../molecules/Objectives.ts"
import { type Settings, small } from "../../molecules/Settings.ts"
import type { Task } from "../../molecules/Task.ts"
import { madeTask } from "../support/madeTask.ts"
import { partsOf } from "../support/parts.ts"

const settings: Settings = {
  ...small,
  size: 16,
  network: { width: 4, blocks: [1, 1], stem: "large" },
  clusters: [2, 3, 4],
  permutations: 5,
  // More than the validation part has, and so all of it.
  batch: { pretrain: 6, finetune: 6, reweight: 50 },
  warmup: 1,
  classification: { ...small.classification, reweight: 200 },
  regression: { ...small.regression, reweight: 200 },
  ticks: 4,
  finetuneTicks: 4
}

const count = 12
const each = 3 * settings.size ** 2
const bytes = Uint8Array.from(Seed.integers(Seed.make(5), count * each, 256))
const pictures: PictureBatches.Pictures = {
  size: settings.size,
  count,
  read: (rows) =>
    Effect.succeed(
      Uint8Array.from(Array.from(rows).flatMap((row) => [...bytes.subarray(row * each, (row + 1) * each)]))
    )
}

const task = (kind: Task["kind"]): Task => {
  const tasks = 2
  const drawn = Seed.uniform(Seed.make(6), count * tasks)
  // A missing label in each column.
  const label = (u: number, i: number) =>
    i < tasks && kind === "classification" ? Number.NaN : kind === "classification" ? Math.round(u) : u
  const labelled = { pictures, labels: NdArray.float32([count, tasks] as const, drawn.map(label)) }
  return madeTask({
    name: "made",
    kind,
    tasks,
    pool: {
      pictures,
      clusters: NdArray.int32(
        [count, 3] as const,
        Int32Array.from({ length: 3 * count }, (_, i) => (i * 7) % (2 + (i % 3)))
      ),
      counts: settings.clusters
    },
    train: labelled,
    validation: labelled,
    test: labelled
  })
}

const lambdaOf = (tick: Run.Tick) => tick.levels["reweight"]?.metrics["lambda"] as ReadonlyArray<number> | undefined

describe("the molecules' levels", () => {
  for (const kind of ["classification", "regression"] as const) {
    for (const useless of [false, true]) {
      it.effect(`${kind}${useless ? ", a useless objective beside" : ""}: every method's problem runs`, () =>
        Effect.gen(function* () {
          const options: Settings = { ...settings, useless, validation: useless ? "loss" : "ranking" }
          const levels = Levels.make(options, task(kind), undefined)
          for (const name of ["tapweight", "bilevel"] as const) {
            const ticks = yield* Stream.runCollect(
              Run.ticks(levels[name] as typeof levels.tapweight, { ticks: 4, seed: 1 })
            )
            const moved = ticks.map(lambdaOf)
            // λ is reported as an update found it: equal at its first, which warm-up puts at the second tick.
            const equal = 1 / Objectives.names(options).length
            assert.isUndefined(moved[0])
            for (const weight of moved[1]!) assert.closeTo(weight, equal, 1e-6)
            assert.closeTo(
              moved[3]!.reduce((sum, weight) => sum + weight, 0),
              1,
              1e-6
            )
            assert.isTrue(moved[3]!.some((weight) => Math.abs(weight - equal) > 1e-4))
          }
          for (const problem of [
            levels.pretraining(),
            levels.finetuning(undefined, "held"),
            levels.finetuning(undefined, "free")
          ]) {
            const ticks = yield* Stream.runCollect(
              Run.ticks(problem as ReturnType<typeof levels.pretraining>, { ticks: 2, seed: 1 })
            )
            assert.strictEqual(ticks.length, 2)
          }
        }).pipe(Effect.provide(Compiled.layer()))
      )
    }
  }
})

describe("λ", () => {
  it.effect("starts from the initial weights, which general pretraining and equal weights do not see", () =>
    Effect.gen(function* () {
      const initial = { mg1: 0.1, mg2: 0.2, mg3: 0.3, jigsaw: 0.15, mask: 0.25 }
      const levels = Levels.make({ ...settings, initial }, task("regression"), undefined)
      const moved = yield* Stream.runCollect(Run.ticks(levels.tapweight, { ticks: 2, seed: 1 }))
      for (const [i, weight] of lambdaOf(moved[1]!)!.entries()) assert.closeTo(weight, Object.values(initial)[i]!, 1e-6)
      const plain = Levels.make(settings, task("regression"), undefined)
      const problems = [
        plain.pretraining(),
        levels.pretraining(),
        levels.pretraining(initial),
        plain.general(),
        levels.general()
      ]
      const [equal, same, weighted, general, again] = yield* Effect.forEach(problems, (problem) =>
        Effect.map(
          Stream.runCollect(Run.ticks(problem as ReturnType<typeof plain.pretraining>, { ticks: 1, seed: 1 })),
          ([tick]) => Object.values(tick!.levels)[0]!.loss
        )
      )
      assert.deepStrictEqual([same, again], [equal, general])
      assert.notEqual(weighted, equal)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("level III of a classification", () => {
  it.effect("minimizes what the settings say", () =>
    Effect.gen(function* () {
      const losses = yield* Effect.forEach(["loss", "ranking"] as const, (validation) =>
        Effect.map(
          Stream.runCollect(
            Run.ticks(Levels.make({ ...settings, validation }, task("classification"), undefined).tapweight, {
              ticks: 2,
              seed: 1
            })
          ),
          (ticks) => ticks[1]!.levels["reweight"]!.loss
        )
      )
      assert.isAbove(Math.abs(losses[0]! - losses[1]!), 1e-6)
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("what updates ω", () => {
  it("is what the settings say, in level II and in finetuning; θ has momentum", () => {
    for (const optimizer of ["adam", "momentum"] as const) {
      const levels = Levels.make({ ...settings, optimizer }, task("regression"), undefined)
      const named = [levels.tapweight, levels.finetuning(undefined, "free")].flatMap((problem) =>
        Result.getOrThrow(Plan.make(problem as never)).levels.map(({ name, optimizer }) => [name, optimizer] as const)
      )
      const of = (level: string) => named.filter(([name]) => name === level).map(([, used]) => used)
      assert.lengthOf(of("finetune"), 2)
      for (const used of of("finetune")) assert.match(used, new RegExp(`${optimizer}\\(`))
      assert.match(of("pretrain")[0]!, /momentum\(/)
    }
  })
})

describe("finetuning", () => {
  it.effect("begins at its encoder and stays nearer to it where it is held", () =>
    Effect.gen(function* () {
      const levels = Levels.make({ ...settings, gamma: 10, finetuneTicks: 20 }, task("regression"), undefined)
      const start = {
        params: ResNet.init(settings.network)(Seed.make(1)),
        statistics: ResNet.statistics(settings.network)()
      }
      const run = (how: "held" | "free") =>
        Effect.map(Stream.runCollect(Run.ticks(levels.finetuning(start, how), { ticks: 20, seed: 1 })), (ticks) =>
          ticks.map(({ levels }) => levels["finetune"]!)
        )
      const held = yield* run("held")
      const free = yield* run("free")
      const distances = (of: typeof held) => of.map(({ metrics }) => metrics["distance"] as number)
      assert.deepStrictEqual([distances(held)[0], distances(free)[0]], [0, 0])
      assert.isAbove(distances(free)[19]!, 0)
      assert.isBelow(distances(held)[19]!, 0.5 * distances(free)[19]!)
      // The loss of a held one is the task's and γ times the distance; that of a free one is the task's alone.
      const { loss, metrics } = held[19]!
      assert.closeTo(loss, (metrics["task"] as number) + 10 * distances(held)[19]!, 1e-5)
      assert.strictEqual(free[19]!.loss, free[19]!.metrics["task"])
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("general pretraining", () => {
  it.effect("has batches of its own, and hands its heads on", () =>
    Effect.gen(function* () {
      const levels = Levels.make(settings, task("regression"), undefined)
      const first = (problem: unknown) =>
        Effect.map(
          Stream.runCollect(Run.ticks(problem as ReturnType<typeof levels.general>, { ticks: 1, seed: 1 })),
          ([tick]) => Object.values(tick!.levels)[0]!.loss
        )
      // The same weights meet other rows, masks and puzzles.
      const [general, continued, again] = yield* Effect.forEach(
        [levels.general(), levels.pretraining(), levels.pretraining()],
        first
      )
      assert.notEqual(general, continued)
      assert.strictEqual(again, continued)
      const dense = (outputs: number) => Mlp.dense(8, outputs)(Seed.make(11))
      const start: Levels.Start = {
        params: ResNet.init(settings.network)(Seed.make(1)),
        statistics: ResNet.statistics(settings.network)(),
        heads: { clusters: [dense(2), dense(3), dense(4)], jigsaw: dense(6), coin: dense(2) }
      }
      const from = (start: Levels.Start) =>
        first(Levels.make(settings, task("regression"), start).pretraining() as unknown)
      const { heads: _, ...headless } = start
      assert.notEqual(yield* from(start), yield* from(headless))
    }).pipe(Effect.provide(Compiled.layer()))
  )
})

describe("splits of a set", () => {
  const rows = Int32Array.from({ length: 40 }, (_, i) => i + (i > 3 ? 1 : 0))
  const structures = { rows, chiral: Array.from(rows, (row) => `scaffold ${row % 5}`) }
  const labels = Array.from({ length: 41 }, (_, i) => Number(i % 4 === 0))

  it("are of all accepted rows and no other, whichever is asked for", () => {
    for (const kind of ["scaffold", "random", "stratified"] as const) {
      const { test, train, validation } = partsOf(Result.getOrThrow(splitOf(kind, "made", structures, labels, 1)))
      assert.deepStrictEqual(
        [...train, ...validation, ...test].sort((a, b) => a - b),
        [...rows]
      )
      assert.strictEqual(train.length, 32)
    }
    const { train } = Result.getOrThrow(splitOf("stratified", "made", structures, labels, 1))
    const positives = (of: Int32Array) => of.filter((row) => labels[row] === 1).length
    assert.strictEqual(positives(train), Math.round(0.8 * positives(rows)))
  })

  it("within classes of several labels or of measurements are refused, with what to choose", () => {
    const said = (labels: ReadonlyArray<number>, tasks: number) =>
      Result.getOrThrow(Result.flip(splitOf("stratified", "made", structures, labels, tasks))).message
    assert.match(
      said([...labels, ...labels], 2),
      /made.*it has 2 labels a molecule: choose split=scaffold or split=random/
    )
    assert.match(
      said(
        labels.map((_, i) => i / 3),
        1
      ),
      /it has 40 different values/
    )
  })
})

describe("labels of a set", () => {
  const set = { name: "made", task: "regression", metric: "rmse" } as const
  const said = (found: Result.Result<unknown, { readonly message: string }>) =>
    Result.getOrThrow(Result.flip(found)).message

  it("of a regression have a unit, missing ones left out; one without or with one value is named", () => {
    const nan = Number.NaN
    const unit = Result.getOrThrow(unitOf(set, [1, 10, 3, nan, nan, 30], ["a", "b"]))
    assert.deepStrictEqual(unit, { mean: [2, 20], deviation: [1, 10] })
    assert.match(said(unitOf(set, [1, 7, 3, 7], ["a", "b"])), /made.*label 'b' has one value only in its training part/)
    assert.match(said(unitOf(set, [nan, 7, nan, 8], ["a", "b"])), /label 'a' has no value/)
  })

  it("that no part can be scored on are refused before anything is trained", () => {
    const classes = { name: "made", metric: "roc-auc" } as const
    assert.strictEqual(scorable(classes, [1, 0, 1, 1], 2), 1)
    assert.strictEqual(scorable(classes, [1, 0, 1, 0], 2), 0)
    assert.strictEqual(scorable(classes, [1, 1], 1), 0)
    assert.strictEqual(scorable(set, [1, Number.NaN], 2), 1)
    assert.strictEqual(scorable(set, [Number.NaN], 1), 0)
    assert.isTrue(Result.isSuccess(scored(classes, "test", "scaffold", 1, 2)))
    assert.match(
      said(scored(classes, "validation", "scaffold", 0, 2)),
      /no label has both classes in its validation part: give more rows, or choose split=random$/
    )
    assert.match(said(scored(classes, "test", "stratified", 0, 1)), /choose split=scaffold or split=random$/)
    assert.match(
      said(scored(set, "test", "scaffold", 0, 1)),
      /no label has a value in its test part: give more rows, or choose split=random$/
    )
  })
})
