import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NodeServices, Seed, Split } from "tapweight"
import { present, shared } from "../../../../test/support/shared.ts"
import { partsOf } from "../../support/parts.ts"
import { outputs } from "../../../language/tasks/Task.ts"
import * as Tasks from "../../../language/tasks/Tasks.ts"

const at = (name: string) =>
  Effect.flatMap(Tasks.named(shared("data"), name), (place) => Tasks.make(place, { seed: Seed.make(1) }))

describe("tasks out of files as they are published", () => {
  for (const [name, file, counts, classes, training] of [
    ["cola", "glue/CoLA", [7601, 950, 1043], 2, 8551],
    ["sst-2", "glue/SST-2", [59_866, 7483, 872], 2, 67_349],
    ["mrpc", "glue/MRPC", [3260, 408, 408], 2, 3668],
    ["sts-b", "glue/STS-B", [5110, 639, 1500], 1, 5749],
    ["qqp", "glue/QQP-10k", [7999, 1000, 1000], 2, 8999],
    ["mnli", "glue/MNLI-10k", [7999, 1000, 1000], 3, 8999],
    ["qnli", "glue/QNLI-10k", [7999, 1000, 1000], 2, 8999],
    ["ag-news-10k", "text/ag_news_test.csv.gz", [8890, 1111, 7600], 4, 10_001],
    ["csabstruct", "text/csabstruct_train.jsonl.gz", [11_333, 2026, 1349], 5, 11_333],
    ["piboso", "text/nicta_piboso_train.txt.gz", [6979, 801, 1991], 6, 6979],
    ["chemprot", "text/chemprot_train.jsonl.gz", [4169, 2427, 3469], 13, 4169]
  ] as const) {
    it.live.skipIf(!present(`data/${file}`))(`${name} has the rows and labels that its authors count`, () =>
      Effect.gen(function* () {
        const task = yield* at(name)
        const { test, train, validation } = Split.count(task, (rows) => rows.length)
        assert.deepStrictEqual<ReadonlyArray<number>>([train, validation, test], counts)
        assert.strictEqual(outputs(task.kind), classes)
        assert.strictEqual(task.inputs[0]!.read, training)
        const parts = partsOf(task)
        for (const rows of Object.values(parts)) {
          assert.isTrue(rows.every(({ text }) => text !== "" && text === text.trim()))
          const labels = new Set(rows.map(({ label }) => label))
          // Every class occurs in training, and each is a number of one.
          if (task.kind.type === "classes" && rows === parts.train)
            assert.deepStrictEqual(
              [...labels].sort((a, b) => a - b),
              [...task.kind.names.keys()]
            )
        }
      }).pipe(Effect.provide(NodeServices.layer))
    )
  }
})
