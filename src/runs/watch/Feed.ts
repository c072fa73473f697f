/**
 * Runs as they are written, for pages that look on: every series whole for whoever comes, and what is new for whoever has stayed. Each
 * piece of news has a number, by which one who was away is told what was missed, once and without a gap.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Schema from "effect/Schema"
import * as Values from "../export/Values.ts"
import * as Graph from "../report/Graph.ts"
import { thin } from "../report/Thin.ts"
import * as PlanFile from "../folder/PlanFile.ts"
import type { Record as Line } from "../folder/Records.ts"
import * as RecordText from "../view/RecordText.ts"
import { Follower } from "./Follower.ts"
import type { Change, Key, News, Picture, Status, Stepped, Watched } from "./News.ts"
import { Series } from "./Series.ts"

/** Points that a page is sent of all series together, and of one at most. */
const points = { all: 200_000, each: 2000 }
/** News kept for those who were away. */
const remembered = 2000
/** Points that kept news may hold: who missed more is given everything anew. */
const heavy = 2_000_000
/** Words kept for those who come. */
const said = 200
/** Runs whose curves are followed. */
export const mostRuns = 64
/** Bytes of a plan or a status, beyond which a file is none. */
const largest = 2 ** 22

interface Trial {
  readonly name: string
  readonly folder: string
  readonly followers: Map<number, Follower>
  /** From which step each attempt began. */
  readonly begins: Map<number, number>
  /** Attempts that have said so themselves. */
  readonly headed: Set<number>
}

type Changes = Map<string, { anew: boolean; points: Array<Stepped> } & Key>

const keyOf = ({ level, name, trial }: Key): string => JSON.stringify([trial, level, name])
/** What is known of a run that has said nothing. */
const unheard = (run: string, state: string | undefined): Status | undefined =>
  state === undefined ? undefined : { run, state, tick: 0, ticks: null, attempt: 0, beat: Number.NaN, error: null }

const decodePlans = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.toCodecJson(PlanFile.Plans)))

/** A small file's text; undefined where there is none. */
const textOf = (file: string): string | undefined => {
  try {
    const stat = statSync(file)
    return stat.isFile() && stat.size <= largest ? readFileSync(file, "utf8") : undefined
  } catch {
    return undefined
  }
}

/** The feed of some run folders. Nothing of them is written. */
export class Feed {
  readonly #runs: () => ReadonlyArray<Watched>
  readonly #series = new Map<string, Series>()
  readonly #trials = new Map<string, Trial>()
  readonly #statuses = new Map<string, Status>()
  readonly #pictures = new Map<string, Picture>()
  readonly #planned = new Set<string>()
  readonly #news: Array<News> = []
  #held = 0
  #words: ReadonlyArray<string> = []
  #number = 0
  #behind = false

  /** Runs by name; those of a sweep come one after another. One that is alone has no name. */
  constructor(runs: () => ReadonlyArray<Watched>) {
    this.#runs = runs
  }

  /** The feed of one run folder. */
  static of(folder: string): Feed {
    const only = [{ name: "", path: folder }]
    return new Feed(() => only)
  }

  /** Whether the last look ended before all that was there was read. */
  get behind(): boolean {
    return this.#behind
  }

