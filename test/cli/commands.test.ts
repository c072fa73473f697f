import { spawn, spawnSync } from "node:child_process"
import { hash } from "node:crypto"
import { once } from "node:events"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { resident } from "../support/resident.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const main = join(root, "src/cli/main.ts")
const hyper = join(root, "examples/01-hyperparameters.ts")
let scratch = ""

/** A command as a process of its own. */
const spawnedIn = (cwd: string, ...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [main, ...args], { cwd, encoding: "utf8" })
  return { code: status, out: stdout, err: stderr }
}
const cli = resident()
const tapweight = (...args: ReadonlyArray<string>) => cli.run(scratch, args)

/** A program file in the scratch folder, importing the package by its path. */
const file = (name: string, text: string): string => {
  const path = join(scratch, name)
  writeFileSync(path, text.replaceAll("SRC", join(root, "src")))
  return path
}

const bilevel = (extra: string) => `
import * as tf from "${join(root, "node_modules/@tensorflow/tfjs-core/dist/tf-core.node.js")}"
import { Config, Dataset, Hypergradient, Init, Level, Optimizer, Problem, Product, Program, Solver, Var } from "SRC/index.ts"
const x = Var.make("x", Init.ones([2]))
const y = Var.make("y", Init.ones([2]))
const inner = Level.minimize(x, { name: "inner", given: [y], data: Dataset.none, optimizer: Optimizer.sgd(0.1),
  objective: ({ x, y }) => tf.sum(tf.square(tf.sub(x, y))) })${extra}
const outer = Level.minimize(y, { name: "outer", upstream: [inner], data: Dataset.none, optimizer: Optimizer.sgd(0.1),
  objective: ({ x }) => tf.sum(tf.square(tf.sub(x, 3))) })
export default Program.fromProblem({ name: "scratch", description: "", problem: () => Problem.close(outer),
  config: Config.make({ schema: Program.Common, defaults: { seed: 0, ticks: 5 } }) })
`
const estimated =
  ".pipe(Level.hypergradient(Hypergradient.implicit({ solver: Solver.exact, product: Product.finiteDifference({ radius: 1 }) })))"

beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-cli-")))
})
afterAll(() => {
  cli.end()
  rmSync(scratch, { recursive: true, force: true })
})

