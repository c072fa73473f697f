import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import {
  type Comparison,
  NdArray,
  OnnxEngine as Compiled,
  Optimizer,
  Plan,
  type Problem,
  Rate,
  Seed,
  Session,
  Simplex
} from "tapweight"
import * as Levels from "../../molecules/Levels.ts"
import * as Methods from "../../molecules/Methods.ts"
import * as Objectives from "../../molecules/Objectives.ts"
import type * as PictureBatches from "../../molecules/pictures/PictureBatches.ts"
import * as Score from "../../molecules/Score.ts"
import { Method, type Settings, small } from "../../molecules/Settings.ts"
import { madeTask } from "../support/madeTask.ts"
import { partsOf } from "../support/parts.ts"

const settings: Settings = {
  ...small,
  size: 12,
  network: { width: 4, blocks: [1], stem: "small" },
  permutations: 5,
  batch: { pretrain: 4, finetune: 4, reweight: 4 },
  // Shades stay what they are.
  augmentation: { flip: 0.5, grey: 0, rotation: 0, fill: "black" },
  initial: { mg1: 0.1, mg2: 0.1, mg3: 0.1, jigsaw: 0.1, mask: 0.6 },
  finetunings: ["held", "free"]
}
const count = 6
const each = 3 * settings.size ** 2

/** Pictures of one shade each: that of a part's first row, and one more for each row. */
const shaded = (first: number): PictureBatches.Labelled => ({
  pictures: {
    size: settings.size,
    count,
    read: (rows) =>
      Effect.succeed(
        Uint8Array.from(Array.from(rows).flatMap((row) => Array.from({ length: each }, () => first + row)))
      )
  },
  labels: NdArray.float32(
    [count, 1] as const,
    Array.from({ length: count }, (_, row) => first + row)
  )
})
const shades = { pool: 10, train: 50, validation: 100, test: 150 }
const task = {
  ...madeTask({
    name: "shades",
    kind: "regression",
    tasks: 1,
    pool: {
      pictures: shaded(shades.pool).pictures,
      clusters: NdArray.int32([count, 3] as const, new Int32Array(3 * count)),
      counts: [2, 2, 2]
    },
    train: shaded(shades.train),
    validation: shaded(shades.validation),
    test: shaded(shades.test)
  }),
  unit: { mean: [5], deviation: [3] }
}

/** Which part a normalised picture is of, by its first channel. */
const partOf = (value: number): string => {
  // As `Augment.normalize` does: less ImageNet's mean, over its deviation.
  const shade = 255 * (value * 0.229 + 0.485)
  return (
    Object.entries(shades).find(([, first]) => shade > first - 0.5 && shade < first + count)?.[0] ?? `shade ${shade}`
  )
}
const partsIn = (pictures: NdArray.NdArray) =>
  new Set(Array.from({ length: pictures.data.length / each }, (_, i) => partOf(pictures.data[i * each]!)))

type Ran = { readonly name: string; readonly problem: Problem.Problem.Any; readonly events: Array<string> }
type Options = Parameters<Session.Session["trial"]>[1]

/** β at which the trials here that learn weights end. */
const learned = { mg1: 0.05, mg2: 0.15, mg3: 0.2, jigsaw: 0.25, mask: 0.35 }

