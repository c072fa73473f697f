/** The command `doctor`: what of this machine and this installation works. */
import { execFile } from "node:child_process"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as RunChecks from "../../runs/folder/Checks.ts"
import { CheckError } from "../Check.ts"
import * as Launch from "../launch/Launch.ts"
import * as Options from "../Options.ts"
import * as DatabaseFlags from "../sweep/database/DatabaseFlags.ts"
import { Check, fault, text } from "./Check.ts"
import * as Engines from "./Engines.ts"
import * as Host from "./Host.ts"
import * as SweepDatabase from "./SweepDatabase.ts"

const Found = Schema.fromJsonString(Schema.Struct({ checks: Schema.Array(Check) }))

/** Milliseconds after which an engine that has said nothing does not work: the slowest start takes some seconds. */
const patience = 120_000

const again = "run the engine by itself to see what it writes: tapweight doctor --engine"

/** The checks of one engine, made by a process of its own: a library that does not start may end that. */
const aside = (name: Options.EngineName, plugin: Option.Option<string>): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.callback<{ readonly out: string; readonly end: string }>((resume) => {
    const given = Option.isSome(plugin) && name === "xla" ? ["--plugin", plugin.value] : []
    const args = [process.argv[1]!, "doctor", "--engine", name, "--format", "json", ...given]
    const child = execFile(
      process.execPath,
      [...process.execArgv, ...args],
      { timeout: patience, killSignal: "SIGKILL", encoding: "utf8" },
      (error, out, err) => {
        const last = err.trim().split("\n").at(-1)!
        const how = child.signalCode === null ? `with code ${child.exitCode}` : `by ${child.signalCode}`
        resume(
          Effect.succeed({ out, end: `it ended its process ${how}${error === null || last === "" ? "" : `: ${last}`}` })
        )
      }
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(
    Effect.flatMap(({ end, out }) =>
      Effect.match(Schema.decodeUnknownEffect(Found)(out), {
        onFailure: () => [fault(name, end, `${again} ${name}`)],
        onSuccess: ({ checks }) => checks
      })
    )
  )

/** Two at once: each takes a core to start on. */
const everything = Effect.fnUntraced(function* (
  runs: string,
  plugin: Option.Option<string>,
  db: Option.Option<DatabaseFlags.Named>
) {
  const kept = yield* RunChecks.checks(runs)
  const database = yield* SweepDatabase.check(db)
  const engines = yield* Effect.forEach(Options.engines, (name) => aside(name, plugin), { concurrency: 2 })
  return [...Host.checks(Launch.version, runs), ...kept, database, ...engines.flat()]
})

/** Why a doctor's visit is no success: what is broken, or, of an engine that was asked for, what is not there. */
const failing = (checks: ReadonlyArray<Check>, asked: boolean): string | undefined => {
  const bad = checks.filter(({ status }) => status === "fault" || (asked && status === "absent"))
  return bad.length === 0
    ? undefined
    : `${bad.map(({ name }) => name).join(", ")} ${bad.length === 1 ? "does" : "do"} not work here`
}

/** Looks at what a run needs, and starts every engine. */
export const doctor = Command.make(
  "doctor",
  {
    engine: Options.engineFlag.pipe(
      Flag.withDescription("Only this engine, started in this process; exits with 3 where it does not work"),
      Flag.optional
    ),
    plugin: Options.plugin,
    db: DatabaseFlags.db,
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ db, engine, format, plugin, runs }) {
    const checks = yield* Option.match(engine, {
      onNone: () => everything(runs, plugin, db),
      onSome: (name) => Engines.checksOf(name, plugin)
    })
    yield* Launch.print(format, text(checks), { checks })
    const reason = failing(checks, Option.isSome(engine))
    if (reason !== undefined) return yield* new CheckError({ reason })
  })
).pipe(
  Command.withDescription(
    "Says what works here: Node, machine, folders, a database of sweeps, and each engine, which is started; and what to install"
  )
)
