import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Config from "../../../src/runs/trial/Config.ts"

const { Array, Boolean, Finite, Int, Literals, NullOr, Number, String, Struct } = Schema
const config = Config.make({
  schema: Struct({
    name: String,
    seed: Int,
    patience: Number,
    note: NullOr(String),
    data: Literals(["cola", "qqp"]),
    finetune: Struct({
      lr: Finite.check(Schema.isGreaterThan(0)),
      layers: Array(Int),
      freeze: Boolean,
      solver: Schema.Union([Schema.TaggedStruct("cg", { iters: Int }), Schema.TaggedStruct("identity", {})])
    }),
    warmup: Schema.optionalKey(Int)
  }),
  defaults: {
    name: "run",
    seed: 0,
    patience: Infinity,
    note: null,
    data: "cola",
    finetune: { lr: 1e-3, layers: [1, 2], freeze: false, solver: { _tag: "identity" } }
  },
  presets: { paper: { seed: 1, finetune: { lr: 2e-5, layers: [] } }, quick: { patience: 3 } }
})

const set = (...overrides: ReadonlyArray<string>) =>
  Effect.map(Config.resolve(config, { overrides }), ({ value }) => value)
const why = (layers: Config.Layers) => Effect.map(Effect.flip(Config.resolve(config, layers)), ({ message }) => message)
const whyNot = (...overrides: ReadonlyArray<string>) => why({ overrides })
const file = Effect.fnUntraced(function* (text: string) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped()}/c.json`
  yield* fs.writeFileString(path, text)
  return path
})

layer(NodeServices.layer)("Config", (it) => {
  it.effect("lays preset over default, file over preset, -s over file, and remembers which", () =>
    Effect.gen(function* () {
      const path = yield* file('{"finetune":{"lr":3e-5,"freeze":true},"note":"from file"}')
      const resolved = yield* Config.resolve(config, {
        preset: "paper",
        file: path,
        overrides: ["finetune.lr=1e-5", "warmup=10", "finetune.lr=4e-5"]
      })
      assert.deepStrictEqual(resolved.value, {
        name: "run",
        seed: 1,
        patience: Infinity,
        note: "from file",
        data: "cola",
        finetune: { lr: 4e-5, layers: [], freeze: true, solver: { _tag: "identity" } },
        warmup: 10
      })
      assert.deepStrictEqual(resolved.origins, {
        name: "default",
        seed: "preset paper",
        patience: "default",
        note: `file ${path}`,
        data: "default",
        "finetune.lr": "-s",
        "finetune.layers": "preset paper",
        "finetune.freeze": `file ${path}`,
        "finetune.solver": "default",
        warmup: "-s"
      })
      assert.deepStrictEqual(Config.entries(config, resolved)["finetune.lr"], { value: 4e-5, origin: "-s" })
      assert.deepStrictEqual(Config.entries(config, resolved)["patience"], { value: "Infinity", origin: "default" })
      const plain = yield* Config.resolve(config)
      assert.deepStrictEqual(plain.value, config.defaults)
      assert.isFalse(Object.hasOwn(plain.origins, "warmup"))
    })
  )

  it.effect("reads a value as its setting wants it", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* set("name=a=b,c|d")).name, "a=b,c|d")
      assert.strictEqual((yield* set("name=")).name, "")
      assert.strictEqual((yield* set("name=123")).name, "123")
      assert.strictEqual((yield* set("name=true")).name, "true")
      assert.strictEqual((yield* set('name="q"')).name, '"q"')
      assert.strictEqual((yield* set("note=null")).note, null)
      assert.strictEqual((yield* set("note=nul")).note, "nul")
      assert.strictEqual((yield* set("patience=Infinity")).patience, Infinity)
      assert.strictEqual((yield* set("data=qqp")).data, "qqp")
      assert.strictEqual((yield* set("finetune.freeze=true")).finetune.freeze, true)
      assert.deepStrictEqual((yield* set("finetune.layers=[3, 4]")).finetune.layers, [3, 4])
      assert.deepStrictEqual((yield* set('finetune.solver={"_tag":"cg","iters":8}')).finetune.solver, {
        _tag: "cg",
        iters: 8
      })
    })
  )

  it.effect("names the key, what was found and what was expected", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* whyNot("seed=1.5"), "config 'seed' (-s): found 1.5: Expected an integer")
      assert.include(yield* whyNot("seed=abc"), "config 'seed' (-s): found \"abc\": Expected")
      assert.include(
        yield* whyNot("finetune.lr=-1"),
        "config 'finetune.lr' (-s): found -1: Expected a value greater than 0"
      )
      assert.include(yield* whyNot("data=mnli"), 'found "mnli": Expected "cola" | "qqp"')
      assert.include(yield* whyNot('finetune.layers=["x"]'), 'found ["x"]: Expected')
      assert.include(yield* whyNot("finetune.lr=NaN"), "config 'finetune.lr' (-s): found \"NaN\"")
      assert.include(yield* whyNot("seed"), "config 'seed' (-s): expected key=value")
      assert.include(yield* whyNot("=3"), "expected key=value")
      const path = yield* file('{"finetune":{"lr":"fast"}}')
      assert.include(yield* why({ file: path }), `config 'finetune.lr' (file ${path}): found "fast": Expected`)
    })
  )

  it.effect("asks what was meant by a key, a group or a preset that it does not know", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* whyNot("finetune.rl=1"),
        "config 'finetune.rl' (-s): there is no such setting; did you mean 'finetune.lr'?"
      )
      assert.include(yield* whyNot("lr=1"), "did you mean 'finetune.lr'?")
      assert.include(yield* whyNot("sed=1"), "did you mean 'seed'?")
      assert.include(yield* whyNot("__proto__.x=1"), "there are name, seed,")
      assert.include(
        yield* whyNot("finetune=1"),
        "it is a group, expected one setting of it: finetune.lr, finetune.layers"
      )
      assert.include(yield* whyNot("seed.x=1"), "there is no such setting")
      assert.include(yield* why({ preset: "papre" }), "there is no such preset; did you mean 'paper'?")
      assert.include(yield* why({ preset: "toString" }), "there are paper, quick")
      assert.include(yield* why({ file: yield* file('{"finetune":{"lrr":1}}') }), "did you mean 'finetune.lr'?")
      assert.include(yield* why({ file: yield* file('{"finetune":3}') }), "config 'finetune' (file")
      assert.include(yield* why({ file: yield* file('{"__proto__":{"x":1}}') }), "there is no such setting")
    })
  )

  it.effect("says which file cannot be read, and holds the whole against the schema", () =>
    Effect.gen(function* () {
      assert.include(yield* why({ file: "/nowhere.json" }), "(file /nowhere.json): ")
      assert.include(yield* why({ file: yield* file("[1") }), "c.json): ")
      const range = Config.make({
        schema: Struct({ low: Int, high: Int }).check(
          Schema.makeFilter(({ high, low }) => low < high || "expected low < high")
        ),
        defaults: { low: 0, high: 1 }
      })
      const error = yield* Effect.flip(Config.resolve(range, { overrides: ["low=2"] }))
      assert.include(error.message, "(all together): expected low < high")
    })
  )
})
