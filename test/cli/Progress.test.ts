import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Progress from "../../src/cli/launch/Progress.ts"

/** A terminal of a size: what is on its rows, the newest last. */
const terminal = (columns: number) => {
  const rows: Array<string> = [""]
  let [row, wraps] = [0, true]
  let column = 0
  const put = (character: string) => {
    if (column === columns) {
      if (!wraps) return
      down()
    }
    rows[row] = rows[row]!.slice(0, column) + character + rows[row]!.slice(column + 1)
    column++
  }
  const down = () => {
    row++
    column = 0
    rows[row] ??= ""
  }
  const write = (text: string) => {
    for (const [, up, clear, wrap, other] of text
      .replaceAll("\u001b", "⎋")
      .matchAll(/⎋\[(?:(\d+)A|(2K)|\?7([hl]))|([^⎋])/gu)) {
      if (up !== undefined) row = Math.max(0, row - Number(up))
      else if (clear !== undefined) rows[row] = ""
      else if (wrap !== undefined) wraps = wrap === "h"
      else if (other === "\n") down()
      else put(other!)
    }
  }
  return { rows, write, wraps: () => wraps }
}

const at = (index: number, names: ReadonlyArray<string>) =>
  ({
    trial: "",
    ticks: 100,
    weights: [],
    tick: {
      index,
      scores: { accuracy: 0.5 },
      levels: Object.fromEntries(names.map((name) => [name, { loss: 1 / index, metrics: {}, gradientNorm: 1 }]))
    }
  }) as never

describe("live progress", () => {
  it.effect("redraws as many rows as it has drawn, however narrow or low the terminal is", () =>
    Effect.gen(function* () {
      const names = ["pretrain-on-a-very-long-corpus", "finetune", "reweight"]
      for (const columns of [10, 40, 79, 80, 200]) {
        for (const rows of [2, 4, 24, 0]) {
          const screen = terminal(columns)
          const display = Progress.live(screen.write, () => ({ columns, rows }))
          for (const index of [1, 2, 3]) {
            yield* display.report(at(index, names))
            yield* TestClock.adjust("1 second")
          }
          const shown = screen.rows.filter((line) => line !== "")
          assert.lengthOf(shown, Math.min(4, (rows || 24) - 1), `${columns} × ${rows}: ${shown.join("|")}`)
          for (const line of shown) assert.isAtMost([...line].length, columns)
          assert.isTrue(screen.wraps())
        }
      }
    })
  )
})
