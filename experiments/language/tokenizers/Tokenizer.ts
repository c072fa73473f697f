/** Text as an encoder reads it: rows of tokens with their segments, cut to a length as Hugging Face's tokenizers cut them. */
import { Tokenizer as Hub } from "@huggingface/tokenizers"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import { type EncoderConfig, JsonFile } from "tapweight"
import * as Assembled from "./Assembled.ts"
import * as SentencePiece from "./SentencePiece.ts"

/** One row: tokens, and the segment of each, which is 0 for encoders that know no segments. */
export interface Row {
  readonly ids: ReadonlyArray<number>
  readonly types: ReadonlyArray<number>
}

/** A tokenizer that belongs to an encoder. */
export interface Tokenizer {
  /** Tokens: one more than the greatest number of any. */
  readonly size: number
  readonly padding: number
  readonly mask: number
  /** Tokens that stand for no text: never hidden, never drawn. */
  readonly special: ReadonlySet<number>
  /** The tokens of a text, without those that a row adds. */
  readonly content: (text: string) => ReadonlyArray<number>
  /** The number of a token by its text (`Ġgreat`, `great`), if there is such a token. */
  readonly idOf: (token: string) => number | undefined
  /** A row of tokens' numbers, of one text or of two. Of a pair that is too long the longer text is cut first. */
  readonly row: (first: ReadonlyArray<number>, second: ReadonlyArray<number> | undefined, longest: number) => Row
  /** A text, or a pair, as a row of at most `longest` tokens. */
  readonly encode: (text: string, pair: string | undefined, longest: number) => Row
}

/** What a row is put together of: special tokens, and the places of the texts. */
type Template = ReadonlyArray<{ readonly part: number | "first" | "second"; readonly type: number }>

const [first, second] = ["\u0001first", "\u0001second"]

const templateOf = (hub: Hub, pair: boolean): Template => {
  const process = hub.post_processor
  const { token_type_ids: types, tokens } =
    process === null ? { tokens: [first] } : process([first], pair ? [second] : null, true)
  return tokens.map((token: string, i: number) => ({
    part: token === first ? "first" : token === second ? "second" : hub.token_to_id(token)!,
    type: types?.[i] ?? 0
  }))
}

/** How many tokens of each text are kept, of both `room` at most: the longer text is cut first, the first of two equal ones. */
export const kept = (first: number, second: number, room: number): readonly [first: number, second: number] => {
  if (first + second <= room) return [first, second]
  const [short, long] = [Math.min(first, second), Math.max(first, second)]
  const less = Math.floor(room / 2)
  const [a, b] = short <= less ? [short, room - short] : [less, room - less]
  return first <= second ? [a, Math.min(b, long)] : [Math.min(b, long), a]
}

