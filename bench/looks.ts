// What it costs that a run is looked at. Runs into folders, looked at often and not at all, of two lengths, in turn and in one process;
// least processor time of each. What the longer takes more than the shorter says what a tick and a look cost once all is compiled;
// a look over the ticks of the default interval is the share that diagnostics take, and `at first` is what compiling them takes.
//   npm run bench:looks [-- transformer --rounds=9 --threads=1]
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Problem } from "../src/dsl/Problem.ts"
import * as CompiledEngine from "../src/engines/compiled/CompiledEngine.ts"
import type * as Program from "../src/runs/Program.ts"
import * as Trial from "../src/runs/trial/Trial.ts"
import * as Looks from "../src/runtime/plan/Looks.ts"
import * as Plan from "../src/runtime/plan/Plan.ts"
import { threeLevels } from "./peers/threeLevels.ts"
import { darts } from "./peers/Workload.ts"

type Any = Problem<any, any, any>

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "9" },
    threads: { type: "string", default: "1" },
    /** Looks in each of the two runs that are looked at. */
    looks: { type: "string", default: "20,180" }
  }
})
const rounds = Number(values.rounds)

const example = (file: string) => async (): Promise<Any> => {
  const { default: program } = (await import(`../examples/${file}.ts`)) as { readonly default: Program.Program.Any }
  const prepared = program.prepare(program.config.defaults as never)
  const { problems } = await Effect.runPromise(Effect.scoped(prepared) as Effect.Effect<Program.Prepared>)
  return Object.values(problems)[0]!
}
const problems: { readonly [name: string]: () => Promise<Any> } = {
  "examples/01": example("01-hyperparameters"),
  "examples/02": example("02-reweighting"),
  "examples/03": example("03-tapweight"),
  transformer: () => Promise.resolve(threeLevels.transformer(darts, { warmup: 0, every: 1 }, true).problem)
}

/** Milliseconds of processor time that a run of so many ticks takes. */
const measured = (problem: Any, ticks: number, diagnosticsEvery: number) =>
  Effect.gen(function* () {
    const root = mkdtempSync(join(tmpdir(), "tapweight-looks-"))
    const before = process.cpuUsage()
    const run = Trial.run(
      { id: "run", program: "bench", path: join(root, "run") },
      {
        problem,
        ticks,
        seed: 0,
        checkpointEvery: ticks,
        diagnosticsEvery
      }
    )
    yield* Effect.provide(run, CompiledEngine.layer({ threads: Number(values.threads) }))
    const { system, user } = process.cpuUsage(before)
    rmSync(root, { recursive: true })
    return (user + system) / 1000
  })

const bench = Effect.gen(function* () {
  for (const [name, make] of Object.entries(problems)) {
    if (positionals.length > 0 && !positionals.some((word) => name.includes(word))) continue
    const problem = yield* Effect.promise(make)
    const plan = yield* Effect.fromResult(Plan.make(problem))
    const [often, every] = [2 * Looks.cycle(plan), Looks.every(plan)]
    const lengths = values.looks.split(",").map((looks) => Number(looks) * often)
    const least = lengths.map(() => [Infinity, Infinity] as [number, number])
    for (let round = 0; round < rounds; round++) {
      for (const [i, ticks] of lengths.entries()) {
        for (const looked of [0, 1]) {
          const time = yield* measured(problem, ticks, looked * often)
          least[i]![looked] = Math.min(least[i]![looked]!, time)
        }
      }
    }
    const [[short, shortLooked], [long, longLooked]] = least as [[number, number], [number, number]]
    const more = lengths[1]! - lengths[0]!
    const tick = (long - short) / more
    const look = ((longLooked - shortLooked - (long - short)) * often) / more
    const first = shortLooked - short - (look * lengths[0]!) / often
    const share = (100 * look) / (every * tick)
    yield* Console.log(
      `${name}: a tick ${tick.toFixed(3)} ms, a look ${look.toFixed(3)} ms, one in ${every} ticks: ${share.toFixed(2)} %; ` +
        `at first ${first.toFixed(0)} ms`
    )
  }
})

NodeRuntime.runMain(Effect.provide(bench, NodeServices.layer) as Effect.Effect<void>)
