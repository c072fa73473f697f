/** What a page that looks on is told. */
import type { Layout } from "../report/Graph.ts"

/** A run that is looked at: its name among others, empty of one alone, and the state of one that has not begun. */
export interface Watched {
  readonly name: string
  readonly path: string
  readonly state?: string
}

/** Where one series belongs: a trial, a level, and the name of what it shows. */
export interface Key {
  readonly trial: string
  readonly level: string
  readonly name: string
}

/** A point, the run's step that it was written at, and the attempt that wrote it. */
export type Stepped = readonly [x: number, value: number, step: number, attempt: number]

/** Points that a series gains; where it is `anew` they are all it has, since a later attempt began before some. */
export interface Change extends Key {
  readonly anew: boolean
  readonly points: ReadonlyArray<Stepped>
}

/** What a run says of itself. `beat` is when it was last heard, in milliseconds since 1970. */
export interface Status {
  readonly run: string
  readonly state: string
  readonly tick: number
  /** How many ticks it is to have, of one that is a single trial. */
  readonly ticks: number | null
  readonly attempt: number
  readonly beat: number
  readonly error: string | null
}

/** A plan's levels and edges, where they lie and what they say. */
export interface Picture {
  readonly layout: Layout
  readonly words: ReadonlyArray<string>
}

/** What is new: `number` counts from one. */
export interface News {
  readonly number: number
  readonly changes: ReadonlyArray<Change>
  /** Records in words, for people who read along. */
  readonly words: ReadonlyArray<string>
  readonly statuses: ReadonlyArray<Status>
  readonly pictures: ReadonlyArray<Picture>
}
