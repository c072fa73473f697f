/** What a `config.json` of the hub says of an encoder, family by family. */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"

/** A `config.json` that describes no encoder known here: what is wrong with it, and what to change. */
export class EncoderConfigError extends Schema.TaggedError<EncoderConfigError>()("EncoderConfigError", {
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `encoder configuration: ${this.reason}`
  }
}

/** Families that are read and written, by their `model_type`. */
export const families = ["bert", "roberta", "deberta", "deberta-v2"] as const
/** The family of an encoder. */
export type Family = (typeof families)[number]

/** Activations between dense layers, by their names on the hub. */
export const activations = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"] as const
/** The name of an activation. */
export type Activation = (typeof activations)[number]

/** How attention sees the distance between two tokens (He et al. 2021). */
export interface Relative {
  /** Content of the query with the key's place (`c2p`), content of the key with the query's (`p2c`). */
  readonly terms: ReadonlyArray<"c2p" | "p2c">
  /** Half of the table's rows: distances from -span to span - 1. */
  readonly span: number
  /** Distances up to half of this have a row each, longer ones share rows logarithmically up to `farthest`; 0: all have one. */
  readonly buckets: number
  readonly farthest: number
  /** Whether places go through the projections of contents. */
  readonly shared: boolean
  /** Whether the table is normalised. */
  readonly normalized: boolean
}

/** An encoder's sizes and habits. */
export interface EncoderConfig {
  readonly family: Family
  /** Rows of the embedding; a tokenizer has at most as many tokens. */
  readonly vocabulary: number
  /** Features of a token. */
  readonly width: number
  /** Features of an embedding, where they are other than `width`. */
  readonly embedding: number
  readonly layers: number
  readonly heads: number
  /** Features inside each layer's perceptron. */
  readonly hidden: number
  readonly activation: Activation
  readonly epsilon: number
  /** Deviation of initial weights. */
  readonly deviation: number
  /** The token that fills rows up. */
  readonly padding: number
  /** Rows of the table of positions. */
  readonly positions: number
  /** Whether positions are added to embeddings. */
  readonly positioned: boolean
  /** Rows of the table of token types; none is added at 0. */
  readonly types: number
  readonly dropout: {
    readonly hidden: number
    readonly attention: number
    readonly pooler: number
    readonly classifier: number
  }
  /** Products that add up to a score of attention, by whose number its scale is: 1 but for DeBERTa. */
  readonly products: number
  readonly relative: Relative | undefined
  /** A convolution over the embeddings that is added to the first layer (DeBERTa v2 xlarge). */
  readonly convolution: { readonly window: number; readonly activation: Activation } | undefined
  /** Activation of the classifier's dense layer. */
  readonly pooling: Activation
  /** Whether tokens are predicted with the embedding itself. */
  readonly tied: boolean
  /** Names of classes. */
  readonly labels: ReadonlyArray<string>
  /** The JSON that this was read from. */
  readonly json: { readonly [key: string]: unknown }
}

const { Boolean, NullOr, Number, Record, String, Struct, optionalKey } = Schema
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
const Whole = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Rate = Number.check(Schema.isBetween({ minimum: 0, maximum: 1, exclusiveMaximum: true }))
const Activation = Schema.Literals(activations)
const maybe = <S extends Schema.Constraint>(schema: S) => optionalKey(NullOr(schema))

