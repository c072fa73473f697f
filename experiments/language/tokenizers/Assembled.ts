/** What `tokenizer.json` says, from the files that older folders have in its place. */
import type { EncoderConfig } from "tapweight"
import type { Model } from "./SentencePiece.ts"

/** A tokenizer's description, as `tokenizer.json` has it. */
export type Description = { readonly [key: string]: unknown }

type Family = EncoderConfig.EncoderConfig["family"]

/** What a tokenizer's own configuration may say beside. */
export interface Habits {
  readonly do_lower_case?: boolean
  readonly tokenize_chinese_chars?: boolean
  readonly strip_accents?: boolean | null
  readonly add_prefix_space?: boolean
  readonly split_by_punct?: boolean
}

const special = (content: string, id: number, lstrip = false) => ({
  id,
  content,
  single_word: false,
  lstrip,
  rstrip: false,
  normalized: false,
  special: true
})

type Ids = ReadonlyMap<string, number>

/** The number of a token that there must be. */
const idOf = (ids: Ids, token: string): number => {
  const id = ids.get(token)
  if (id === undefined) throw new RangeError(`it has no token '${token}', which an encoder's rows are made of`)
  return id
}

/** `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`. */
const template = (ids: Ids, second: number) => {
  const token = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } })
  const part = (id: string, type_id: number) => ({ Sequence: { id, type_id } })
  const single = [token("[CLS]", 0), part("A", 0), token("[SEP]", 0)]
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, part("B", second), token("[SEP]", second)],
    special_tokens: Object.fromEntries(
      ["[CLS]", "[SEP]"].map((name) => [name, { id: name, ids: [idOf(ids, name)], tokens: [name] }])
    )
  }
}

/** WordPiece of a `vocab.txt`, one token a line (Devlin et al. 2019). */
export const wordPiece = (lines: ReadonlyArray<string>, habits: Habits): Description => {
  const ids = new Map(lines.map((token, id) => [token, id]))
  return {
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map((token) => special(token, idOf(ids, token))),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: habits.tokenize_chinese_chars ?? true,
      strip_accents: habits.strip_accents ?? null,
      lowercase: habits.do_lower_case ?? true
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: template(ids, 1),
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(ids)
    }
  }
}

/** Byte-level BPE of a `vocab.json` and a `merges.txt` (RoBERTa; DeBERTa v1, whose pairs have one separator between them). */
export const byteLevel = (
  vocabulary: { readonly [token: string]: number },
  merges: ReadonlyArray<string>,
  family: Family,
  habits: Habits
): Description => {
  const ids = new Map(Object.entries(vocabulary))
  const roberta = family === "roberta"
  const tokens = roberta ? ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] : ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
  const prefixed = habits.add_prefix_space ?? false
  return {
    added_tokens: tokens.map((token) => special(token, idOf(ids, token), token === "<mask>" || token === "[MASK]")),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: prefixed, trim_offsets: true, use_regex: true },
    post_processor: roberta
      ? {
          type: "RobertaProcessing",
          sep: ["</s>", idOf(ids, "</s>")],
          cls: ["<s>", idOf(ids, "<s>")],
          trim_offsets: true,
          add_prefix_space: prefixed
        }
      : template(ids, 1),
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      vocab: vocabulary,
      merges: merges.flatMap((line, i) => (line === "" || (i === 0 && line.startsWith("#version")) ? [] : [line]))
    }
  }
}

/** Stands for a joiner of characters while the library normalises: a character of private use, which it leaves alone. */
const joiner = "\uf8ff"

/** Unigram of a SentencePiece model (DeBERTa v2 and v3); `[MASK]` comes after its pieces where it is none of them. */
export const unigram = ({ normalization, pieces, prefixed, squeezed }: Model, habits: Habits): Description => {
  const ids = new Map(pieces.map(({ piece }, id) => [piece, id]))
  if (!ids.has("[MASK]")) ids.set("[MASK]", pieces.length)
  const unknown = pieces.findIndex(({ kind }) => kind === "unknown")
  const replaced = (from: string, to: string) => ({ type: "Replace", pattern: { String: from }, content: to })
  // The library's table of characters takes a joiner for a space, and does not take the Arabic letter mark for one.
  const normal =
    normalization === "identity"
      ? []
      : [
          replaced("\u200d", joiner),
          replaced("\u061c", " "),
          { type: "Precompiled", precompiled_charsmap: "" },
          replaced(joiner, "\u200d")
        ]
  const space = [{ type: "Replace", pattern: { Regex: " {2,}" }, content: " " }]
  const spaces = {
    type: "Metaspace",
    replacement: "▁",
    add_prefix_space: prefixed,
    prepend_scheme: prefixed ? "always" : "never"
  }
  return {
    added_tokens: ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"].map((token) => special(token, idOf(ids, token))),
    normalizer: {
      type: "Sequence",
      normalizers: [
        ...(habits.do_lower_case === true ? [{ type: "Lowercase" }] : []),
        ...(squeezed ? [{ type: "Strip", strip_left: true, strip_right: true }] : []),
        ...normal,
        ...(squeezed ? space : [])
      ]
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        ...(habits.split_by_punct === true ? [{ type: "Punctuation", behavior: "Isolated" }] : []),
        spaces
      ]
    },
    post_processor: template(ids, 1),
    decoder: spaces,
    model: {
      type: "Unigram",
      unk_id: unknown === -1 ? idOf(ids, "[UNK]") : unknown,
      vocab: pieces.map(({ piece, score }) => [piece, score]),
      byte_fallback: false
    }
  }
}
