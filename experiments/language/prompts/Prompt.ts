/**
 * Tasks as sentences with a hidden word (Schick and Schütze 2021; Gao et al. 2021): a template says where the texts and the word stand, and
 * each class has a word, which is one token. What predicts hidden tokens then classifies without a head of its own.
 */
import * as Schema from "effect/Schema"
import * as Tokenizer from "../tokenizers/Tokenizer.ts"

/** A template in which `{text}`, `{word}` and, for pairs, `{pair}` stand once each between spaces; a word for each class, or for low and high. */
export const Prompt = Schema.Struct({
  template: Schema.NonEmptyString,
  words: Schema.NonEmptyArray(Schema.NonEmptyString)
})
export type Prompt = typeof Prompt.Type

/** A text, or a pair of texts. */
export interface Texts {
  readonly text: string
  readonly pair?: string
}

/** A prompt as a tokenizer writes it. */
export interface Tokens {
  /** The words' numbers in rows. */
  readonly words: Int32Array
  /** Texts as a row in which the word is hidden, and where. */
  readonly asked: (texts: Texts) => { readonly row: Tokenizer.Row; readonly position: number }
  /** Texts with a class's word, as tokens without those that a row adds; no longer than a row. */
  readonly said: (texts: Texts, word: number) => ReadonlyArray<number>
}

type Part = "text" | "pair" | "word"
const parts: ReadonlyArray<string> = ["text", "pair", "word"] satisfies ReadonlyArray<Part>
/** What a template is made of, in order and with a space between: places for parts, and literal text. */
type Piece = { readonly part: Part } | { readonly literal: string }

const piecesOf = (template: string): ReadonlyArray<Piece> => {
  const pieces = template
    .trim()
    .split(/\s*(?<!\S)\{(text|pair|word)\}(?!\S)\s*/)
    .flatMap((piece, i): ReadonlyArray<Piece> => {
      if (i % 2 === 1) return [{ part: piece as Part }]
      return piece === "" ? [] : [{ literal: piece }]
    })
  for (const part of parts) {
    const place = `{${part}}`
    const count = pieces.filter((piece) => "part" in piece && piece.part === part).length
    const glued = pieces.some((piece) => "literal" in piece && piece.literal.includes(place))
    if (glued) throw new RangeError(`the template '${template}' has text beside ${place}: put a space between`)
    if (count === 1 || (count === 0 && part === "pair")) continue
    const often = count === 0 ? "lacks" : `has ${count} times`
    throw new RangeError(`the template '${template}' ${often} ${place}: write it once`)
  }
  return pieces
}

/** The token of a word as it stands after a space: its number in contents and in rows. */
const wordOf = (tokenizer: Tokenizer.Tokenizer, word: string): readonly [content: number, row: number] => {
  const tokens = tokenizer.content(` ${word}`)
  if (tokens.length !== 1) {
    throw new RangeError(
      `the label word '${word}' is ${tokens.length} tokens of this tokenizer: give a word that is one token after a space`
    )
  }
  const id = tokenizer.row(tokens, undefined, 64).ids.find((id) => !tokenizer.special.has(id))
  if (id === undefined || id === (tokenizer.idOf("[UNK]") ?? tokenizer.idOf("<unk>"))) {
    throw new RangeError(
      `the label word '${word}' is no token of this tokenizer: give another, or keep more of the vocabulary`
    )
  }
  return [tokens[0]!, id]
}

/** The tokens of a prompt's template and words, with the numbers of contents. */
export const tokensOf = (tokenizer: Tokenizer.Tokenizer, { template, words }: Prompt): ReadonlyArray<number> => [
  ...piecesOf(template).flatMap((piece, i) =>
    "literal" in piece ? tokenizer.content(i === 0 ? piece.literal : ` ${piece.literal}`) : []
  ),
  ...words.flatMap((word) => tokenizer.content(` ${word}`))
]

/**
 * A prompt in a tokenizer's tokens, rows being `longest` at most: texts are cut, the template never is. The tokens are those of
 * the whole sentence. Throws a `RangeError` on a template that lacks a place, on a word that is not one token, and on two words
 * that are one.
 */
export const make = (tokenizer: Tokenizer.Tokenizer, { template, words }: Prompt, longest: number): Tokens => {
  const pieces = piecesOf(template)
  const partAt = (part: Part): number => pieces.findIndex((piece) => "part" in piece && piece.part === part)
  const [a, b, hidden] = [partAt("text"), partAt("pair"), partAt("word")]
  const pairs = b !== -1
  const tokens = words.map((word) => wordOf(tokenizer, word))
  const ids = tokens.map(([, id]) => id)
  const twice = ids.findIndex((id, i) => ids.indexOf(id) !== i)
  if (twice !== -1) {
    throw new RangeError(
      `the label words '${words[ids.indexOf(ids[twice]!)]}' and '${words[twice]}' are one token: give two`
    )
  }
  // What begins a sentence has no space before it; a word is the token that it is after one wherever it stands.
  const content = (text: string, i: number) => tokenizer.content(i === 0 ? text : ` ${text}`)
  const literals = pieces.map((piece, i) => ("literal" in piece ? content(piece.literal, i) : []))
  const first = tokenizer.row([tokens[0]![0]], undefined, 64)
  const before = first.ids.indexOf(ids[0]!)
  const fixed = first.ids.length + literals.reduce((sum, { length }) => sum + length, 0)
  const room = longest - fixed
  if (room < (pairs ? 2 : 1)) {
    throw new RangeError(
      `the template '${template}' leaves no room for text in rows of ${longest} tokens: make rows longer`
    )
  }
  const written = ({ pair, text }: Texts, word: number) => {
    if ((pair !== undefined) !== pairs) {
      const reason = pairs ? "has {pair}, and a text has no second one" : "lacks {pair}, and texts come in pairs"
      throw new RangeError(`the template '${template}' ${reason}`)
    }
    const contents = pieces.map((piece, i): ReadonlyArray<number> => {
      if ("literal" in piece) return literals[i]!
      if (piece.part === "word") return [tokens[word]![0]]
      return content((piece.part === "text" ? text : pair!).trim(), i)
    })
    const [first, second] = Tokenizer.kept(contents[a]!.length, contents[b]?.length ?? 0, room)
    const cut = contents.map((own, i) => (i === a ? own.slice(0, first) : i === b ? own.slice(0, second) : own))
    return { tokens: cut.flat(), at: cut.slice(0, hidden).flat().length }
  }
  return {
    words: Int32Array.from(ids),
    said: (texts, word) => written(texts, word).tokens,
    asked: (texts) => {
      const { at, tokens } = written(texts, 0)
      const { ids, types } = tokenizer.row(tokens, undefined, longest)
      const position = before + at
      return { row: { ids: ids.with(position, tokenizer.mask), types }, position }
    }
  }
}
