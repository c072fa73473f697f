/** Models of SentencePiece (`spm.model`), as far as encoders need them: the pieces of a unigram model and how text is normalised. */

/** A model's pieces, by number, and its habits. */
export interface Model {
  readonly pieces: ReadonlyArray<{ readonly piece: string; readonly score: number; readonly kind: Kind }>
  /** The name of the normalisation (`nmt_nfkc`, `identity`). */
  readonly normalization: string
  readonly prefixed: boolean
  readonly squeezed: boolean
}

const kinds = ["normal", "unknown", "control", "user", "unused", "byte"] as const
/** What a piece is for. */
export type Kind = (typeof kinds)[number]

type Field = { readonly number: number; readonly value: number | Uint8Array }

/** The fields of a message of protocol buffers. Throws a `RangeError` where the bytes are none. */
const fields = function* (bytes: Uint8Array): Generator<Field> {
  let at = 0
  const damaged = (): RangeError => new RangeError("it is damaged or no SentencePiece model")
  const take = (count: number): Uint8Array => {
    if (count > bytes.length - at) throw damaged()
    at += count
    return bytes.subarray(at - count, at)
  }
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = take(1)[0]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw damaged()
  }
  while (at < bytes.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    switch (tag % 8) {
      case 0:
        yield { number, value: varint() }
        break
      case 1:
        yield { number, value: take(8) }
        break
      case 2:
        yield { number, value: take(varint()) }
        break
      case 5:
        yield { number, value: take(4) }
        break
      default:
        throw damaged()
    }
  }
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const float = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true)

const pieceOf = (bytes: Uint8Array): Model["pieces"][number] => {
  let [piece, score, kind] = ["", 0, 1]
  for (const { number, value } of fields(bytes)) {
    if (number === 1 && typeof value !== "number") piece = text(value)
    if (number === 2 && typeof value !== "number" && value.length === 4) score = float(value)
    if (number === 3 && typeof value === "number") kind = value
  }
  return { piece, score, kind: kinds[kind - 1] ?? "normal" }
}

/** Reads a model. Throws a `RangeError` that says what it is instead: damaged, or of another kind than unigram. */
export const read = (bytes: Uint8Array): Model => {
  const pieces: Array<Model["pieces"][number]> = []
  let [algorithm, normalization, prefixed, squeezed] = [1, "identity", true, true]
  const parts = new Set<number>()
  for (const { number, value } of fields(bytes)) {
    if (typeof value === "number") continue
    parts.add(number)
    if (number === 1) pieces.push(pieceOf(value))
    if (number === 2) for (const field of fields(value)) if (field.number === 3) algorithm = field.value as number
    if (number !== 3) continue
    for (const field of fields(value)) {
      if (field.number === 1 && typeof field.value !== "number") normalization = text(field.value)
      if (field.number === 3) prefixed = field.value !== 0
      if (field.number === 4) squeezed = field.value !== 0
    }
  }
  // How it was trained and how text is normalised come after the pieces: a file that was cut between two of them has neither.
  if (pieces.length === 0 || !parts.has(2) || !parts.has(3)) {
    throw new RangeError("it is damaged or no SentencePiece model: fetch it again")
  }
  if (algorithm !== 1)
    throw new RangeError(`it is a model of kind ${algorithm}, and only unigram models (kind 1) are read`)
  return { pieces, normalization, prefixed, squeezed }
}
