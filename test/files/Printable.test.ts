import { assert, describe, it } from "vitest"
import * as Printable from "../../src/files/Printable.ts"

describe("Printable", () => {
  it("what a terminal would obey is written out, in one line", () => {
    assert.strictEqual(Printable.inline("\u001b]0;gone\u0007\u001b[2J"), "\\u001b]0;gone\\u0007\\u001b[2J")
    assert.strictEqual(Printable.inline("a\r\n\tb\u2028c"), "a\\u000d\\u000a\\u0009b\\u2028c")
    // The control sequence introducer in one character, a right-to-left override, a byte order mark, half a character.
    assert.strictEqual(Printable.inline("\u009b1m\u202e\ufeff\ud83e"), "\\u009b1m\\u202e\\ufeff\\ud83e")
  })

  it("letters of all kinds, signs and our own lines stay as they are", () => {
    const text = "λ → 0.5 · café 分子 🧪 C[C@H](N)C(=O)O"
    assert.strictEqual(Printable.inline(text), text)
    assert.strictEqual(Printable.lines(`${text}\n  ▁▂▃\n`), `${text}\n  ▁▂▃\n`)
    assert.strictEqual(Printable.lines("a\u001b\nb\u0007"), "a\\u001b\nb\\u0007")
  })

  it("no character that is left is a control character", () => {
    const every = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code))
    const printed = every.map(Printable.inline)
    assert.deepStrictEqual(
      printed.filter((text) => /[\p{Cc}\p{Cs}]/u.test(text)),
      []
    )
    // As JSON it means the same.
    const written = printed.flatMap((text, code) => (text === every[code] ? [] : [[text, every[code]] as const]))
    assert.deepStrictEqual(
      written.filter(([text, character]) => JSON.parse(`"${text}"`) !== character),
      []
    )
    assert.isAbove(written.length, 60)
  })
})
