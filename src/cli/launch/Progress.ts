import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { LevelReport } from "../../runtime/run/Run.ts"
import type { TrialTick } from "../../runs/trial/Session.ts"

/** Hears of every tick and shows some of them. */
export interface Display {
  readonly report: (progress: TrialTick) => Effect.Effect<void>
}

/** Shows nothing. */
export const quiet: Display = { report: () => Effect.void }

const bars = "▁▂▃▄▅▆▇█"

/** The last values as a line of bars between their smallest and their largest. */
export const sparkline = (values: ReadonlyArray<number>): string => {
  const low = Math.min(...values)
  const span = Math.max(...values) - low
  return values.map((v) => bars[span > 0 ? Math.round(((v - low) / span) * (bars.length - 1)) : 0]).join("")
}

const clock = (seconds: number): string => {
  const s = Math.max(0, Math.round(seconds))
  const two = (n: number) => `${n}`.padStart(2, "0")
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`
}

const lambda = (level: LevelReport, names: ReadonlyArray<string>): string => {
  const weights = level.metrics["lambda"]
  if (typeof weights !== "object") return ""
  return `  λ ${weights.map((w, i) => `${names[i] ?? i} ${w.toFixed(3)}`).join("  ")}`
}

const scores = (progress: TrialTick): string =>
  Object.entries(progress.tick.scores ?? {})
    .map(([name, value]) => `${name}=${value.toFixed(4)}`)
    .join(" ")

interface Shown {
  readonly trial: string
  readonly started: number
  readonly first: number
  readonly losses: Map<string, Array<number>>
  readonly latest: Map<string, LevelReport>
  scores: string
}

const remembered = 12

const follow = (shown: Shown | undefined, progress: TrialTick, now: number): Shown => {
  const next: Shown =
    shown?.trial === progress.trial
      ? shown
      : {
          trial: progress.trial,
          started: now,
          first: progress.tick.index,
          losses: new Map(),
          latest: new Map(),
          scores: ""
        }
  for (const [name, level] of Object.entries(progress.tick.levels)) {
    next.latest.set(name, level)
    next.losses.set(name, [...(next.losses.get(name) ?? []), level.loss].slice(-remembered))
  }
  const latest = scores(progress)
  if (latest !== "") next.scores = latest
  return next
}

const timing = (shown: Shown, progress: TrialTick, now: number): string => {
  const passed = (now - shown.started) / 1000
  const done = progress.tick.index - shown.first + 1
  const left = (passed / done) * (progress.ticks - progress.tick.index)
  const percent = Math.floor((100 * progress.tick.index) / progress.ticks)
  return `${progress.tick.index}/${progress.ticks}  ${percent} %   ${clock(passed)} passed, ${clock(left)} left`
}

const block = (shown: Shown, progress: TrialTick, now: number): ReadonlyArray<string> => {
  const width = Math.max(...[...shown.latest.keys()].map((name) => name.length))
  return [
    ...[...shown.latest].map(
      ([name, level]) =>
        `  ${name.padEnd(width)}  loss ${level.loss.toPrecision(4).padEnd(9)} ${sparkline(shown.losses.get(name)!).padEnd(remembered)}${lambda(level, progress.weights[name] ?? [])}`
    ),
    `  ${shown.trial === "" ? "" : `${shown.trial}  `}${timing(shown, progress, now)}${shown.scores === "" ? "" : `   ${shown.scores}`}`
  ]
}

/** Columns and rows of a terminal, where they are known. */
export interface Size {
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

const clipped = (line: string, columns: number): string => {
  const characters = [...line]
  return characters.length <= columns ? line : `${characters.slice(0, columns - 1).join("")}…`
}

/**
 * A block of lines redrawn at most four times a second, for a terminal of that size at the time. A line takes one row and the
 * block fewer than there are, or going up by as many would leave some of it standing.
 */
export const live = (write: (text: string) => void, size: () => Size = () => ({})): Display => {
  let shown: Shown | undefined
  let drawn = 0
  let last = -Infinity
  const draw = (lines: ReadonlyArray<string>) => {
    // A stream without columns is no terminal, and one of no columns is one that does not know.
    const { columns, rows } = size()
    const kept = lines.slice(-Math.max(1, (rows || 24) - 1)).map((line) => clipped(line, columns || 80))
    const up = Math.min(drawn, (rows || 24) - 1)
    // Without wrapping, because characters may be wider than one column.
    const text = kept.map((line) => `\u001b[2K${line}\n`).join("")
    write(`\u001b[?7l${up > 0 ? `\u001b[${up}A` : ""}${text}\u001b[?7h`)
    drawn = kept.length
  }
  return {
    report: (progress) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        // A trial that ends leaves its last block standing.
        if (shown !== undefined && shown.trial !== progress.trial) drawn = 0
        shown = follow(shown, progress, now)
        if (now - last < 250 && progress.tick.index < progress.ticks) return
        last = now
        draw(block(shown, progress, now))
      })
  }
}

/** One plain line every 30 seconds or 5 %, whichever is later, and at each evaluation: for log files. */
export const lines = (write: (text: string) => void): Display => {
  let shown: Shown | undefined
  let last: { readonly time: number; readonly index: number; readonly trial: string } | undefined
  return {
    report: (progress) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        shown = follow(shown, progress, now)
        const { index } = progress.tick
        const due =
          progress.trial !== last?.trial || (now - last.time >= 30_000 && index - last.index >= progress.ticks / 20)
        if (!due && progress.tick.scores === undefined && index < progress.ticks) return
        last = { time: now, index, trial: progress.trial }
        const losses = [...shown.latest].map(([name, level]) => `${name}.loss=${level.loss.toPrecision(5)}`)
        const weights = [...shown.latest.values()].flatMap((level) => {
          const w = level.metrics["lambda"]
          return typeof w === "object" ? [`lambda=${w.map((x) => x.toFixed(4)).join(",")}`] : []
        })
        const trial = progress.trial === "" ? [] : [`trial=${progress.trial}`]
        write(
          `${[...trial, `tick=${index}/${progress.ticks}`, ...losses, ...weights, scores(progress)].join(" ").trimEnd()}\n`
        )
      })
  }
}

/** The display that fits where standard error goes: redrawn on a terminal, plain lines elsewhere and under CI. */
export const forStream = (stream: NodeJS.WriteStream): Display => {
  const write = (text: string) => void stream.write(text)
  const ci = /^(1|true)$/.test(process.env["CI"] ?? "")
  return stream.isTTY && !ci && process.env["TERM"] !== "dumb" ? live(write, () => stream) : lines(write)
}