/** Trains nothing: notes what each trial is asked for, and ends it with the values that it would start from. */
const recorded = (start: Levels.Start, folder: string) => {
  const session = { folder: { id: "made", program: "molecules", path: folder } } as Session.Session
  const ran: Array<Ran> = []
  const levels = Levels.make(settings, task, start)
  const trial = (name: string, options: Options) =>
    Effect.gen(function* () {
      const events: Array<string> = []
      mkdirSync(Session.trialFolder(session.folder, name).path, { recursive: true })
      ran.push({ name, problem: options.problem, events })
      const tick = {
        evaluate: (_: unknown, { pictures }: { readonly pictures: NdArray.NdArray }) => {
          events.push(`scored ${[...partsIn(pictures)].join()}`)
          return Effect.succeed({ predicted: NdArray.float32([64, 1], new Float32Array(64)) })
        }
      }
      if (options.validation !== undefined) yield* options.validation.score(tick as never)
      events.push("ended")
      const beta = Simplex.logits(levels.beta, learned)
      const theta = { encoder: start.params, heads: start.heads }
      return {
        tick: 1,
        vars: { theta, thetaStatistics: start.statistics, beta },
        selection: { best: { tick: 1, score: 0 }, since: 0 },
        seconds: { training: 1, waiting: 0 },
        test: (part: typeof task.test) => {
          const { test } = partsOf({ ...task, test: part })
          events.push(`tested ${test === partsOf(task).test ? "test" : "others"}`)
          return Effect.succeed(0)
        }
      }
    })
  const trials = { trial, shared: trial } as never as Comparison.Trials
  return { ran, methods: Methods.make(session, settings, task, 1, start, true, trials) }
}

const start = () => {
  const levels = Levels.make(settings, task, undefined)
  const root = Seed.make(3)
  const definitions = [
    levels.tapweight.top,
    ...levels.tapweight.top.upstream,
    ...levels.tapweight.top.upstream[0]!.upstream
  ]
  const theta = definitions.find(({ own }) => own.name === "theta")!
  const { encoder, heads } = theta.own.init(root) as never as {
    readonly encoder: Levels.Start["params"]
    readonly heads: Objectives.HostHeads
  }
  return {
    params: encoder,
    statistics: theta.buffers!.init(root) as never,
    heads
  } satisfies Levels.Start as Levels.Start
}

const lambdaOf = (levels: ReturnType<typeof Levels.make>, problem: Problem.Problem.Any) => {
  const { value } = problem.top.fixed.find(({ variable }) => variable.name === "beta")!
  return Simplex.shares(levels.beta, value as NdArray.NdArray)
}
const close = (found: Objectives.Lambda, expected: Objectives.Lambda) => {
  assert.deepStrictEqual(Object.keys(found), Object.keys(expected))
  for (const [name, share] of Object.entries(expected)) assert.closeTo(found[name]!, share, 1e-6, name)
}

