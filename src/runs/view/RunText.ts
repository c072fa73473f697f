/** Runs for people: a line each, or one in full. */
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type * as JsonFile from "../../files/JsonFile.ts"
import { computing, type Manifest } from "../folder/Manifest.ts"
import type { ResultFile } from "../folder/ResultFile.ts"
import type { RunFolder } from "../folder/RunFolder.ts"
import type { Status } from "../folder/Status.ts"
import type { Entries } from "../trial/Config.ts"
import * as TextTable from "./TextTable.ts"

/** A run in few words. `unknown` is a state that its folder does not tell; `note` says why, or how the run failed. */
export interface Summary {
  readonly id: string
  readonly program: string
  readonly path: string
  readonly state: Status["state"] | "unknown"
  readonly tick: number | null
  readonly seed: number | null
  /** When it was last heard of, in milliseconds since 1970. */
  readonly heard: number | null
  readonly note: string | null
}

/** A summary from what could be read. */
export const summary = (
  { id, path, program }: RunFolder,
  status: Result.Result<Status, JsonFile.RunFileError>,
  manifest: Result.Result<Manifest, JsonFile.RunFileError>
): Summary => {
  const seed = Result.isSuccess(manifest) ? manifest.success.seeds.root : null
  if (Result.isFailure(status)) {
    return { id, program, path, state: "unknown", tick: null, seed, heard: null, note: status.failure.message }
  }
  const { error, heartbeat, state, tick } = status.success
  const note = Result.isFailure(manifest) ? manifest.failure.message : error
  return { id, program, path, state, tick, seed, heard: DateTime.toEpochMillis(heartbeat), note }
}

const units = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"]
] as const

const ago = (milliseconds: number): string => {
  const seconds = Math.max(0, milliseconds / 1000)
  const [size, name] = units.find(([size]) => seconds >= size) ?? [1, "s"]
  return `${Math.floor(seconds / size)} ${name} ago`
}

/** A table of runs, and a sentence where there are none. */
export const list = (runs: ReadonlyArray<Summary>, now: number): string =>
  runs.length === 0
    ? "no runs"
    : TextTable.words([
        ["run", "program", "state", "tick", "seed", "last heard", ""],
        ...runs.map(({ heard, id, note, program, seed, state, tick }) => [
          id,
          program,
          state,
          tick === null ? "-" : `${tick}`,
          seed === null ? "-" : `${seed}`,
          heard === null ? "-" : ago(now - heard),
          (note ?? "").split("\n")[0]!.slice(0, 80)
        ])
      ])

/** Settings with their origins. */
export const settings = (entries: Entries): string =>
  TextTable.words([
    ["setting", "value", "from"],
    ...Object.entries(entries).map(([path, { origin, value }]) => [path, JSON.stringify(value), origin])
  ])

/** One run in full. */
export const text = (
  { id, note, path, program, state, tick }: Summary,
  { argv, data, engine, git, hardware, parent, seeds, versions }: Manifest,
  entries: Entries,
  result: ResultFile | undefined
): string => {
  const commit = git === null ? "-" : `${git.commit.slice(0, 12)}${git.dirty ? ", changed since (git.patch)" : ""}`
  const facts = [
    ["run", id],
    ["folder", path],
    ["program", program],
    ["state", `${state}, tick ${tick ?? "-"}`],
    ...(note === null ? [] : [["error", note]]),
    ...(parent === undefined
      ? []
      : [
          [
            "forked from",
            [
              `${parent.run} at tick ${parent.tick}`,
              ...Object.entries(parent.changed).map(
                ([key, { from, to }]) => `${key} ${JSON.stringify(from)} → ${JSON.stringify(to)}`
              )
            ].join(", ")
          ]
        ]),
    ["seed", `${seeds.root}`],
    ["engine", computing(engine)],
    ["git", commit],
    ["machine", `${hardware.cpu}, ${hardware.cores} cores, ${hardware.platform}`],
    [
      "versions",
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .slice(0, 2)
        .join(", ")
    ],
    ...data.map(({ licence, name, read }) => ["data", `${name}: ${read} rows, ${licence}`]),
    ["command", argv.slice(2).join(" ")]
  ]
  return [TextTable.words(facts), settings(entries), ...(result === undefined ? [] : [result.text])].join("\n\n")
}
