// Whether the order that fixed weightings have on validation molecules is theirs on test molecules: for each set and
// finetuning of a finished landscape, Spearman's correlation over weightings, and what the weighting that validation
// molecules put first wins over equal weights on either. It scores test molecules of encoders that are there already; nothing is to be chosen by it.
//   bin/tapweight run molecules-landscape -s data=DIR -s seeds=1 -s 'sets=["bace","esol"]'
//   node bench/transfer.ts runs/molecules-landscape/ID
import { existsSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import {
  Config,
  JsonFile,
  OnnxEngine as Compiled,
  Session,
  RunFolder,
  Statistics,
  TextTable as Columns
} from "tapweight"
import { prepare } from "../molecules/Molecules.ts"
import { landscape, weighed } from "../molecules/Landscape.ts"
import * as Tables from "../common/Tables.ts"
import * as Summary from "../molecules/Summary.ts"
import * as Score from "../molecules/Score.ts"
import type { Settings } from "../molecules/Settings.ts"

const [path = "."] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const folder = yield* RunFolder.open(path)
  if (folder.program !== landscape.name || !existsSync(`${folder.path}/result.json`)) {
    const reason = `this is no finished run of ${landscape.name}: give the folder of one`
    return yield* new RunFolder.RunFolderError({ selector: path, reason, candidates: [] })
  }
  const stored = yield* JsonFile.read(`${folder.path}/config.json`, Config.Entries)
  const settings = (yield* Config.resolve(landscape.config, { stored })).value as Settings
  const session = Session.make(folder, () => Effect.void)
  const {
    rows: all,
    seeds,
    tasks
  } = yield* Effect.provideService(
    Effect.gen(function* () {
      const data = yield* prepare(settings)
      return { tasks: data.tasks, ...(yield* weighed(session, settings, data, true)) }
    }),
    References.MinimumLogLevel,
    "Warn"
  )
  const rows = settings.finetunings.flatMap((how) =>
    tasks.flatMap((task) =>
      seeds.map((seed) => {
        const own = Tables.under(all, how).filter((one) => one.task === task.name && one.seed === seed)
        const sign = Score.mode(task) === "max" ? 1 : -1
        const [validation, test] = [own.map((one) => sign * one.validation), own.map((one) => sign * one.test)]
        const first = validation.indexOf(Math.max(...validation))
        const won = (scores: ReadonlyArray<number>) => Summary.spread([scores[first]! - scores[0]!], task.metric)
        return [
          `${task.name} (${task.metric}), ${how}, seed ${seed}`,
          Statistics.spearman(validation, test).toFixed(2),
          own[first]!.method,
          won(validation),
          won(test)
        ]
      })
    )
  )
  yield* Console.log(
    Columns.numbers([["", "rank correlation", "first on validation", "gain over equal there", "on test"], ...rows])
  )
})

// The set's problems leave what they need open; the two layers are all of it.
NodeRuntime.runMain(
  program.pipe(Effect.provide([Compiled.layer(), NodeServices.layer])) as Effect.Effect<void, unknown>
)