const describing = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A tokenizer from its description and its configuration. Throws a `RangeError` where it does not fit the encoder. */
export const make = (
  description: Assembled.Description,
  habits: { readonly [key: string]: unknown },
  { padding, types, vocabulary }: Pick<EncoderConfig.EncoderConfig, "padding" | "types" | "vocabulary">
): Tokenizer => {
  const hub = new Hub(description, { eos_token: "[SEP]", ...habits })
  let size = 0
  for (const id of hub.get_vocab().values()) size = Math.max(size, id + 1)
  if (size > vocabulary) {
    throw new RangeError(
      `it has ${size} tokens, and the encoder embeds ${vocabulary} (vocab_size): give the tokenizer that came with the encoder`
    )
  }
  const [one, two] = [templateOf(hub, false), templateOf(hub, true)]
  if (typeof one[0]?.part !== "number" || typeof one.at(-1)?.part !== "number") {
    throw new RangeError(
      "it adds no token before and after a text (post_processor), where an encoder's classifier looks"
    )
  }
  const added = hub.get_added_tokens_decoder() as ReadonlyMap<
    number,
    { readonly id: number; readonly special: boolean }
  >
  const special = new Set(Array.from(added.values()).flatMap(({ id, special }) => (special ? [id] : [])))
  for (const { part } of two) if (typeof part === "number") special.add(part)
  special.add(padding)
  const mask = ["[MASK]", "<mask>"].flatMap((token) => hub.token_to_id(token) ?? [])[0]
  if (mask === undefined) throw new RangeError("it has no token [MASK] or <mask>")
  const content = (text: string): ReadonlyArray<number> => hub.encode(text, { add_special_tokens: false }).ids
  // RoBERTa's rows are of one segment; the library numbers two.
  const post = description["post_processor"]
  const apart = types > 1 && !(Predicate.isObject(post) && post["type"] === "RobertaProcessing")
  const row: Tokenizer["row"] = (first, second, longest) => {
    const template = second === undefined ? one : two
    const room = longest - template.filter(({ part }) => typeof part === "number").length
    if (room < 1) throw new RangeError(`Tokenizer.row: ${longest} tokens leave no room for text: give more`)
    const [a, b] = kept(first.length, second?.length ?? 0, room)
    const parts = { first: first.slice(0, a), second: second?.slice(0, b) ?? [] }
    const row = template.map(({ part, type }) => ({ type, ids: typeof part === "number" ? [part] : parts[part] }))
    return {
      ids: row.flatMap(({ ids }) => ids),
      types: row.flatMap(({ ids, type }) => ids.map(() => (apart ? type : 0)))
    }
  }
  return {
    size,
    padding,
    mask,
    special,
    content,
    idOf: (token) => hub.token_to_id(token),
    row,
    encode: (text, pair, longest) => row(content(text), pair === undefined ? undefined : content(pair), longest)
  }
}

const forms = "tokenizer.json, vocab.txt, vocab.json with merges.txt, spm.model"

/**
 * The tokenizer of an encoder's folder: `tokenizer.json`, or what is assembled from `vocab.txt`, from `vocab.json` and `merges.txt`, or from
 * `spm.model`, with `tokenizer_config.json` beside it. Fails with a `RunFileError` that names the file.
 */
export const read = Effect.fnUntraced(function* (folder: string, config: EncoderConfig.EncoderConfig) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const at = (name: string) => path.join(folder, name)
  const refuse = (file: string, reason: string) => new JsonFile.RunFileError({ file, reason })
  const has = (name: string) => Effect.orElseSucceed(fs.exists(at(name)), () => false)
  const bytesOf = (name: string) =>
    Effect.mapError(fs.readFile(at(name)), (error) => refuse(at(name), `it cannot be read: ${error.message}`))
  const linesOf = (name: string) =>
    Effect.map(bytesOf(name), (bytes) =>
      new TextDecoder()
        .decode(bytes)
        .replace(/\r?\n$/, "")
        .split(/\r?\n/)
    )
  const jsonOf = Effect.fnUntraced(function* (name: string) {
    const json = yield* JsonFile.readJson(at(name))
    return Predicate.isObject(json) ? json : yield* refuse(at(name), "it is not a JSON object")
  })
  const habits = (yield* has("tokenizer_config.json")) ? yield* jsonOf("tokenizer_config.json") : {}
  const one = (name: string, assemble: () => Assembled.Description) =>
    Effect.try({
      try: () => make(assemble(), habits, config),
      catch: (error) => refuse(at(name), describing(error))
    })
  if (yield* has("tokenizer.json")) {
    const description = yield* jsonOf("tokenizer.json")
    return yield* one("tokenizer.json", () => description)
  }
  if (yield* has("vocab.txt")) {
    const lines = yield* linesOf("vocab.txt")
    return yield* one("vocab.txt", () => Assembled.wordPiece(lines, habits))
  }
  if ((yield* has("vocab.json")) && (yield* has("merges.txt"))) {
    const vocabulary = (yield* jsonOf("vocab.json")) as { readonly [token: string]: number }
    const merges = yield* linesOf("merges.txt")
    return yield* one("vocab.json", () => Assembled.byteLevel(vocabulary, merges, config.family, habits))
  }
  if (yield* has("spm.model")) {
    const bytes = yield* bytesOf("spm.model")
    return yield* one("spm.model", () => Assembled.unigram(SentencePiece.read(bytes), habits))
  }
  return yield* refuse(folder, `it has no tokenizer; looked for ${forms}: copy one of them into it`)
})
