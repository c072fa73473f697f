import { readFile } from "node:fs/promises"
import { expect, it } from "vitest"
import { check } from "./compiler.ts"

const expectation = /^\s*\/\/ @ts-expect-error (.+)$/

// A mistake that is merely refused is not enough: the author must be told what to change, in so many words.
it("every mistake in wiring.test-d.ts is refused with the sentence written above it, and nothing else is", async () => {
  const source = await readFile(new URL("./wiring.test-d.ts", import.meta.url), "utf8")
  const lines = source.split("\n")
  const mistakes = lines.flatMap((line, i) => {
    const sentence = expectation.exec(line)?.[1]
    return sentence === undefined ? [] : [{ line: i + 2, sentence }]
  })
  expect(mistakes.length).toBeGreaterThanOrEqual(8)

  const unguarded = source.replaceAll("@ts-expect-error", "expected").replaceAll('"../../src/', '"src/')
  const { errors } = await check({ wiring: unguarded })
  const said = errors("wiring").map((text) => ({ line: Number(/\((\d+),/.exec(text)?.[1]), text }))

  for (const { line, sentence } of mistakes) {
    const here = said.filter((error) => error.line === line).map((error) => error.text)
    expect(here.join("\n"), `line ${line}: ${lines[line - 1]}`).toContain(sentence)
  }
  expect(said.filter((error) => !mistakes.some(({ line }) => line === error.line))).toEqual([])
})