const Json = Struct({
  vocab_size: Count,
  hidden_size: Count,
  num_hidden_layers: Count,
  num_attention_heads: Count,
  intermediate_size: Count,
  max_position_embeddings: Count,
  hidden_act: maybe(Activation),
  hidden_dropout_prob: maybe(Rate),
  attention_probs_dropout_prob: maybe(Rate),
  classifier_dropout: maybe(Rate),
  cls_dropout: maybe(Rate),
  pooler_dropout: maybe(Rate),
  pooler_hidden_act: maybe(Activation),
  pooler_hidden_size: maybe(Count),
  type_vocab_size: maybe(Whole),
  layer_norm_eps: maybe(Number.check(Schema.isGreaterThan(0))),
  initializer_range: maybe(Number.check(Schema.isGreaterThan(0))),
  pad_token_id: maybe(Whole),
  tie_word_embeddings: maybe(Boolean),
  position_embedding_type: maybe(Schema.Literal("absolute")),
  is_decoder: maybe(Schema.Literal(false)),
  add_cross_attention: maybe(Schema.Literal(false)),
  embedding_size: maybe(Count),
  attention_head_size: maybe(Count),
  relative_attention: maybe(Boolean),
  position_biased_input: maybe(Boolean),
  pos_att_type: maybe(Schema.Union([String, Schema.Array(String)])),
  max_relative_positions: maybe(Schema.Int),
  position_buckets: maybe(Schema.Int),
  share_att_key: maybe(Boolean),
  norm_rel_ebd: maybe(String),
  talking_head: maybe(Schema.Literal(false)),
  conv_kernel_size: maybe(Whole),
  conv_groups: maybe(Schema.Literal(1)),
  conv_act: maybe(Activation),
  id2label: maybe(Record(String, String)),
  num_labels: maybe(Count)
})
type Json = typeof Json.Type

const refuse = (reason: string) => Result.fail(new EncoderConfigError({ reason }))

/** What transformers takes where `config.json` says nothing. */
const absent = {
  bert: { epsilon: 1e-12, padding: 0, types: 2 },
  roberta: { epsilon: 1e-12, padding: 1, types: 2 },
  deberta: { epsilon: 1e-7, padding: 0, types: 0 },
  "deberta-v2": { epsilon: 1e-7, padding: 0, types: 0 }
} as const

const termsOf = ({ pos_att_type }: Json): ReadonlyArray<string> =>
  typeof pos_att_type === "string"
    ? pos_att_type
        .toLowerCase()
        .split("|")
        .flatMap((term) => (term.trim() === "" ? [] : [term.trim()]))
    : (pos_att_type ?? [])

const relativeOf = (family: "deberta" | "deberta-v2", json: Json): Relative | undefined => {
  if (json.relative_attention !== true) return undefined
  const longest = json.max_relative_positions ?? -1
  const farthest = longest < 1 ? json.max_position_embeddings : longest
  const buckets = family === "deberta" ? 0 : Math.max(0, json.position_buckets ?? -1)
  return {
    terms: termsOf(json) as Relative["terms"],
    span: buckets > 0 ? buckets : farthest,
    buckets,
    farthest,
    shared: family === "deberta-v2" && json.share_att_key === true,
    normalized:
      family === "deberta-v2" &&
      (json.norm_rel_ebd ?? "none")
        .toLowerCase()
        .split("|")
        .some((norm) => norm.trim() === "layer_norm")
  }
}

const labelsOf = ({ id2label, num_labels }: Json): Result.Result<ReadonlyArray<string>, EncoderConfigError> => {
  const named = Object.entries(id2label ?? {}).sort(([a], [b]) => globalThis.Number(a) - globalThis.Number(b))
  const fault = named.findIndex(([id], i) => id !== `${i}`)
  if (fault !== -1) {
    return refuse(`id2label has '${named[fault]![0]}' where ${fault} was expected; number the labels from 0`)
  }
  if (named.length > 0) return Result.succeed(named.map(([, label]) => label))
  return Result.succeed(Array.from({ length: num_labels ?? 2 }, (_, i) => `LABEL_${i}`))
}

