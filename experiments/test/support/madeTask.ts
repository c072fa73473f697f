import type { Task } from "../../molecules/Task.ts"

type Given = Pick<Task, "kind" | "name" | "tasks" | "test" | "train" | "validation"> & {
  readonly pool: Pick<Task["pool"], "clusters" | "counts" | "pictures">
}

/** A task of pictures that were made here, in its own unit. */
export const madeTask = ({ pool, ...given }: Given): Task => {
  const [train, validation, test] = [given.train, given.validation, given.test].map(({ pictures }) => pictures.count)
  const read = train! + validation! + test!
  return {
    ...given,
    metric: given.kind === "classification" ? "roc-auc" : "rmse",
    pool: { ...pool, summary: "pool", inputs: [] },
    unit: {
      mean: Array.from({ length: given.tasks }, () => 0),
      deviation: Array.from({ length: given.tasks }, () => 1)
    },
    counted: { rows: read, dropped: 0, train: train!, validation: validation!, test: test! },
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
