/**
 * What a start costs, in CPU time: `npm run bench:start`. Commands of the built package beside what they cannot do without: Node,
 * effect's command line, TensorFlow.js's core. Rounds in turn, least of each; a module that is loaded needlessly shows here.
 */
import { spawnSync } from "node:child_process"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const rounds = Number(process.argv[2] ?? 7)
const main = join(root, "dist/cli/main.js")
const example = join(root, "examples/01-hyperparameters.ts")
const probe = join(root, ".start.mjs")
// Reports what the process itself has used by its end.
const meter = `process.on("exit", () => { const { user, system } = process.cpuUsage(); process.stderr.write("\\n" + (user + system)) })`

const ways: ReadonlyArray<readonly [name: string, args: ReadonlyArray<string>]> = [
  ["Node alone", ["-e", "0"]],
  ["effect's command line", ["-e", 'import("effect/cli/Command")']],
  ["TensorFlow.js's core", ["-e", 'import("@tensorflow/tfjs-core")']],
  ["the door tapweight", ["-e", 'import("tapweight")']],
  ["tapweight --help", [main, "--help"]],
  ["tapweight plan examples/01", [main, "plan", example]],
  [
    "tapweight run examples/01, ten ticks",
    [main, "run", example, "-q", "-s", "ticks=10", "--runs", join(root, ".cache/start")]
  ]
]

writeFileSync(probe, meter)
try {
  const least = new Map(ways.map(([name]) => [name, Infinity]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, args] of ways) {
      const { status, stderr } = spawnSync(process.execPath, ["--import", probe, ...args], {
        cwd: root,
        encoding: "utf8",
        env: { ...process.env, NODE_OPTIONS: "" }
      })
      if (status !== 0) throw new Error(`${name}: ${stderr}`)
      least.set(name, Math.min(least.get(name)!, Number(stderr.trim().split("\n").at(-1)) / 1000))
    }
  }
  for (const [name, milliseconds] of least) process.stdout.write(`${milliseconds.toFixed(0).padStart(6)} ms  ${name}\n`)
} finally {
  rmSync(probe)
  rmSync(join(root, ".cache/start"), { recursive: true, force: true })
}
