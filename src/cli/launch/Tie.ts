/**
 * The tie between a process and the one that it works for, over its standard input. Whoever starts it writes the time of its last proof
 * that the work is still its own; a process that has no recent one, or whose input ends, stops with a checkpoint.
 */
import type { Writable } from "node:stream"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** Milliseconds of a clock that processes of one machine share, and that nobody sets. */
export const now = (): number => Number(process.hrtime.bigint() / 1_000_000n)

/** Tells a process when its work was last known to be its own. */
export const beat = (input: Writable, at: number): void => void (input.writable && input.write(`${at}\n`))

/**
 * While the scope lasts, the end of standard input is as TERM: the process that held its other end is gone. With `seconds`, so is their
 * passing since the last beat.
 */
export const tied = (seconds: Option.Option<number>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const stop = () => process.kill(process.pid, "SIGTERM")
      process.stdin.once("end", stop).once("error", stop)
      if (Option.isNone(seconds))
        return (process.stdin.resume(), () => process.stdin.off("end", stop).off("error", stop))
      const limit = seconds.value * 1000
      let [deadline, rest] = [now() + limit, ""]
      const hear = (chunk: Buffer) => {
        const lines = `${rest}${chunk}`.split("\n")
        rest = lines.pop()!
        for (const line of lines) if (/^\d+$/.test(line)) deadline = Math.max(deadline, Math.min(+line, now()) + limit)
      }
      let timer: NodeJS.Timeout
      // A turn later, when what came while a long step kept the process busy has been read.
      const look = () => setImmediate(() => (now() < deadline ? wait() : stop()))
      const wait = () => void (timer = setTimeout(look, deadline - now()))
      process.stdin.on("data", hear)
      wait()
      return () => {
        clearTimeout(timer)
        process.stdin.off("end", stop).off("error", stop).off("data", hear)
      }
    }),
    (untie) =>
      Effect.sync(() => {
        untie()
        // One that is read keeps the process alive.
        process.stdin.destroy()
      })
  )
