import { readFile } from "node:fs/promises"
import { expect, it } from "vitest"
import { check } from "./compiler.ts"

const expectation = /^\s*\/\/ @ts-expect-error (.+)$/

// A mistake that is merely refused is not enough: the author must be told what to change, in so many words.
it("every mistake is refused with the sentence written above it, and nothing else is", async () => {
  const read = (name: string) => readFile(new URL(`./${name}.test-d.ts`, import.meta.url), "utf8")
  const sources = { wiring: await read("wiring"), buffers: await read("buffers"), run: await read("run") }
  const unguarded = (source: string) =>
    source.replaceAll("@ts-expect-error", "expected").replaceAll('"../../src/', '"src/')
  const { errors } = await check({
    wiring: unguarded(sources.wiring),
    buffers: unguarded(sources.buffers),
    run: unguarded(sources.run)
  })

  for (const [name, source] of Object.entries(sources)) {
    const lines = source.split("\n")
    const mistakes = lines.flatMap((line, i) => {
      const sentence = expectation.exec(line)?.[1]
      return sentence === undefined ? [] : [{ line: i + 2, sentence }]
    })
    expect(mistakes.length).toBeGreaterThanOrEqual(8)
    const said = errors(name).map((text) => ({ line: Number(/\((\d+),/.exec(text)?.[1]), text }))
    for (const { line, sentence } of mistakes) {
      const here = said.filter((error) => error.line === line).map((error) => error.text)
      expect(here.join("\n"), `${name}, line ${line}: ${lines[line - 1]}`).toContain(sentence)
    }
    expect(said.filter((error) => !mistakes.some(({ line }) => line === error.line))).toEqual([])
  }
})
