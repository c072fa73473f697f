/** The command `runner`'s work: takes runs of sweeps from a database, and runs them here. */
import { hostname } from "node:os"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Sentence from "../../../dsl/errors/Sentence.ts"
import * as Printable from "../../../files/Printable.ts"
import * as Database from "../../../runs/database/Database.ts"
import { DatabaseError } from "../../../runs/database/DatabaseError.ts"
import * as Leases from "../../../runs/database/Leases.ts"
import * as Trials from "../../../runs/database/Trials.ts"
import * as Claim from "../../../runs/folder/Claim.ts"
import * as FolderLock from "../../../runs/folder/FolderLock.ts"
import * as ResultFile from "../../../runs/folder/ResultFile.ts"
import type { RunFolder } from "../../../runs/folder/RunFolder.ts"
import * as SweepFolder from "../../../runs/sweep/SweepFolder.ts"
import * as Load from "../../launch/Load.ts"
import * as Attempt from "../Attempt.ts"

/** What a runner is told. */
export interface Options {
  readonly db: Redacted.Redacted
  readonly programs: Load.Programs
  readonly slots: number
  readonly pool: string
  readonly runs: string
  /** Seconds of silence after which what it runs may be another's. */
  readonly lease: number
  readonly exitWhenEmpty: boolean
}

/** A lease in parts: its beats are many enough that one may fail, and its run has stopped before it is another's. */
const beatOf = (lease: number): number => lease / 12
const limitOf = (lease: number): number => (lease * 2) / 3

/** The failure of an item that a later time is for: its queue hands it out again. */
const givenBack = "given back"
/** That of one which is for another runner: whoever has no use for it is not to be the first to have it again. */
const forOthers = "for others"

const occupied = "another process works in its folder"

const say = (text: string) => Console.error(Printable.lines(text))

/** At most so many of a run's scores go into the database: the others are in its folder. */
const most = 20

const summaryOf = (folder: RunFolder) =>
  Effect.map(
    Effect.orElseSucceed(ResultFile.read(folder), () => undefined),
    (result) =>
      Object.fromEntries(
        (result?.scores ?? [])
          .filter(({ value }) => Number.isFinite(value))
          .slice(0, most)
          .map(({ method, metric, split, task, value }) => [`${method}/${task}/${metric}/${split}`, value])
      )
  )

/** Where a program is that a database names: one that is known by name, or a file under the present folder; or why it is none. */
const programAt = Effect.fnUntraced(function* (programs: Load.Programs, program: string) {
  if (Object.hasOwn(programs, program)) return { program } as const
  const file = (yield* Path.Path).resolve(program)
  const inside = yield* Effect.orElseSucceed(Load.within(".", file), () => undefined)
  if (inside === true) return { program: file } as const
  const why = inside === undefined ? "is not there" : "does not lie under that folder"
  const refused = `${program}, as seen from ${process.cwd()}, ${why}: a database does not choose what code runs`
  return { program: undefined, refused } as const
})

/** What of a runner lasts longer than a connection. */
interface Standing {
  readonly options: Options
  readonly name: string
  /** When the database last answered, by this process's clock, and whether its silence was said. */
  heard: number
  silent: boolean
  /** Programs that are other ones here than their sweeps want: tried once, and not again by this process. */
  readonly others: Set<string>
}

/** Asks the database something, within a limit. A silence is said once, and so is its end. */
const answered = <A, R>(standing: Standing, work: Effect.Effect<A, DatabaseError, R>) =>
  Effect.interruptible(work).pipe(
    Effect.timeout(Duration.seconds(limitOf(standing.options.lease))),
    Effect.tap(() =>
      Effect.suspend(() => {
        standing.heard = performance.now()
        if (!standing.silent) return Effect.void
        standing.silent = false
        return say("the database answers again")
      })
    ),
    Effect.tapError((error) =>
      Effect.suspend(() => {
        if (standing.silent) return Effect.void
        standing.silent = true
        const why = error instanceof DatabaseError ? `: ${error.reason}` : ""
        return say(`the database does not answer${why}; it is asked again, and what runs stops where that lasts`)
      })
    )
  )

