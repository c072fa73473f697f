/** Every number that a run wrote, one a row: the long form that any table program pivots. */
import type { Record as Line } from "../folder/Records.ts"

/** One number. `tick` is the level's own count, where the record has one; `seconds` those since the attempt began. */
export interface Value {
  readonly run: string
  /** Empty of a run that is one trial itself. */
  readonly trial: string
  readonly step: number
  /** Empty of what is of no level: the process's memory. */
  readonly level: string
  readonly tick: number | null
  readonly seconds: number | null
  readonly name: string
  readonly value: number
}

/** The columns of {@link Value}, in order. */
export const columns = ["run", "trial", "step", "level", "tick", "seconds", "name", "value"] as const

/** The numbers of a trial's records, in order, each made when it is asked for: a long run has more than there is room for. */
export function* of(run: string, trial: string, records: Iterable<Line>): Generator<Value> {
  for (const record of records) yield* ofRecord(run, trial, record)
}

const ofRecord = (run: string, trial: string, record: Line): ReadonlyArray<Value> => {
  if (!("k" in record) || record.t === "ckpt") return []
  const row = (name: string, value: number): Value => ({
    run,
    trial,
    step: record.k,
    level: "level" in record ? record.level : "",
    tick: "tick" in record ? record.tick : null,
    seconds: "w" in record ? record.w : null,
    name,
    value
  })
  switch (record.t) {
    case "step":
      return [
        row("loss", record.loss),
        ...(record.gnorm === undefined ? [] : [row("gradient norm", record.gnorm)]),
        ...Object.entries(record.parts ?? {}).map(([name, value]) => row(`loss/${name}`, value)),
        ...Object.entries(record.rates ?? {}).map(([group, value]) =>
          row(group === "" ? "rate" : `rate/${group}`, value)
        ),
        ...(record.moved === undefined ? [] : [row("update norm", record.moved)]),
        ...(record.taken === undefined ? [] : [row("gradient norm/taken", record.taken)]),
        ...(record.scale === undefined ? [] : [row("loss scale", record.scale)])
      ]
    case "lambda":
      return record.lambda.map((value, i) => row(`lambda/${record.names[i] ?? i}`, value))
    case "hyper":
      return [
        row("hypergradient/norm", record.norm),
        row("hypergradient/direct", record.direct),
        ...record.parts.flatMap(({ cos, norm, share, via }) => [
          row(`hypergradient/${via.join("/")}/norm`, norm),
          row(`hypergradient/${via.join("/")}/cosine`, cos),
          ...(share === undefined ? [] : [row(`hypergradient/${via.join("/")}/share`, share)])
        ]),
        ...record.solves.flatMap(({ level, residual }) =>
          residual === null ? [] : [row(`residual/${level}`, residual)]
        )
      ]
    case "cost":
      return [
        row("cost/turns", record.turns),
        ...(record.ms === null ? [] : [row("cost/milliseconds", record.ms)]),
        row("cost/evaluations", record.evaluations),
        ...(record.bytes === null ? [] : [row("cost/bytes", record.bytes)])
      ]
    case "memory":
      return (["resident", "peak", "heap", "arrays"] as const).map((name) => row(`memory/${name}`, record[name]))
    case "eval":
      return Object.entries(record.metrics).map(([name, value]) => row(`${record.split}/${name}`, value))
  }
}
