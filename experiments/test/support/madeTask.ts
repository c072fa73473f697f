import { Split } from "tapweight"
import type * as PictureBatches from "../../molecules/pictures/PictureBatches.ts"
import type { Task } from "../../molecules/Task.ts"

type Given = Pick<Task, "kind" | "name" | "tasks"> & {
  readonly train: PictureBatches.Labelled
  readonly validation: PictureBatches.Labelled
  readonly test: PictureBatches.Labelled
  readonly pool: Pick<Task["pool"], "clusters" | "counts" | "pictures">
}

/** A task of pictures that were made here, in its own unit. */
export const madeTask = ({ pool, test, train, validation, ...given }: Given): Task => {
  const split = Split.apart({ train, validation, test })
  const counts = Split.count(split, ({ pictures }) => pictures.count)
  const read = counts.train + counts.validation + counts.test
  return {
    ...given,
    ...split,
    metric: given.kind === "classification" ? "roc-auc" : "rmse",
    pool: { ...pool, summary: "pool", inputs: [] },
    unit: {
      mean: Array.from({ length: given.tasks }, () => 0),
      deviation: Array.from({ length: given.tasks }, () => 1)
    },
    counted: { rows: read, dropped: 0, ...counts },
    summary: given.name,
    input: {
      name: given.name,
      version: null,
      sha256: null,
      read,
      dropped: [],
      split: { rule: "none", rows: {} },
      licence: "ours",
      source: "seeds"
    }
  }
}
