/**
 * A run as it is written, for pages that look on: every series whole for whoever comes, and what is new for whoever has stayed. Each
 * piece of news has a number, by which one who was away is told what was missed, once and without a gap.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Values from "../export/Values.ts"
import { thin } from "../report/Thin.ts"
import type { Record as Line } from "../folder/Records.ts"
import * as RecordText from "../view/RecordText.ts"
import { Follower } from "./Follower.ts"

/** Where one series belongs: a trial, a level, and the name of what it shows. */
export interface Key {
  readonly trial: string
  readonly level: string
  readonly name: string
}

/** A point, and the run's step that it was written at. */
export type Stepped = readonly [x: number, value: number, step: number]

/** Points that a series gains; where it is `anew` they are all it has, since a later attempt began before some. */
export interface Change extends Key {
  readonly anew: boolean
  readonly points: ReadonlyArray<Stepped>
}

/** What is new: `number` counts from one. */
export interface News {
  readonly number: number
  readonly changes: ReadonlyArray<Change>
  /** Records in words, for people who read along. */
  readonly words: ReadonlyArray<string>
  readonly status: Status | null
}

/** What the run says of itself. `beat` is when it was last heard, in milliseconds since 1970. */
export interface Status {
  readonly state: string
  readonly tick: number
  readonly attempt: number
  readonly beat: number
  readonly error: string | null
}

/** Points of a series that a page is sent at first. */
const shown = 2000
/** Points kept of a series: beyond them every other one is left out. */
const kept = 40_000
/** News kept for those who were away. */
const remembered = 2000
/** Words kept for those who come. */
const said = 200

interface Series extends Key {
  points: Array<Stepped>
  stride: number
  seen: number
}

interface Trial {
  readonly name: string
  readonly folder: string
  readonly followers: Map<number, Follower>
  attempt: number
}

type Changes = Map<string, { anew: boolean; points: Array<Stepped> } & Key>

const keyOf = ({ level, name, trial }: Key): string => JSON.stringify([trial, level, name])

/** The x of a number: the level's own count of updates for losses, the run's step for everything else. */
const at = ({ name, step, tick }: Values.Value): number =>
  tick !== null && (name === "loss" || name.startsWith("loss/") || name === "gradient norm") ? tick : step

/** The feed of one run folder. Nothing of it is written. */
export class Feed {
  readonly #folder: string
  readonly #series = new Map<string, Series>()
  readonly #trials = new Map<string, Trial>()
  readonly #news: Array<News> = []
  #words: ReadonlyArray<string> = []
  #status: Status | null = null
  #number = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Looks for what is new. Undefined where nothing is. */
  poll(): News | undefined {
    const changes: Changes = new Map()
    const words: Array<string> = []
    for (const trial of this.#found()) {
      const attempts = readdirSync(trial.folder)
        .flatMap((name) => /^metrics-(\d+)\.ndjson$/.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b)
      for (const attempt of attempts) {
        const follower = trial.followers.get(attempt) ?? new Follower(join(trial.folder, `metrics-${attempt}.ndjson`))
        trial.followers.set(attempt, follower)
        for (const record of follower.next()) {
          // What an attempt wrote that a later one has replaced, read late.
          if (attempt < trial.attempt) continue
          trial.attempt = attempt
          if (record.t === "head") this.#cut(trial.name, record.from, changes)
          this.#take(trial.name, record, changes)
          words.push(`${trial.name === "" ? "" : `${trial.name}  `}${RecordText.line(record)}`)
        }
      }
    }
    const status = this.#read()
    const moved = JSON.stringify(status) !== JSON.stringify(this.#status)
    if (changes.size === 0 && words.length === 0 && !moved) return undefined
    this.#status = status
    this.#words = [...this.#words, ...words].slice(-said)
    const news: News = {
      number: ++this.#number,
      changes: [...changes.values()],
      words: words.slice(-said),
      status: moved ? status : null
    }
    this.#news.push(news)
    if (this.#news.length > remembered) this.#news.shift()
    return news
  }

  /** Everything up to now, thinned, as one piece of news. */
  whole(): News {
    const changes = [...this.#series.values()].map(({ level, name, points, trial }) => ({
      trial,
      level,
      name,
      anew: true,
      points: thin(points, shown)
    }))
    return { number: this.#number, changes, words: this.#words, status: this.#status }
  }

  /** What came after a piece of news; undefined where that is too long ago, or never was. */
  since(number: number): ReadonlyArray<News> | undefined {
    if (number > this.#number) return undefined
    const first = this.#number - this.#news.length
    return number < first ? undefined : this.#news.slice(number - first)
  }

  #found(): ReadonlyArray<Trial> {
    const trials = join(this.#folder, "trials")
    const names = existsSync(trials)
      ? readdirSync(trials, { recursive: true, encoding: "utf8" }).flatMap((name) => {
          const match = /^(.*)[/\\]metrics-\d+\.ndjson$/.exec(name)
          return match === null ? [] : [match[1]!]
        })
      : []
    for (const name of ["", ...names]) {
      if (this.#trials.has(name)) continue
      const folder = name === "" ? this.#folder : join(trials, name)
      this.#trials.set(name, { name, folder, followers: new Map(), attempt: 0 })
    }
    return [...this.#trials.values()].filter(({ folder }) => existsSync(folder))
  }

  #read(): Status | null {
    const file = join(this.#folder, "status.json")
    try {
      if (statSync(file).size > 2 ** 20) return this.#status
      const { attempt, error, heartbeat, state, tick } = JSON.parse(readFileSync(file, "utf8")) as {
        [key: string]: unknown
      }
      return {
        state: `${state}`,
        tick: Number(tick),
        attempt: Number(attempt),
        beat: Date.parse(`${heartbeat}`),
        error: error === null || error === undefined ? null : `${error}`
      }
    } catch {
      // Between two writes of another system's disk there may be none: the last one stands.
      return this.#status
    }
  }

  #cut(trial: string, from: number, changes: Changes): void {
    for (const [key, series] of this.#series) {
      if (series.trial !== trial) continue
      const points = series.points.filter(([, , step]) => step <= from)
      if (points.length === series.points.length) continue
      series.points = points
      changes.set(key, { trial, level: series.level, name: series.name, anew: true, points: [...thin(points, shown)] })
    }
  }

  #take(trial: string, record: Line, changes: Changes): void {
    for (const value of Values.of("", trial, [record])) {
      const { level, name } = value
      const key = keyOf({ trial, level, name })
      let series = this.#series.get(key)
      if (series === undefined) this.#series.set(key, (series = { trial, level, name, points: [], stride: 1, seen: 0 }))
      const point: Stepped = [at(value), value.value, value.step]
      if (series.seen++ % series.stride === 0) series.points.push(point)
      if (series.points.length > kept) {
        series.points = series.points.filter((_, i) => i % 2 === 0)
        series.stride *= 2
      }
      const change = changes.get(key) ?? { trial, level, name, anew: false, points: [] }
      change.points.push(point)
      changes.set(key, change)
    }
  }
}
