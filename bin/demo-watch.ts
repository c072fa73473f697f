// The live page on a run that is written again, slowly, as if it were going on: npm run demo:watch [-- --seconds 60]
import { spawnSync } from "node:child_process"
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Feed } from "../src/runs/watch/Feed.ts"
import * as Server from "../src/runs/watch/Server.ts"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, port: { type: "string", default: "0" } }
})
const root = join(import.meta.dirname, "..")

/** Runs the example of three levels, and gives the lines that it wrote and its plan. */
const recorded = (folder: string): { readonly lines: ReadonlyArray<string>; readonly plan: string } => {
  const args = ["run", join(root, "examples/03-tapweight.ts"), "-q", "--runs", folder]
  const { status, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, join(root, "src/cli/main.ts"), ...args],
    {
      encoding: "utf8"
    }
  )
  if (status !== 0) throw new Error(`the example did not run: ${stderr}`)
  const [id] = readdirSync(join(folder, "tapweight"))
  const read = (name: string) => readFileSync(join(folder, "tapweight", id!, name), "utf8")
  return { lines: read("metrics-1.ndjson").trimEnd().split("\n"), plan: read("plan.json") }
}

const demo = Effect.gen(function* () {
  const scratch = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tapweight-demo-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  yield* Console.error("running examples/03-tapweight.ts …")
  const { lines, plan } = yield* Effect.try(() => recorded(join(scratch, "runs")))
  const folder = mkdtempSync(join(scratch, "replayed-"))
  writeFileSync(join(folder, "plan.json"), plan)
  const source = Server.sourceOf("examples/03-tapweight.ts, replayed", Feed.of(folder))
  const status = (state: string, tick: number) =>
    writeFileSync(
      join(folder, "status.json"),
      JSON.stringify({ state, tick, attempt: 1, heartbeat: new Date().toISOString(), error: null })
    )
  const { url } = yield* Server.serve(source, { host: "127.0.0.1", port: Number(values.port) })
  yield* Console.log(url)
  yield* Console.error("Ctrl-C ends it")
  const every = 100
  const each = Math.max(1, Math.ceil((lines.length * every) / (1000 * Number(values.seconds))))
  for (let at = 0; at < lines.length; at += each) {
    const some = lines.slice(at, at + each)
    appendFileSync(join(folder, "metrics-1.ndjson"), `${some.join("\n")}\n`)
    status("running", (JSON.parse(some.at(-1)!) as { readonly k?: number }).k ?? 0)
    yield* Effect.sleep(every)
  }
  status("done", (JSON.parse(lines.findLast((line) => line.includes('"k"'))!) as { readonly k: number }).k)
  return yield* Effect.never
}).pipe(Effect.scoped)

NodeRuntime.runMain(demo)
