/** `watch`: a live page of a run, of several, or of a sweep. */
import { existsSync } from "node:fs"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as JsonFile from "../files/JsonFile.ts"
import * as RunFolder from "../runs/folder/RunFolder.ts"
import * as Sweep from "../runs/sweep/Sweep.ts"
import * as SweepFolder from "../runs/sweep/SweepFolder.ts"
import * as Config from "../runs/trial/Config.ts"
import * as Labels from "../runs/trial/Labels.ts"
import { Feed } from "../runs/watch/Feed.ts"
import type { Watched } from "../runs/watch/News.ts"
import * as Server from "../runs/watch/Server.ts"
import * as Launch from "./launch/Launch.ts"
import * as Options from "./Options.ts"

/** A name for each, its seed last; those that would be called alike have their ids beside. */
const distinct = (runs: ReadonlyArray<Watched & { readonly id: string }>): ReadonlyArray<Watched> => {
  const count = new Map<string, number>()
  for (const { name } of runs) count.set(name, (count.get(name) ?? 0) + 1)
  return runs.map(({ id, name, ...rest }) => ({
    ...rest,
    name: name === "" || count.get(name)! > 1 ? `${id} ${name}`.trim() : name
  }))
}

/** Runs by what tells them apart in their settings. */
const compared = Effect.fnUntraced(function* (folders: ReadonlyArray<RunFolder.RunFolder>) {
  const path = yield* Path.Path
  const all = yield* Effect.forEach(folders, (folder) =>
    JsonFile.readSealed(path.join(folder.path, "config.json"), Config.Entries)
  )
  const labels = Labels.labels(all)
  const programs = new Set(folders.map(({ program }) => program)).size > 1
  return distinct(
    folders.map(({ id, path, program }, i) => ({
      id,
      path,
      name: [
        ...(programs ? [program] : []),
        ...(labels[i] === "" ? [] : [labels[i]]),
        ...(all[i]!["seed"] === undefined ? [] : [`seed ${JSON.stringify(all[i]!["seed"].value)}`])
      ].join(", ")
    }))
  )
})

/** A sweep's runs: those that have begun first, since only of so many the curves are shown. */
const swept = Effect.fnUntraced(function* (folder: string, file: SweepFolder.SweepFile) {
  const runs = yield* Effect.forEach(file.entries, (entry) =>
    Effect.gen(function* () {
      const own = SweepFolder.runFolder(folder, file, entry)
      const name = [...Object.entries(entry.settings).map(Sweep.override), `seed ${entry.seed}`].join(", ")
      return { id: entry.id, name, path: own.path, state: yield* SweepFolder.stateOf(folder, own) }
    })
  )
  return distinct(runs.toSorted((a, b) => Number(a.state === "queued") - Number(b.state === "queued")))
})

/** Seconds between two looks at which runs a sweep has. */
const pause = "5 seconds"
/** Milliseconds that are read for at a time, before requests have their turn. */
const patience = 100

const feedOf = Effect.fnUntraced(function* (root: string, selectors: ReadonlyArray<string>) {
  const [only, ...others] = selectors
  const folder = yield* SweepFolder.pathOf((yield* Path.Path).resolve(root), only!)
  const file = others.length === 0 && /^[a-z0-9-]{1,64}$/.test(only!) ? yield* SweepFolder.read(folder) : undefined
  if (file !== undefined) {
    let now = yield* swept(folder, file)
    const again = Effect.gen(function* () {
      now = yield* swept(folder, (yield* SweepFolder.read(folder)) ?? file)
    })
    yield* Effect.forkScoped(Effect.forever(Effect.delay(Effect.ignore(again), pause)))
    return { title: `sweep ${only}`, feed: new Feed(() => now) }
  }
  const folders = yield* Effect.forEach(selectors, (selector) => RunFolder.resolve(root, selector))
  if (folders.length === 1) {
    const [run] = folders
    return { title: `${run!.program} ${run!.id}`, feed: Feed.of(run!.path) }
  }
  const runs = yield* compared(folders)
  return { title: `${folders.length} runs`, feed: new Feed(() => runs.filter(({ path }) => existsSync(path))) }
})

/** `tapweight watch`. */
export const watch = Command.make(
  "watch",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription("A run, as other commands take it, or a sweep by its name")
    ),
    others: Argument.String("run").pipe(
      Argument.withDescription("More runs, laid over the first"),
      Argument.variadic()
    ),
    port: Flag.Int("port").pipe(
      Flag.withDescription("The port (any that is free where absent)"),
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
      Flag.withDefault(0)
    ),
    host: Flag.String("host").pipe(
      Flag.withDescription("The address to listen at (this machine alone where absent)"),
      Flag.withDefault("127.0.0.1")
    ),
    allowRemote: Flag.Boolean("allow-remote").pipe(
      Flag.withDescription("Lets --host be one that other machines reach; what they read is not encrypted"),
      Flag.withDefault(false)
    ),
    runs: Options.runs,
    format: Options.format
  },
  Effect.fnUntraced(function* ({ allowRemote, format, host, others, port, run, runs }) {
    const { feed, title } = yield* feedOf(runs, [...new Set([run, ...others])])
    if (Server.isRemote(host) && !allowRemote) {
      const reason = `other machines may reach ${host}: say --allow-remote if they are meant to`
      return yield* new Server.WatchError({ reason })
    }
    const { url } = yield* Server.serve(Server.sourceOf(title, feed, patience), { host, port })
    yield* Launch.print(format, url, { url })
    yield* Console.error("Ctrl-C ends it. The address is a key: whoever has it can look.")
    return yield* Effect.never
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "A live page of runs or of a sweep, also of runs that are over or that another machine writes"
  ),
  Command.withExamples([
    { command: "tapweight watch @latest", description: "The newest run" },
    { command: "tapweight watch k3f9 m2x0", description: "Two runs over one another" }
  ])
)