describe("the command line", () => {
  it("keeps the precision that a run was begun in, without which it would be another program", () => {
    const program = file("rounded.ts", bilevel(estimated))
    const run = tapweight("run", program, "--precision", "tf32", "--format", "json", "-q", "--runs", "rounded")
    assert.strictEqual(run.code, 0, run.err)
    const folder = join(scratch, (JSON.parse(run.out) as { readonly run: string }).run)
    const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as {
      engine: { precision?: string }
    }
    assert.strictEqual(manifest.engine.precision, "tf32")
    assert.match(readFileSync(join(folder, "plan.txt"), "utf8"), /inner .* in tf32/)
    const resumed = tapweight("resume", folder, "--ticks", "7", "-q")
    assert.strictEqual(resumed.code, 0, resumed.err)
  })

  it("refuses what it cannot use with exit code 2 and a sentence", () => {
    const table: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["run"], "program"],
      [["plan", "nope"], "a program is a file, named by its path"],
      [["plan", "toString"], "a program is a file, named by its path"],
      [["plan", "missing.ts"], "cannot be read"],
      [["plan", file("empty.ts", "export const a = 1\n")], "its default export is no program"],
      [
        ["plan", file("alone.ts", 'import "tapweight"\n')],
        "install what it imports where it lies (npm install tapweight"
      ],
      [["plan", file("throws.ts", 'throw new RangeError("rate is -1")\n')], "rate is -1"],
      [["plan", hyper, "-s", "rte=1"], "did you mean 'rate'"],
      [["plan", hyper, "-s", "rate=fast"], "rate"],
      [["plan", hyper, "-s", "rate=-1"], "rate"],
      [["plan", hyper, "--preset", "none"], "no such preset"],
      [["plan", file("unestimated.ts", bilevel(""))], "states no estimator"],
      [["run", hyper, "--engine", "tensorflow"], "npm install @tensorflow/tfjs-node"],
      [["run", hyper, "--threads", "0"], "threads"],
      [["run", hyper, "--threads", "3000"], "between 1 and 256"],
      [["run", hyper, "--engine", "wasm", "--threads", "2"], "takes no number of threads"],
      [["run", hyper, "--devices", "2"], "takes no number of devices"],
      [["run", hyper, "--engine", "xla", "--devices", "0"], "between 1 and 1024"],
      [["run", hyper, "--engine", "xla", "--shard-optimizer"], "say how many with --devices"],
      [["plan", hyper, "--devices", "7"], "rows a batch, which 7 devices cannot share equally"],
      [["run", hyper, "--precision", "bfloat16"], "computed in bfloat16, which the engine 'xla' does"],
      [["run", hyper, "--precision", "float64"], "float64"],
      [["resume", "nothing"], "nothing"],
      [["verify", hyper, "--level", "nobody"], "levels are"],
      [["verify", hyper, "--directions", "0"], "directions"]
    ]
    for (const [args, sentence] of table) {
      const { code, err, out } = tapweight(...args)
      assert.strictEqual(code, 2, `${args.join(" ")}: ${err}`)
      assert.include(err + out, sentence, args.join(" "))
      assert.notMatch(err, /\n {4,}at /, args.join(" "))
    }
    // An engine that could not start left no folder.
    assert.notInclude(readdirSync(scratch), "runs")
  })

  it("says where in a program a mistake is: file, line and the code there, and the stack where it is asked for", () => {
    const table: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ["syntax.ts", ["const a: number = 1", "const b = (2 +", "export default 3 3"]],
      ["syntax.mjs", ["const a = 1", "foo bar"]],
      ["thrown.ts", ["const rate = (r: number) => {", '  throw new RangeError("bad rate")', "}", "rate(1)"]],
      ["object.ts", ["// An object that is no error.", 'throw { code: "E7" }']]
    ]
    const lines: { readonly [name: string]: number } = { "syntax.ts": 3, "syntax.mjs": 2, "thrown.ts": 2 }
    for (const [name, text] of table) {
      const { code, err } = tapweight("plan", file(name, text.join("\n")))
      assert.strictEqual(code, 2, err)
      assert.notInclude(err, "[object Object]")
      const line = lines[name]
      if (line === undefined) assert.include(err, "E7")
      else assert.match(err, new RegExp(`  at ${name}:${line}(:\\d+)?\n`), name)
    }
    assert.match(tapweight("plan", join(scratch, "thrown.ts")).err, /\n {6}throw new RangeError\("bad rate"\)\n {12}\^/)
    const objective = bilevel(estimated)
      .replace("tf.sub(x, 3)", "nothing.at(x)")
      .replace("const x =", "const nothing = undefined as any\nconst x =")
    const { err } = tapweight("run", file("objective.ts", objective), "--log-level", "debug")
    assert.match(err, /  at objective\.ts:\d+:\d+\n.*nothing\.at\(x\)/)
    assert.match(err, /\n\s+at .*objective\.ts/)
  })

  it("plans as text, Mermaid and JSON, and runs nothing", () => {
    assert.include(tapweight("plan", hyper).out, "solve at fit")
    assert.match(tapweight("plan", hyper, "--format", "mermaid").out, /^flowchart LR\n/)
    const json = tapweight("plan", hyper, "--format", "json").out
    assert.strictEqual(JSON.parse(json).problems.hyperparameters.levels[0].name, "fit")
    assert.match(
      tapweight("plan", hyper, "--devices", "2", "--shard-optimizer").out,
      /\non 2 devices\n {2}fit: data train, 15 of 30 rows on each \(x, y\)\n[^]* {2}state: whole on each, the optimizers' in parts/
    )
    // What it prints it also reads.
    assert.strictEqual(tapweight("plan", file("plans.json", json)).out, tapweight("plan", hyper).out)
    const several = file(
      "several.ts",
      bilevel(estimated)
        .replace(
          "export default Program.fromProblem({ name:",
          "export default Program.make({ prepare: () => Effect.void, run: () => Effect.die(0), name:"
        )
        .replace(
          "problem: () =>",
          "problems: () => ({ one: Problem.close(outer), same: Problem.close(outer), inner: Problem.close(inner.pipe(Level.fix(y))) }), other: () =>"
        )
        .replace(
          "import * as tf",
          `import * as Effect from "${join(root, "node_modules/effect/dist/Effect.js")}"\nimport * as tf`
        )
    )
    const plans = JSON.parse(tapweight("plan", several, "--format", "json").out).problems
    assert.deepStrictEqual(Object.keys(plans), ["one", "same", "inner"])
    assert.match(tapweight("plan", several).out, /^problem one, same\n[^]*\n\nproblem inner\n/)
    assert.include(
      tapweight("verify", several, "--problem", "two").err,
      "there is no problem 'two': there is one, same"
    )
  })

  it("says before a folder is made that an objective throws or its shapes do not fit, in plan as in run", () => {
    const objective = (name: string, text: string) => file(name, bilevel(estimated).replace("tf.sub(x, 3)", text))
    const thrown = objective("thrower.ts", '(() => { throw new Error("no such thing") })()')
    for (const args of [
      ["plan", thrown],
      ["run", thrown, "--runs", "wrong"]
    ]) {
      const { code, err } = tapweight(...args)
      assert.strictEqual(code, 1, err)
      assert.include(err, "tick 1, level 'outer': no such thing")
    }
    const shapes = objective("misfit.ts", "tf.add(x, tf.ones([3]))")
    const planned = tapweight("plan", shapes)
    assert.match(planned.err, /warning {2}no compiled engine runs it: level 'outer': add/)
    assert.include(planned.out, "solve at inner")
    const run = tapweight("run", shapes, "--runs", "wrong")
    assert.strictEqual(run.code, 2, run.err)
    assert.match(run.err, /error {2}level 'outer': add/)
    assert.notInclude(readdirSync(scratch), "wrong")
  })

  it("plans a wiring from a file, and names unknown and cyclic levels in one", () => {
    const level = (name: string, upstream: ReadonlyArray<string>) => ({
      name,
      variable: `v${name}`,
      given: [],
      upstream,
      unroll: 1,
      repeat: 1,
      warmup: 0,
      freeze: null,
      restart: false,
      optimizer: "sgd",
      data: "none",
      estimator: null
    })
    const wiring = (...levels: ReadonlyArray<unknown>) =>
      file("wiring.json", JSON.stringify({ levels, fixed: [], top: "b", simultaneous: false }))
    assert.include(tapweight("plan", wiring(level("a", []), level("b", ["a"]))).out, "b  minimizes vb")
    assert.include(tapweight("plan", wiring(level("a", ["c"]), level("b", ["a"]))).err, "'c', which is no level")
    assert.include(tapweight("plan", wiring(level("a", ["b"]), level("b", ["a"]))).err, "cycle")
    assert.include(tapweight("plan", file("wiring.json", "{}")).err, "levels")
  })

  it("runs quietly for scripts, resumes a done run to the same result, and verifies", () => {
    const program = file("scratch.ts", bilevel(estimated))
    const run = tapweight("run", program, "-s", "ticks=7", "--threads", "3", "--format", "json", "--quiet")
    assert.strictEqual(run.code, 0, run.err)
    assert.strictEqual(run.err, "")
    const { result, run: folder } = JSON.parse(run.out)
    assert.strictEqual(result.tick, 7)
    assert.includeMembers(readdirSync(join(scratch, folder)), [
      "config.json",
      "final.safetensors",
      "manifest.json",
      "metrics-1.ndjson",
      "plan.json",
      "plan.txt",
      "result.json",
      "status.json"
    ])
    assert.deepInclude(JSON.parse(readFileSync(join(scratch, folder, "config.json"), "utf8")).ticks, {
      value: 7,
      origin: "-s"
    })
    const { engine } = JSON.parse(readFileSync(join(scratch, folder, "manifest.json"), "utf8"))
    assert.deepStrictEqual(engine, { provider: "compiled", threads: 3 })
    const again = tapweight("resume", "@latest", "--format", "json", "--quiet")
    assert.deepStrictEqual(JSON.parse(again.out).result, result)
    const verified = tapweight("verify", program, "--require", "0.01", "--format", "json")
    assert.strictEqual(verified.code, 0, verified.err)
    assert.isBelow(JSON.parse(verified.out).relativeError, 0.01)
    // Unsolved, the inner problem gives another gradient than its solution does.
    const unsolved = tapweight("verify", program, "--require", "0.01", "--solve", "1")
    assert.strictEqual(unsolved.code, 3, unsolved.out)
  })

  it("diagnose says the curvature, and of a run whether the level comes to rest; what is wrong exits with 3", () => {
    const program = file("looked.ts", bilevel(estimated).replace('"x", Init.ones', '"x", Init.zeros'))
    const looked = tapweight("diagnose", program, "--ticks", "50", "--solve", "0", "--format", "json", "--require")
    assert.strictEqual(looked.code, 3, looked.err)
    assert.include(looked.err, "give the levels below more updates")
    const { spectra, trajectory } = JSON.parse(looked.out)
    // One step of the power iteration, from a curvature of two in all directions.
    assert.closeTo(spectra[0].dominant, 2, 1e-4)
    assert.isUndefined(trajectory.velocity.alarm)
    assert.isAbove(trajectory.velocity.first, trajectory.velocity.last)
  })

  it("a finished run is made longer, as if it had been so from the start", () => {
    const program = file("longer.ts", bilevel(estimated))
    const ran = (ticks: number) =>
      JSON.parse(tapweight("run", program, "-s", `ticks=${ticks}`, "--format", "json", "-q", "--runs", "longer").out)
    const short = ran(12)
    const longer = tapweight("resume", short.run, "--ticks", "30", "--format", "json", "-q")
    assert.strictEqual(longer.code, 0, longer.err)
    assert.deepStrictEqual(JSON.parse(longer.out).result, ran(30).result)
    assert.strictEqual(JSON.parse(tapweight("resume", short.run, "--format", "json", "-q").out).result.tick, 30)
    assert.include(tapweight("resume", short.run, "--ticks", "20").err, "it has 30")
    // A rate that falls over the whole run is another one in a longer run.
    const falling = file(
      "falling.ts",
      bilevel(estimated)
        .replace(
          "problem: () => Problem.close(outer)",
          "problem: ({ ticks }) => Problem.close(Level.minimize(y, { data: Dataset.none, optimizer: Optimizer.sgd(Rate.linear({ peak: 0.1, warmup: 0, total: ticks })), objective: ({ y }) => tf.sum(tf.square(y)) }))"
        )
        .replace("import { Config", "import { Rate, Config")
    )
    const { run } = JSON.parse(tapweight("run", falling, "--format", "json", "-q", "--runs", "longer").out)
    const refused = tapweight("resume", run, "--ticks", "9")
    assert.strictEqual(refused.code, 2, refused.err)
    assert.match(refused.err, /cannot be made 9 ticks long: what y computes has changed, by its length/)
    assert.include(readdirSync(join(scratch, run)), "result.json")
  })

  it("a program's own weights are printed as they were shown while it ran, and drawn", () => {
    const example = join(root, "examples/03-tapweight.ts")
    const { code, err, out } = tapweight("run", example, "-s", "ticks=30", "--runs", "drawn")
    assert.strictEqual(code, 0, err)
    assert.match(out, /^theta +266 numbers in 4 tensors: mean /m)
    assert.match(out, /^λ +useful 0\.\d{3} {2}useless 0\.\d{3} {2}\(reweight, at its last update\)$/m)
    const folder = /saved in (.*)/.exec(err)![1]!
    assert.match(readFileSync(join(scratch, folder, "lambda.svg"), "utf8"), /^<svg[^]*useful/)
    assert.notInclude(err, "left behind")
  })

  it("resumes only the program that was started", () => {
    const program = file("edited.ts", bilevel(estimated))
    const folder = JSON.parse(
      spawnedIn(scratch, "run", program, "--threads", "3", "--format", "json", "-q", "--runs", "edited").out
    ).run
    rmSync(join(scratch, folder, "result.json"))
    file("edited.ts", `${bilevel(estimated)}// edited\n`)
    const refused = tapweight("resume", folder)
    assert.strictEqual(refused.code, 2, refused.err)
    assert.include(refused.err, "it is not the file that the run was started with")
    assert.include(refused.err, "--program FILE")
    const unchanged = tapweight("resume", folder, "--program", program)
    assert.strictEqual(unchanged.code, 2, unchanged.err)
    assert.include(unchanged.err, "--changed")
    const resumed = tapweight("resume", folder, "--program", program, "--changed")
    assert.strictEqual(resumed.code, 0, resumed.err)
    assert.include(resumed.err, "engine compiled, 3 threads")
  })

  it("runs no code that a run folder from elsewhere chooses, and works in no folder that it names", () => {
    const home = join(scratch, "home")
    mkdirSync(join(home, "sub"), { recursive: true })
    const source = `import { writeFileSync } from "node:fs"\nwriteFileSync("trace", "")${bilevel(estimated)}`
    const inside = file("home/program.ts", source)
    const outside = file("program.ts", source)
    // By another process than the one that is asked below, which would otherwise have the program's code already.
    const run = spawnedIn(
      join(home, "sub"),
      "run",
      inside,
      "-s",
      "ticks=2",
      "--format",
      "json",
      "-q",
      "--runs",
      join(scratch, "foreign")
    )
    const folder = JSON.parse(run.out).run
    rmSync(join(folder, "result.json"))
    const manifest = readFileSync(join(folder, "manifest.json"), "utf8")
    const forged = (change: (m: { program: { files: object }; cwd: string; engine: object }) => void) => {
      const { sha256: _, ...value } = JSON.parse(manifest)
      change(value)
      const sha256 = hash("sha256", JSON.stringify(value))
      writeFileSync(join(folder, "manifest.json"), JSON.stringify({ ...value, sha256 }))
    }
    const recorded = Object.values(JSON.parse(manifest).program.files)[0]!
    const trace = () => ["", "home", "home/sub"].filter((name) => existsSync(join(scratch, name, "trace")))
    for (const name of trace()) rmSync(join(scratch, name, "trace"))
    symlinkSync(outside, join(home, "link.ts"))
    const refusals: ReadonlyArray<readonly [object, string]> = [
      [{ [outside]: recorded }, "does not lie under the present directory"],
      [{ [join(home, "link.ts")]: recorded }, "does not lie under the present directory"],
      [{ [join(home, "nothing.ts")]: recorded }, "there is no such file"],
      [{ [inside]: "00" }, "is not the file that the run was started with"],
      [{ "data:text/javascript,0": recorded }, "there is no such file"],
      [{}, "there is no such file"]
    ]
    for (const [files, sentence] of refusals) {
      forged((value) => (value.program.files = files))
      const { code, err } = cli.run(home, ["resume", folder, "--changed"])
      assert.strictEqual(code, 2, err)
      assert.include(err, sentence)
      assert.include(err, "--program FILE")
    }
    assert.deepStrictEqual(trace(), [])
    // The program is the recorded one, and it works where it began if that is under the present directory.
    writeFileSync(join(folder, "manifest.json"), manifest)
    const resumed = cli.run(home, ["resume", folder])
    assert.strictEqual(resumed.code, 0, resumed.err)
    rmSync(join(folder, "result.json"))
    for (const engine of [
      { provider: "compiled", threads: 3000 },
      { provider: "constructor", threads: 1 }
    ]) {
      forged((value) => (value.engine = engine))
      const { code, err } = cli.run(home, ["resume", folder])
      assert.strictEqual(code, 4, err)
      assert.include(err, "manifest.json")
    }
    forged((value) => (value.cwd = tmpdir()))
    const stayed = cli.run(home, ["resume", folder])
    assert.strictEqual(stayed.code, 0, stayed.err)
    assert.include(stayed.err, `the run began in ${tmpdir()}`)
  })

  it("lets one process into a run folder", async () => {
    const program = file("scratch.ts", bilevel(estimated))
    const folder = join(
      scratch,
      JSON.parse(tapweight("run", program, "--format", "json", "-q", "--runs", "one").out).run
    )
    rmSync(join(folder, "result.json"))
    // What a killed process had begun to write.
    writeFileSync(join(folder, ".tmp-status.json-1"), "")
    mkdirSync(join(folder, "trials/one/checkpoints/.tmp-1"), { recursive: true })
    const holder = spawn(process.execPath, [join(root, "test/support/holding.ts"), folder])
    try {
      await once(holder.stdout, "data")
      const { code, err } = tapweight("resume", folder)
      assert.strictEqual(code, 73, err)
      assert.include(err, "is going on: wait for it, or stop it first")
    } finally {
      holder.kill("SIGKILL")
      await once(holder, "exit")
    }
    const resumed = tapweight("resume", folder)
    assert.strictEqual(resumed.code, 0, resumed.err)
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" })
    assert.isEmpty(names.filter((name) => name.includes(".tmp-")))
  })

  it("falls back past a damaged checkpoint, naming it on standard error, and refuses when none is left", () => {
    const program = file("damaged.ts", bilevel(estimated))
    const folder = join(
      scratch,
      JSON.parse(tapweight("run", program, "-s", "ticks=40", "--format", "json", "-q", "--runs", "damaged").out).run
    )
    for (const name of ["result.json", "done.json"]) rmSync(join(folder, name))
    const checkpoints = readdirSync(join(folder, "checkpoints")).sort()
    const damage = (name: string) => writeFileSync(join(folder, "checkpoints", name, "state.safetensors"), "")
    damage(checkpoints.at(-1)!)
    const fallen = tapweight("resume", folder, "--format", "json", "-q")
    assert.strictEqual(fallen.code, 0, fallen.err)
    assert.include(fallen.err, checkpoints.at(-1)!)
    assert.strictEqual(JSON.parse(fallen.out).result.tick, 40)
    for (const name of ["result.json", "done.json"]) rmSync(join(folder, name))
    for (const name of readdirSync(join(folder, "checkpoints"))) damage(name)
    const refused = tapweight("resume", folder, "-q")
    assert.strictEqual(refused.code, 4, refused.err)
    assert.include(refused.err, "none can be used")
  })
})