const checked = (config: EncoderConfig, json: Json): Result.Result<EncoderConfig, EncoderConfigError> => {
  const { family, heads, padding, positions, relative, vocabulary, width } = config
  if (width % heads !== 0) {
    return refuse(`hidden_size ${width} is not a multiple of num_attention_heads ${heads}`)
  }
  const size = json.attention_head_size ?? width / heads
  if (size !== width / heads) {
    return refuse(
      `attention_head_size ${size} is not hidden_size / num_attention_heads, which is what is computed here`
    )
  }
  if ((json.pooler_hidden_size ?? width) !== width) {
    return refuse(
      `pooler_hidden_size ${json.pooler_hidden_size} is not hidden_size ${width}, which is what is computed here`
    )
  }
  if (padding >= vocabulary) return refuse(`pad_token_id ${padding} is no token of ${vocabulary} (vocab_size)`)
  if (family === "roberta" && positions <= padding + 1) {
    return refuse(`max_position_embeddings ${positions} leaves no position after that of padding, ${padding}`)
  }
  const unknown = termsOf(json).find((term) => term !== "c2p" && term !== "p2c")
  if (unknown !== undefined) return refuse(`pos_att_type has '${unknown}'; known are c2p and p2c`)
  if (relative !== undefined && relative.terms.length !== new Set(relative.terms).size) {
    return refuse(`pos_att_type names a term twice: ${relative.terms.join("|")}`)
  }
  if (relative !== undefined && relative.buckets > 0 && relative.farthest <= relative.buckets / 2 + 1) {
    return refuse(
      `position_buckets ${relative.buckets} is too many for distances up to ${relative.farthest} (max_relative_positions)`
    )
  }
  if (config.convolution !== undefined && config.convolution.window % 2 === 0) {
    return refuse(`conv_kernel_size ${config.convolution.window} is even; a window has a token in its middle`)
  }
  return Result.succeed(config)
}

/**
 * Reads what `config.json` holds. What it leaves out is what transformers takes for it; sizes must be there. Habits that
 * are not computed here (decoders, relative positions in BERT, grouped convolutions) are refused by name.
 *
 * ```ts
 * const sizes = { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16, vocab_size: 9 }
 * const read = EncoderConfig.decode({ model_type: "bert", max_position_embeddings: 12, ...sizes })
 * const config = await Effect.runPromise(Effect.fromResult(read))
 * config.width // => 8
 * ```
 */
export const decode = (value: unknown): Result.Result<EncoderConfig, EncoderConfigError> =>
  Result.gen(function* () {
    if (!Predicate.isObject(value)) return yield* refuse("it is not a JSON object")
    const known: ReadonlyArray<unknown> = families
    const type = value["model_type"]
    if (!known.includes(type)) {
      const what = type === undefined ? "it has no model_type" : `model_type is ${JSON.stringify(type)}`
      return yield* refuse(`${what}; give an encoder of one of the families ${families.join(", ")}`)
    }
    const family = type as Family
    const json = yield* Result.mapError(
      Schema.decodeUnknownResult(Json, { errors: "all" })(value),
      (error) => new EncoderConfigError({ reason: error.message })
    )
    const usual = absent[family]
    const deberta = family === "deberta" || family === "deberta-v2"
    const hidden = json.hidden_dropout_prob ?? 0.1
    const width = json.hidden_size
    const window = family === "deberta-v2" ? (json.conv_kernel_size ?? 0) : 0
    return yield* checked(
      {
        family,
        vocabulary: json.vocab_size,
        width,
        embedding: deberta ? (json.embedding_size ?? width) : width,
        layers: json.num_hidden_layers,
        heads: json.num_attention_heads,
        hidden: json.intermediate_size,
        activation: json.hidden_act ?? "gelu",
        epsilon: json.layer_norm_eps ?? usual.epsilon,
        deviation: json.initializer_range ?? 0.02,
        padding: json.pad_token_id ?? usual.padding,
        positions: json.max_position_embeddings,
        positioned: !deberta || json.position_biased_input !== false,
        types: json.type_vocab_size ?? usual.types,
        dropout: {
          hidden,
          attention: json.attention_probs_dropout_prob ?? 0.1,
          pooler: deberta ? (json.pooler_dropout ?? 0) : family === "roberta" ? (json.classifier_dropout ?? hidden) : 0,
          classifier: (deberta ? json.cls_dropout : json.classifier_dropout) ?? hidden
        },
        products: deberta ? 1 + termsOf(json).length : 1,
        relative: deberta ? relativeOf(family, json) : undefined,
        convolution: window > 0 ? { window, activation: json.conv_act ?? "tanh" } : undefined,
        pooling: deberta ? (json.pooler_hidden_act ?? "gelu") : "tanh",
        tied: json.tie_word_embeddings !== false,
        labels: yield* labelsOf(json),
        json: value as EncoderConfig["json"]
      },
      json
    )
  })