const every = Effect.gen(function* () {
  const folder = mkdtempSync(join(tmpdir(), "tapweight-methods-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
  const { methods, ran } = recorded(start(), folder)
  const gave = yield* Effect.forEach(Method.literals, (method) =>
    Effect.map(methods.train(method), (row) => [method, row] as const)
  )
  return { ran, gave: new Map(gave) }
}).pipe(Effect.scoped, Effect.provide([Compiled.layer({ threads: 1 }), NodeServices.layer]))

describe("the methods on molecules", () => {
  it.live(
    "open the test part once for each finetuning, after it is selected on validation molecules, and at no other time",
    () =>
      Effect.gen(function* () {
        const { ran } = yield* every
        const finetunings = ran.filter(({ name }) => name.includes("/finetune-"))
        assert.lengthOf(finetunings, 2 * Method.literals.length)
        for (const { events, name } of ran) {
          const expected = finetunings.some((one) => one.name === name)
            ? ["scored validation", "ended", "tested test"]
            : ["ended"]
          assert.deepStrictEqual(events, expected, name)
        }
      })
  )

  it.live(
    "final weights are those that TapWeight's trial ended with; equal and initial ones are what they are called",
    () =>
      Effect.gen(function* () {
        const { ran } = yield* every
        const levels = Levels.make(settings, task, undefined)
        const heldAt = (part: string) => lambdaOf(levels, ran.find(({ name }) => name.includes(part))!.problem)
        close(heldAt("final/pretrain"), learned)
        close(heldAt("pretraining/equal/"), Objectives.equal(settings))
        close(heldAt("pretraining/initial/"), settings.initial!)
      })
  )

  it.live("count every trial that they take: final weights cost the search for them as well", () =>
    Effect.gen(function* () {
      const { gave } = yield* every
      // Each trial here takes a second.
      const trials = { finetune: 0, equal: 1, initial: 1, bilevel: 1, tapweight: 1, final: 2 }
      assert.deepStrictEqual([...gave.keys()].sort(), Object.keys(trials).sort())
      for (const [method, { seconds, updates }] of gave) {
        assert.strictEqual(seconds.pretraining, trials[method], method)
        assert.strictEqual(seconds.finetuning, 1, method)
        assert.strictEqual(updates.pretraining, trials[method] * settings.ticks, method)
      }
    })
  )

  it("the ablation has a rate of its own: level III's, with the factor that its response lacks", () => {
    const levels = Levels.make(settings, task, undefined)
    const optimizers = (problem: Problem.Problem.Any) =>
      Object.fromEntries(Result.getOrThrow(Plan.make(problem)).levels.map(({ name, optimizer }) => [name, optimizer]))
    const { gamma, regression, schedule } = settings
    const sgd = (rate: number) => Optimizer.sgd(Rate.step({ rate, ...schedule })).name
    assert.strictEqual(optimizers(levels.tapweight)["reweight"], sgd(regression.reweight))
    assert.strictEqual(optimizers(levels.bilevel)["reweight"], sgd(2 * gamma * regression.reweight))
    assert.notStrictEqual(2 * gamma, 1)
    assert.strictEqual(optimizers(levels.bilevel)["joint"], optimizers(levels.tapweight)["pretrain"])
  })
})

describe("batches of the levels on molecules", () => {
  it.live("are of the part that the level is for, in every problem", () =>
    Effect.gen(function* () {
      const levels = Levels.make(settings, task, undefined)
      const reads: { readonly [level: string]: ReadonlyArray<string> } = {
        pretrain: ["pool"],
        general: ["pool"],
        finetune: ["train"],
        reweight: ["validation"],
        joint: ["pool", "train"]
      }
      const problems: ReadonlyArray<Problem.Problem.Any> = [
        levels.tapweight,
        levels.bilevel,
        levels.pretraining(),
        levels.finetuning(undefined, "held"),
        levels.finetuning(undefined, "free"),
        Levels.general(settings, task, undefined)
      ]
      const seen = new Set<string>()
      type Level = Problem.Problem.Any["top"]
      const below = (level: Level): ReadonlyArray<Level> => [level, ...level.upstream.flatMap(below)]
      for (const level of problems.flatMap(({ top }) => below(top))) {
        seen.add(level.name)
        const sample = yield* level.data.open as Effect.Effect<(seed: Seed.Seed, index: number) => Effect.Effect<never>>
        for (const index of [0, 1, 2]) {
          const batch: { readonly [field: string]: NdArray.NdArray } = yield* sample(Seed.make(4), index)
          const parts = [batch["views"], batch["pictures"]].flatMap((field) =>
            // Of pictures that objectives read the first third is as it was.
            field === undefined ? [] : [...partsIn(field === batch["views"] ? first(field) : field)]
          )
          assert.deepStrictEqual([...new Set(parts)], reads[level.name], level.name)
          const { labels } = batch
          if (labels === undefined) continue
          const part = reads[level.name]!.at(-1) as keyof typeof shades
          for (const label of labels.data)
            assert.isTrue(label >= shades[part] && label < shades[part] + count, level.name)
        }
      }
      assert.deepStrictEqual([...seen].sort(), Object.keys(reads).sort())
    }).pipe(Effect.scoped)
  )
})

const first = (views: NdArray.NdArray): NdArray.NdArray =>
  NdArray.rows(
    views,
    Array.from({ length: views.shape[0]! / 3 }, (_, i) => i)
  )

describe("scores on molecules", () => {
  it.effect("are in the labels' own unit", () =>
    Effect.gen(function* () {
      // Labels that are trained on lie 0.5 below what is predicted: half a deviation of 3.
      const tick = {
        evaluate: (_: unknown, { pictures }: { readonly pictures: NdArray.NdArray }) =>
          Effect.succeed({
            predicted: NdArray.float32(
              [pictures.shape[0]!, 1],
              Array.from({ length: pictures.shape[0]! }, (_, i) => shades.validation + i + 0.5)
            )
          })
      }
      assert.closeTo(yield* Score.ofTick(tick as never, task), 1.5, 1e-5)
    })
  )
})