/** Runs one item that was handed out, and says how that ended. What was claimed is settled before an interruption goes on. */
const work = (standing: Standing, database: Database.Database, item: Database.Item) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { name, options, others } = standing
      const { lease, programs, runs } = options
      const sweep = yield* SweepFolder.pathOf((yield* Path.Path).resolve(runs), item.sweep)
      const folder = SweepFolder.runFolder(sweep, { name: item.sweep }, item)
      const place = `${hostname()}:${folder.path}`
      const claimant = { runner: name, seconds: lease, folder: place, above: Claim.highest(folder.path) }
      const claimed = yield* answered(standing, Leases.claim(database, item, claimant))
      if (claimed === "Nothing") return
      if (claimed === "Held") return yield* Effect.fail(forOthers)
      const { args, claim, entry, program } = claimed
      const words = `${entry.id} of ${item.sweep}`
      let [over, touched] = [false, true]
      const settle = Effect.fnUntraced(function* (settled: Leases.Settled) {
        const state = yield* answered(standing, Leases.settle(database, claimed, settled)).pipe(
          // Past its lease the run is whoever's takes it: what could not be said by then need not be.
          Effect.retry(Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: Duration.seconds(lease) }))),
          Effect.orElseSucceed(() => "stale" as const)
        )
        // Where the row does not say that it is over, its item stays in the queue: an answer may have been lost.
        over = state === "done" || state === "failed" || state === "cancelled"
        yield* say(`${words}: ${state === "stale" ? "no longer this runner's to speak of" : state}`)
      })
      const untouched = (why: string) => {
        touched = false
        return Effect.andThen(
          say(`${words}: not run here: ${why}`),
          settle({ end: "untouched", note: `${name}: ${why}` })
        )
      }
      const key = `${program} ${entry.levels}`
      const ended = Effect.fnUntraced(function* (how: Attempt.Ended) {
        const exit = Attempt.exitOf(how)
        if (exit === undefined) return yield* untouched(occupied)
        if (how._tag === "OtherProgram") {
          others.add(key)
          return yield* untouched("the program is another one here. Bring it up to date, and start the runner again")
        }
        SweepFolder.note(folder, exit)
        if (how._tag === "Done") return yield* settle({ end: "done", summary: yield* summaryOf(folder) })
        if (how._tag === "Stopped") return yield* settle({ end: "stopped" })
        const note = `it ended with ${exit ?? "a signal"}; its words are in ${place}/log.txt`
        yield* settle({ end: "failed", hopeless: SweepFolder.isHopeless(exit), note })
      })
      const found = yield* programAt(programs, program)
      if (found.program === undefined) yield* untouched(found.refused)
      else if (others.has(key)) yield* untouched("the program is another one here")
      else if (yield* FolderLock.isHeld(folder.path)) yield* untouched(occupied)
      else {
        yield* say(`${words}: started, claim ${claim}`)
        // Whoever queued it again has forgiven what its folder remembers.
        if (claimed.failures === 0 && SweepFolder.failures(folder).failed > 0) SweepFolder.note(folder, null, true)
        const beat = answered(standing, Leases.beat(database, claimed, lease))
        const held: Attempt.Lease = {
          claim: Option.some({ number: claim, seconds: limitOf(lease) }),
          beat: Effect.orElseSucceed(beat, () => undefined),
          every: Duration.seconds(beatOf(lease))
        }
        yield* restore(Attempt.attempt(folder, { program: found.program, args }, entry, held, ended))
      }
      if (!over) return yield* Effect.fail(touched ? givenBack : forOthers)
    })
  )

/** One connection's worth of work, until the pool is empty, where that is the end, or the database has been silent for a lease. */
const serve = Effect.fnUntraced(function* (standing: Standing) {
  const { exitWhenEmpty, lease, pool, slots } = standing.options
  const database = yield* Database.connect(standing.options.db, { connections: 2 * slots + 3, lease })
  standing.heard = performance.now()
  const queue = yield* database.queue(pool)
  const slot = queue
    .take((item) => work(standing, database, item))
    .pipe(
      Effect.catchCause((cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
        const error = Cause.squash(cause)
        if (error === givenBack) return Effect.void
        if (error === forOthers) return Effect.sleep(Duration.seconds(beatOf(lease)))
        const known = error instanceof DatabaseError || Cause.isTimeoutError(error)
        return Effect.andThen(known ? Effect.void : say(`error  ${Sentence.of(error)}`), Effect.sleep("1 second"))
      }),
      Effect.forever
    )
  const watch = Effect.gen(function* () {
    for (;;) {
      const left = yield* answered(standing, Trials.left(database, pool)).pipe(Effect.orElseSucceed(() => undefined))
      if (left === 0 && exitWhenEmpty) return "empty"
      if (performance.now() - standing.heard > lease * 1000) return "silent"
      yield* Effect.sleep(Duration.seconds(Math.min(1, beatOf(lease))))
    }
  })
  const all = Effect.forEach(Array.from({ length: slots }), () => slot, { concurrency: "unbounded", discard: true })
  return yield* Effect.raceFirst(watch, all)
}, Effect.scoped)

/** Runs what the pool's queue hands out, so many at a time. Interrupted, it stops them with checkpoints and gives them back. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const name = `${hostname()}:${process.pid}`
  const standing: Standing = { options, name, heard: performance.now(), silent: false, others: new Set() }
  yield* say(`runner ${name}: pool ${options.pool}, ${options.slots} at a time, lease ${options.lease} s`)
  let end = yield* serve(standing)
  while (end === "silent") {
    yield* Effect.sleep("2 seconds")
    // It has answered before: whatever is wrong with it now may pass.
    end = yield* Effect.catchTag(serve(standing), "DatabaseError", () => Effect.succeed("silent"))
  }
  yield* say(`runner ${name}: nothing is left to do in pool ${options.pool}`)
})
