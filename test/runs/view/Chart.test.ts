import { assert, describe, it } from "@effect/vitest"
import { Resvg } from "@resvg/resvg-js"
import { parseHTML } from "linkedom"
import { lambdaChart, type Series } from "../../../src/runs/view/Chart.ts"

const names = ["mlm", "cl", "sop", "motif", "node", "edge", "graph"]
const series = (n: number, end = 1 / n): ReadonlyArray<Series> =>
  names.slice(0, n).map((name, i) => ({
    name,
    points: [
      [0, 0.5],
      [50, 0.1 * i],
      [100, end]
    ]
  }))
const elements = (svg: string, selector: string) => [...parseHTML(svg).document.querySelectorAll(selector)]
const numbers = (text: string | null) => Number.parseFloat(text!)

describe("Chart", () => {
  it("draws each series as a line of its own colour and dash, labelled at its end", () => {
    const svg = lambdaChart(series(7), { title: "λ on CoLA" })
    const lines = elements(svg, '[aria-label="line"]')
    assert.lengthOf(lines, 7)
    assert.deepStrictEqual(
      lines.map((line) => line.getAttribute("stroke")),
      ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#767676", "#767676"]
    )
    const marks = lines.map((line) => `${line.getAttribute("stroke")} ${line.getAttribute("stroke-dasharray")}`)
    assert.strictEqual(new Set(marks).size, 7)
    const texts = elements(svg, "text").map((text) => text.textContent)
    for (const name of [...names.map((n) => `${n} 0.14`), "λ on CoLA", "outer step", "λ"]) assert.include(texts, name)
  })

  it("keeps labels apart and inside, also where all lines end in one point", () => {
    for (const end of [0, 0.5, 1]) {
      const labels = elements(lambdaChart(series(7, end)), 'text[dy="0.32em"]').slice(-7)
      const rows = labels.map((label) => numbers(label.getAttribute("y"))).sort((a, b) => a - b)
      for (let i = 1; i < rows.length; i++) assert.isAtLeast(rows[i]! - rows[i - 1]!, 14.99)
      assert.isAtLeast(rows[0]!, 10)
      assert.isAtMost(rows.at(-1)!, 310)
    }
  })

  it("is one file that asks for nothing, white, and a picture to an SVG renderer", () => {
    const svg = lambdaChart(series(3))
    assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/)
    assert.notMatch(svg.replace(/xmlns="[^"]*"/, ""), /https?:|url\(|<script|@import/)
    const image = new Resvg(svg).render()
    assert.deepStrictEqual([image.width, image.height], [720, 320])
    assert.deepStrictEqual([...image.pixels.subarray(0, 4)], [255, 255, 255, 255])
    assert.isTrue(image.pixels.some((value) => value < 128))
  })

  it("shows hostile names as text", () => {
    const hostile = `"><img src=x onerror='alert(1)'>&\u0000\u001b[1m\ud800`
    const svg = lambdaChart([{ name: hostile, points: [[0, 1]] }], { title: hostile, x: hostile, y: hostile })
    assert.lengthOf(elements(svg, "img"), 0)
    assert.doesNotThrow(() => new Resvg(svg).render())
  })

  it("leaves gaps where there is no number, and draws nothing of nothing", () => {
    const holes = lambdaChart([
      {
        name: "a",
        points: [
          [0, 0.1],
          [1, NaN],
          [2, 0.3],
          [3, Infinity]
        ]
      },
      { name: "b", points: [] }
    ])
    assert.notMatch(holes, /NaN|Infinity/)
    assert.include(
      elements(holes, "text").map((text) => text.textContent),
      "a 0.30"
    )
    assert.match(lambdaChart([]), /^<svg/)
  })
})
