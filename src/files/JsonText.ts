/** JSON as people write it: what is wrong with it has a line and a column. */
import * as Result from "effect/Result"

const token =
  /[ \t\r\n]*(?:(?<mark>[{}[\],:])|(?<string>"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?<other>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)|(?<end>$))/y

type Wanted =
  | "a value"
  | "a value or ']'"
  | "a name in quotes or '}'"
  | "a name in quotes"
  | "':'"
  | "',' or '}'"
  | "',' or ']'"
  | "the end"

/** What may follow a value inside of these brackets. */
const after = (open: ReadonlyArray<string>): Wanted =>
  open.length === 0 ? "the end" : open.at(-1) === "{" ? "',' or '}'" : "',' or ']'"

/** Where a text stops being JSON, and what would have been. */
const faultOf = (text: string): { readonly at: number; readonly wanted: Wanted } => {
  const open: Array<string> = []
  let wanted: Wanted = "a value"
  for (let at = 0; ; at = token.lastIndex) {
    token.lastIndex = at
    const { end, mark, other, string } = token.exec(text)?.groups ?? {}
    const value = wanted.startsWith("a value")
    const fault = { at: at + /^[ \t\r\n]*/.exec(text.slice(at, at + 10_000))![0].length, wanted }
    if (end !== undefined) return fault
    if (value && (mark === "{" || mark === "[")) {
      open.push(mark)
      wanted = mark === "{" ? "a name in quotes or '}'" : "a value or ']'"
    } else if (mark !== undefined && wanted !== "a value" && wanted.includes(`'${mark}'`)) {
      if (mark === ":") wanted = "a value"
      else if (mark === ",") wanted = open.at(-1) === "{" ? "a name in quotes" : "a value"
      else {
        open.pop()
        wanted = after(open)
      }
    } else if (value && (string !== undefined || other !== undefined)) wanted = after(open)
    else if (string !== undefined && wanted.startsWith("a name")) wanted = "':'"
    else return fault
  }
}

/** The value that a text of JSON stands for, a byte-order mark before it passed over; or where it is none, and why. */
export const parse = (text: string): Result.Result<unknown, string> => {
  const json = text.startsWith("\ufeff") ? text.slice(1) : text
  try {
    return Result.succeed(JSON.parse(json) as unknown)
  } catch {
    const { at, wanted } = faultOf(json)
    const lines = json.slice(0, at).split("\n")
    const found = at === json.length ? "the end of the text" : `'${String.fromCodePoint(json.codePointAt(at)!)}'`
    return Result.fail(`line ${lines.length}, column ${lines.at(-1)!.length + 1}: found ${found}, expected ${wanted}`)
  }
}
