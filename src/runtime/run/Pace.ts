/** How many ticks to ask for at a time: many of those that are over in no time, one of all others. Changes no result. */
import { common } from "../plan/Looks.ts"

/** Most ticks of one call. */
export const mostTicks = 64
/** Milliseconds that one call should take at most: signals and interruption wait as long. */
export const mostMilliseconds = 5
/** Bytes up to which two states and the batches of a call are worth holding: beyond, the way to the device is no cost. */
export const mostBytes = 2 ** 20

/** What is known of a run's ticks. */
export interface Pace {
  /** Milliseconds a tick; undefined before the first. */
  readonly milliseconds: number | undefined
  /** Bytes of batches a tick. */
  readonly bytes: number
  /** Ticks of the last call. */
  readonly before: number
  /** Ticks that may be risked: a quarter after a call inside of which the state was looked at, more after any other. */
  readonly bold: number
  /** Whether the state was looked at inside of the present call. */
  readonly caught: boolean
  /** The tick at which the state was looked at last, and the distances to those before. */
  readonly seen: number
  readonly gaps: ReadonlyArray<number>
}

/** Whether states of so many bytes are held twice, to have several ticks in a call. */
export const holds = (bytes: number): boolean => 2 * bytes < mostBytes

/** Before the first tick. Looks are supposed to come at regular ticks, counted from 0. */
export const start: Pace = {
  milliseconds: undefined,
  bytes: 0,
  before: 0,
  bold: 1,
  caught: false,
  seen: 0,
  gaps: []
}

const remembered = 4

/** After the state was looked at as it was after `tick`, which was the `last` of its call or not. */
export const looked = (pace: Pace, tick: number, last: boolean): Pace => {
  const caught = pace.caught || !last
  if (tick <= pace.seen) return { ...pace, caught }
  return { ...pace, caught, seen: tick, gaps: [tick - pace.seen, ...pace.gaps].slice(0, remembered) }
}

/** After a call of so many ticks. */
export const ran = (
  pace: Pace,
  call: { readonly ticks: number; readonly milliseconds: number; readonly bytes: number }
): Pace => {
  const each = call.milliseconds / call.ticks
  return {
    ...pace,
    // The first tick is slow, as it is compiled: it is forgotten with the second.
    milliseconds: pace.milliseconds === undefined || pace.before < 2 ? each : (pace.milliseconds + each) / 2,
    bytes: call.bytes / call.ticks,
    before: call.ticks,
    bold: pace.caught
      ? Math.max(1, Math.floor(pace.before / 4))
      : Math.min(mostTicks, pace.bold + Math.max(1, pace.gaps.length === 0 ? pace.bold : Math.floor(pace.bold / 4))),
    caught: false
  }
}

/** Ticks from `tick` to the next at which a look is expected; Infinity where none is. */
export const expected = ({ gaps, seen }: Pace, tick: number): number => {
  if (gaps.length === 0) return Infinity
  const largest = Math.max(...gaps)
  const grid = gaps.reduce(common)
  // Looks that follow no rule, or have ended, say nothing of the next.
  if (largest > 8 * grid || tick - seen > 2 * largest) return Infinity
  return grid - ((tick - seen) % grid)
}

/** Where a run stands. */
export interface Place {
  /** The tick that was the last to be asked for, and the last of the run. */
  readonly tick: number
  readonly last: number
  /** Bytes of a state. */
  readonly state: number
  /** Ticks after which the levels' turns repeat. */
  readonly cycle: number
}

/** How many ticks to ask for next: at least one. */
export const length = (pace: Pace, { cycle, last, state, tick }: Place): number => {
  if (pace.milliseconds === undefined) return 1
  const room = mostBytes - 2 * state
  const most = Math.min(
    mostTicks,
    pace.bold,
    Math.floor(mostMilliseconds / pace.milliseconds),
    pace.bytes === 0 ? mostTicks : Math.floor(room / pace.bytes)
  )
  const next = Math.min(expected(pace, tick), last - tick)
  if (next <= most) return Math.max(1, next)
  // Calls that end with a cycle are alike.
  const end = Math.floor((tick + most) / cycle) * cycle - tick
  return Math.max(1, end > 0 ? end : most)
}