  /** Looks for what is new, for so many milliseconds at most. Undefined where nothing is. */
  poll(patience = Infinity): News | undefined {
    const changes: Changes = new Map()
    const words: Array<string> = []
    const until = performance.now() + patience
    const runs = this.#runs()
    this.#behind = false
    for (const trial of this.#found(runs)) {
      const attempts = this.#attempts(trial.folder)
      for (const attempt of attempts) {
        const follower = trial.followers.get(attempt) ?? new Follower(join(trial.folder, `metrics-${attempt}.ndjson`))
        trial.followers.set(attempt, follower)
        for (let more = true; more;) {
          if (performance.now() >= until) {
            this.#behind = true
            break
          }
          const found = follower.next()
          more = found.more
          for (const record of found.records) this.#hear(trial, attempt, record, changes, words)
          if (words.length > 2 * said) words.splice(0, words.length - said)
        }
      }
    }
    const statuses = runs.flatMap((run) => this.#moved(run))
    const pictures = runs.slice(0, mostRuns).flatMap((run) => this.#drawn(run))
    if (changes.size + words.length + statuses.length + pictures.length === 0) return undefined
    const latest = words.slice(-said)
    this.#words = [...this.#words, ...latest].slice(-said)
    const news: News = {
      number: ++this.#number,
      changes: [...changes].map(([key, change]) => this.#told(key, change)),
      words: latest,
      statuses,
      pictures
    }
    this.#remember(news)
    return news
  }

  /** Everything up to now, thinned, as one piece of news. */
  whole(): News {
    const changes = [...this.#series].map(([key, { level, name, trial }]) => ({
      trial,
      level,
      name,
      anew: true,
      points: this.#thinned(key)
    }))
    return {
      number: this.#number,
      changes,
      words: this.#words,
      statuses: [...this.#statuses.values()],
      pictures: [...this.#pictures.values()]
    }
  }

  /** What came after a piece of news; undefined where that is too long ago, or never was. */
  since(number: number): ReadonlyArray<News> | undefined {
    if (number > this.#number) return undefined
    const first = this.#number - this.#news.length
    return number < first ? undefined : this.#news.slice(number - first)
  }

  #remember(news: News): void {
    const weight = ({ changes }: News) => changes.reduce((sum, change) => sum + change.points.length, 1)
    this.#news.push(news)
    this.#held += weight(news)
    while (this.#news.length > remembered || (this.#held > heavy && this.#news.length > 1))
      this.#held -= weight(this.#news.shift()!)
  }

  #thinned(key: string): ReadonlyArray<Stepped> {
    const most = Math.min(points.each, Math.max(50, Math.floor(points.all / this.#series.size)))
    return thin(this.#series.get(key)!.points, most)
  }

  /** A change as it is told: where it is longer than all that is sent of the series, that is sent. */
  #told(key: string, change: Change): Change {
    if (!change.anew && change.points.length <= points.each / 4) return change
    return { ...change, anew: true, points: this.#thinned(key) }
  }

  #attempts(folder: string): ReadonlyArray<number> {
    return readdirSync(folder)
      .flatMap((name) => /^metrics-(\d{1,9})\.ndjson$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b)
  }

  #found(runs: ReadonlyArray<Watched>): ReadonlyArray<Trial> {
    for (const { name: run, path } of runs.slice(0, mostRuns)) {
      const trials = join(path, "trials")
      const names = existsSync(trials)
        ? readdirSync(trials, { recursive: true, encoding: "utf8" }).flatMap((name) => {
            const match = /^(.*)[/\\]metrics-\d+\.ndjson$/.exec(name)
            return match === null ? [] : [match[1]!]
          })
        : []
      for (const trial of ["", ...names]) {
        const name = [run, trial].filter((part) => part !== "").join(" / ")
        if (this.#trials.has(name)) continue
        const folder = trial === "" ? path : join(trials, trial)
        this.#trials.set(name, { name, folder, followers: new Map(), begins: new Map(), headed: new Set() })
      }
    }
    return [...this.#trials.values()].filter(({ folder }) => existsSync(folder))
  }

  /** A run's status, where it is another than it was. */
  #moved({ name, path, state }: Watched): ReadonlyArray<Status> {
    const before = this.#statuses.get(name)
    // Between two writes of another system's disk there may be none: the last one stands.
    const now = this.#status(name, path) ?? before ?? unheard(name, state)
    if (now === undefined || JSON.stringify(now) === JSON.stringify(before)) return []
    this.#statuses.set(name, now)
    return [now]
  }

  /** The ticks that a run's settings ask for; null of one that has several trials, each of which has its own. */
  #ticksOf(path: string): number | null {
    if (existsSync(join(path, "trials"))) return null
    try {
      const { ticks } = JSON.parse(textOf(join(path, "config.json")) ?? "{}") as { ticks?: { value?: unknown } }
      return typeof ticks?.value === "number" ? ticks.value : null
    } catch {
      return null
    }
  }

  #status(run: string, path: string): Status | undefined {
    const text = textOf(join(path, "status.json"))
    if (text === undefined) return undefined
    try {
      const { attempt, error, heartbeat, state, tick } = JSON.parse(text) as { [key: string]: unknown }
      return {
        run,
        state: `${state}`,
        tick: Number(tick),
        ticks: this.#ticksOf(path),
        attempt: Number(attempt),
        beat: Date.parse(`${heartbeat}`),
        error: error === null || error === undefined ? null : `${error}`
      }
    } catch {
      return undefined
    }
  }

  /** The pictures of a run's plans, once; those that are the same are one. */
  #drawn({ name, path }: Watched): ReadonlyArray<Picture> {
    if (this.#planned.has(name)) return []
    const text = textOf(join(path, "plan.json"))
    if (text === undefined) return []
    this.#planned.add(name)
    const plans = decodePlans(text)
    if (plans._tag === "None") return []
    return Object.values(plans.value.problems).flatMap((plan) => {
      const picture = { layout: Graph.layout(plan), words: Graph.words(plan) }
      const key = JSON.stringify(picture)
      if (this.#pictures.has(key)) return []
      this.#pictures.set(key, picture)
      return [picture]
    })
  }

  #hear(trial: Trial, attempt: number, record: Line, changes: Changes, words: Array<string>): void {
    if (record.t === "head") {
      trial.headed.add(attempt)
      this.#begin(trial, attempt, record.from, changes)
    } else if ("k" in record) {
      // An attempt whose head was torn began where its records do.
      if (!trial.headed.has(attempt) && record.k <= (trial.begins.get(attempt) ?? Infinity))
        this.#begin(trial, attempt, record.k - 1, changes)
      // What an attempt wrote that a later one has replaced, read late.
      for (const [later, from] of trial.begins) if (later > attempt && record.k > from) return
      if (!this.#take(trial.name, attempt, record, changes)) return
    }
    words.push(`${trial.name === "" ? "" : `${trial.name}  `}${RecordText.line(record)}`)
  }

  /** Notes where an attempt began, which is what those before it are cut off at. */
  #begin({ begins, name }: Trial, attempt: number, from: number, changes: Changes): void {
    begins.set(attempt, from)
    for (const [key, series] of this.#series) {
      if (series.trial !== name || !series.cut(from, attempt)) continue
      changes.set(key, { trial: name, level: series.level, name: series.name, anew: true, points: [] })
    }
  }

  /** Adds a record's numbers. Whether any was new, or it has none. */
  #take(trial: string, attempt: number, record: Line, changes: Changes): boolean {
    let [news, numbers] = [0, 0]
    for (const value of Values.of("", trial, [record])) {
      const { level, name } = value
      const key = keyOf({ trial, level, name })
      let series = this.#series.get(key)
      if (series === undefined) this.#series.set(key, (series = new Series({ trial, level, name })))
      // A level's own records are on its own count of updates.
      const point: Stepped = [value.tick ?? value.step, value.value, value.step, attempt]
      const added = series.add(point)
      numbers++
      if (added === "known") continue
      news++
      if (added === "passed") continue
      const change = changes.get(key) ?? { trial, level, name, anew: false, points: [] }
      if (added === "between") change.anew = true
      change.points.push(point)
      changes.set(key, change)
    }
    return news > 0 || numbers === 0
  }
}
