// Our solvers beside those of benchopt's benchmark_bilevel, which run unchanged from a checkout of it: the same problems, starts, steps and,
// where both take one batch at a time, the same batches. How far iterates are apart, what both come to over seeds, milliseconds a tick.
//   npm run bench:bilevel -- --checkout=PATH [quadratic logistic cleaning] [--python=PATH --seeds=5 --solvers=SOBA,SABA --json=bilevel.json]
// The checkout is of github.com/benchopt/benchmark_bilevel (results are of 3ad65dc); Python needs jax and numpy: sh bench/peers/setup.sh.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { cases } from "./bilevel/problems.ts"
import { type Measured, ours, theirs } from "./bilevel/sides.ts"
import { solvers } from "./bilevel/solvers.ts"
import { tables } from "./bilevel/tables.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    checkout: { type: "string" },
    python: { type: "string", default: join(import.meta.dirname, ".venv", "bin", "python") },
    seeds: { type: "string", default: "5" },
    solvers: { type: "string" },
    json: { type: "string" }
  }
})

const stop = (reason: string): never => {
  process.stderr.write(`${reason}\n`)
  process.exit(2)
}
const checkout = values.checkout ?? stop("give --checkout=PATH, a clone of github.com/benchopt/benchmark_bilevel")
if (!existsSync(join(checkout, "solvers", "soba.py")))
  stop(`${checkout} has no solvers/soba.py: it is no checkout of benchmark_bilevel`)
if (!existsSync(values.python)) stop(`there is no ${values.python}: run sh bench/peers/setup.sh, or give --python=PATH`)
const seeds = /^[1-9]\d*$/.test(values.seeds)
  ? Number(values.seeds)
  : stop(`--seeds is '${values.seeds}': give a number from 1`)
const named = positionals.length > 0 ? positionals : Object.keys(cases)
const chosen = values.solvers?.split(",") ?? Object.keys(solvers)
const none = [
  ...named.filter((name) => !Object.hasOwn(cases, name)),
  ...chosen.filter((name) => !Object.hasOwn(solvers, name))
][0]
if (none !== undefined)
  stop(
    `there is no '${none}': problems are ${Object.keys(cases).join(", ")}, solvers ${Object.keys(solvers).join(", ")}`
  )

const all: Array<Measured> = []
for (const name of named) {
  for (let seed = 0; seed < seeds; seed++) {
    const folder = mkdtempSync(join(tmpdir(), "tapweight-bilevel-"))
    try {
      // One seed of ours, then one of theirs: what else the machine does falls on both.
      const own = await ours(name, seed, chosen)
      const other = theirs(name, seed, chosen, folder, (path) => {
        const threads = {
          OMP_NUM_THREADS: "1",
          XLA_FLAGS: "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        }
        const args = [join(import.meta.dirname, "bilevel", "theirs.py"), checkout, path]
        const { status, stderr, stdout } = spawnSync(values.python, args, {
          encoding: "utf8",
          maxBuffer: 1 << 30,
          env: { ...process.env, ...threads, JAX_PLATFORMS: "cpu" }
        })
        return status === 0 ? stdout : stop(`${values.python} ended with ${status}: ${stderr.slice(-2000)}`)
      })
      all.push({ problem: name, seed, ours: own, theirs: other })
      process.stderr.write(`${name} seed ${seed}\n`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
}
process.stdout.write(`${tables(all)}\n`)
if (values.json !== undefined)
  writeFileSync(
    values.json,
    `${JSON.stringify(
      all.map(({ ours, problem, seed, theirs }) => ({
        problem,
        seed,
        ours: ours.map(({ iterates: _, ...rest }) => rest),
        theirs: theirs.map(({ iterates: _, ...rest }) => rest)
      })),
      undefined,
      1
    )}\n`
  )
