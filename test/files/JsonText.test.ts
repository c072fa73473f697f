import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as JsonText from "../../src/files/JsonText.ts"

const fault = (text: string): string => {
  const parsed = JsonText.parse(text)
  return Result.isFailure(parsed) ? parsed.failure : "none"
}

describe("JSON text", () => {
  it("names the place of what is wrong, and what was expected there", () => {
    const table: ReadonlyArray<readonly [string, string]> = [
      ["", "line 1, column 1: found the end of the text, expected a value"],
      ['{\n  "a": 1,\n}', "line 3, column 1: found '}', expected a name in quotes"],
      ['{"a" 1}', "line 1, column 6: found '1', expected ':'"],
      ['{"a": 1\n "b": 2}', "line 2, column 2: found '\"', expected ',' or '}'"],
      ["[1, 2", "line 1, column 6: found the end of the text, expected ',' or ']'"],
      ["[1, ]", "line 1, column 5: found ']', expected a value"],
      ["[ tru ]", "line 1, column 3: found 't', expected a value or ']'"],
      ["{a: 1}", "line 1, column 2: found 'a', expected a name in quotes or '}'"],
      ["1 2", "line 1, column 3: found '2', expected the end"],
      ['["\n"]', "line 1, column 2: found '\"', expected a value or ']'"],
      ["[01]", "line 1, column 3: found '1', expected ',' or ']'"],
      ["{}}", "line 1, column 3: found '}', expected the end"]
    ]
    for (const [text, expected] of table) assert.strictEqual(fault(text), expected, text)
  })

  it("passes over a byte-order mark", () => {
    assert.deepStrictEqual(JsonText.parse('\ufeff{"a":1}'), Result.succeed({ a: 1 }))
  })

  it("finds a fault in whatever JSON.parse refuses, no later than the change that made it one", () => {
    const text = JSON.stringify({ a: [1, -2.5e-7, true, null, "x\\y\u00e9\n"], "b c": { d: {}, e: [] } }, null, 1)
    const draws = Array.from(Seed.uniform(Seed.make(5), 6000))
    let refused = 0
    for (let i = 0; i < draws.length; i += 3) {
      const at = Math.floor(draws[i]! * text.length)
      const other = '{}[],:"0-.etnl \\'[Math.floor(draws[i + 1]! * 16)]!
      const broken =
        draws[i + 2]! < 0.5 ? text.slice(0, at) + text.slice(at + 1) : text.slice(0, at) + other + text.slice(at)
      let valid = true
      try {
        JSON.parse(broken)
      } catch {
        valid = false
      }
      const said = fault(broken)
      assert.strictEqual(said === "none", valid, broken)
      if (valid) continue
      refused++
      const [line, column] = /^line (\d+), column (\d+)/.exec(said)!.slice(1).map(Number)
      const lines = broken.split("\n")
      assert.isAtMost(line!, lines.length)
      assert.isAtMost(column!, lines[line! - 1]!.length + 1)
    }
    assert.isAbove(refused, 500)
  })
})
