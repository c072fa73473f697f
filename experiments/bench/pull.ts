// How steadily level III pulls at each weight: the mean change of β over the updates of a trial in which λ hardly moves
// (a tiny rate of plain gradient descent), its deviation from update to update, and how many standard errors it is from zero.
//   bin/tapweight run molecules -s data=DIR -s 'sets=["bbbp"]' -s 'methods=["tapweight"]' -s seeds=1 -s classification.reweight=1e-6
//   node bench/pull.ts runs/molecules/ID/trials/bbbp/seed-0/tapweight/pretrain
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { JsonFile, Records, Statistics, TextTable as Columns } from "tapweight"

const [path = "."] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const records = yield* Records.read({ id: "", program: "", path })
  const moves = records.filter((record) => record.t === "lambda")
  const names = moves[0]?.names ?? []
  if (moves.length < 3 || moves.some(({ beta }) => beta === undefined)) {
    return yield* new JsonFile.RunFileError({
      file: path,
      reason: `λ moves ${Math.max(0, moves.length - 1)} times there; name the folder of a trial of tapweight that has more`
    })
  }
  const steps = names.map((_, i) => moves.slice(1).map(({ beta }, j) => beta![i]! - moves[j]!.beta![i]!))
  const unit = Math.max(...steps.map((own) => Statistics.deviation(own)))
  yield* Console.log(
    Columns.numbers([
      [`${moves.length - 1} updates`, "mean / largest deviation", "deviation / largest", "standard errors from zero"],
      ...steps.map((own, i) => {
        const [mean, deviation] = [Statistics.mean(own), Statistics.deviation(own)]
        const errors = mean / (deviation / Math.sqrt(own.length))
        return [names[i]!, (mean / unit).toFixed(3), (deviation / unit).toFixed(2), errors.toFixed(1)]
      })
    ])
  )
})

NodeRuntime.runMain(Effect.provide(program, NodeServices.layer))
