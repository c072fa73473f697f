import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Safetensors from "../../src/files/tensors/Safetensors.ts"

/** A file from any header, so that it can say what `encode` never would. */
const file = (header: unknown, dataBytes = 0, declaredLength?: bigint): Uint8Array => {
  const json =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, declaredLength ?? BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes
}

const tensor = (begin: number, end: number, shape: ReadonlyArray<number> = [(end - begin) / 4], dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end]
})

const longs = (numbers: ReadonlyArray<bigint>): Uint8Array => {
  const bytes = file({ n: tensor(0, 8 * numbers.length, [numbers.length], "I64") }, 8 * numbers.length)
  bytes.set(new Uint8Array(BigInt64Array.from(numbers).buffer), bytes.length - 8 * numbers.length)
  return bytes
}

const refused = (bytes: Uint8Array): string => Result.getOrThrow(Result.flip(Safetensors.decode(bytes))).message

const sized = (n: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: n }))
const Entry = Schema.Struct({
  name: Schema.String.check(Schema.isMaxLength(12)),
  float: Schema.Boolean,
  shape: Schema.Array(sized(4)).check(Schema.isMaxLength(4)),
  seed: Schema.Int
})

const toArray = ({ float, seed, shape }: typeof Entry.Type): NdArray.NdArray => {
  // Raw bits rather than numbers: every NaN, infinity and subnormal must survive too.
  const bits = Seed.bits(Seed.make(seed), NdArray.size(shape)).slice()
  return float
    ? NdArray.float32(shape, new Float32Array(bits.buffer))
    : NdArray.int32(shape, new Int32Array(bits.buffer))
}

const plain = ({ data, dtype, shape }: NdArray.NdArray) => ({
  dtype,
  shape: [...shape],
  bytes: [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]
})

describe("Safetensors", () => {
  it.effect.prop(
    "decode undoes encode, and the order of entries leaves no trace",
    {
      entries: Arbitrary.array(Arbitrary.schema(Entry), { maxLength: 6 }),
      notes: Arbitrary.schema(Schema.Record(Schema.String, Schema.String))
    },
    ({ entries, notes }) =>
      Effect.sync(() => {
        const arrays = [
          ...new Map(entries.filter(({ name }) => name !== "__metadata__").map((e) => [e.name, toArray(e)]))
        ]
        const bytes = Safetensors.encode(arrays, notes)
        assert.deepStrictEqual(Safetensors.encode(arrays.toReversed(), notes), bytes)
        const { metadata, tensors } = Result.getOrThrow(Safetensors.decode(bytes))
        assert.deepStrictEqual({ ...metadata }, { ...notes })
        assert.deepStrictEqual(
          new Map([...tensors].map(([name, array]) => [name, plain(array)])),
          new Map(arrays.map(([name, array]) => [name, plain(array)]))
        )
      }),
    { arbitrary: { runs: 200, seed: 1 } }
  )

  it("reads long integers, as PyTorch counts, as int32", () => {
    const found = Result.getOrThrow(Safetensors.decode(longs([0n, 5n, -(2n ** 31n), 2n ** 31n - 1n]))).tensors.get("n")
    assert.deepStrictEqual(found, NdArray.int32([4], [0, 5, -(2 ** 31), 2 ** 31 - 1]))
  })

  it("writes an aligned header sorted by name, and reads views of larger arrays", () => {
    const whole = Float32Array.from([9, 1, 2, 9])
    const bytes = Safetensors.encode([
      ["b", NdArray.int32([1], [7])],
      ["a", NdArray.float32([2], whole.subarray(1, 3))]
    ])
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
    assert.strictEqual(length % 8, 0)
    assert.strictEqual(
      new TextDecoder().decode(bytes.subarray(8, 8 + length)).trimEnd(),
      '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I32","shape":[1],"data_offsets":[8,12]}}'
    )
    const unaligned = new Uint8Array(bytes.length + 3)
    unaligned.set(bytes, 3)
    const { tensors } = Result.getOrThrow(Safetensors.decode(unaligned.subarray(3)))
    assert.deepStrictEqual([...tensors.get("a")!.data], [1, 2])
  })

  it("throws on two entries of one name, and on the reserved one", () => {
    const one = NdArray.scalar(1)
    assert.throws(
      () =>
        Safetensors.encode([
          ["a", one],
          ["b", one],
          ["a", one]
        ]),
      /two tensors are called 'a'/
    )
    assert.throws(() => Safetensors.encode([["__metadata__", one]]), /no tensor can be called/)
  })

  it("keeps names that mean something to JavaScript as names", () => {
    const bytes = file('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4)
    assert.deepStrictEqual([...Result.getOrThrow(Safetensors.decode(bytes)).tensors.keys()], ["__proto__"])
  })

  it.each([
    ["a file shorter than a length", new Uint8Array(5), "byte 0: found 5 bytes, expected at least the 8 bytes"],
    [
      "a header beyond the cap",
      file({}, 0, 17n * 1024n * 1024n),
      "found a header length of 17825792 bytes, expected at most 16777216"
    ],
    ["a header beyond any number", file({}, 0, 2n ** 64n - 1n), "found a header length of 18446744073709551615 bytes"],
    ["a header beyond the file", file({}, 0, 3n), "expected at most the 2 that follow: the file is cut short"],
    ["an empty header", file(""), "byte 8: found a header that is no JSON object, expected '{'"],
    ["a header that is no object", file([]), "found a header that is no JSON object"],
    ["leading spaces", file("  {}"), "found a header that is no JSON object"],
    ["bad UTF-8", file(Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), "found a header that is not UTF-8"],
    ["bad JSON", file('{"a":'), "found a header that is not JSON"],
    [
      "a name twice",
      file(`{"a":${JSON.stringify(tensor(0, 4))},"a" :${JSON.stringify(tensor(0, 4))}}`, 4),
      'the key "a" twice'
    ],
    [
      "a name twice, once escaped",
      file(`{"a":${JSON.stringify(tensor(0, 4))},"\\u0061":${JSON.stringify(tensor(0, 4))}}`, 4),
      'the key "a" twice'
    ],
    [
      "a field twice",
      file('{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', 4),
      'the key "shape" twice'
    ],
    ["a note twice", file('{"__metadata__":{"x":"1","x":"2"}}'), 'the key "x" twice'],
    [
      "a note that is no string",
      file({ __metadata__: { x: 1 } }),
      'found __metadata__ {"x":1}, expected a record of strings'
    ],
    ["notes that are no record", file({ __metadata__: "x" }), "expected a record of strings"],
    ["an entry that is no record", file({ a: 1 }), 'tensor "a" described as 1'],
    ["a negative size", file({ a: tensor(0, 4, [-1]) }, 4), "expected dtype, shape and data_offsets, whole numbers"],
    ["a size beyond safe integers", file({ a: tensor(0, 4, [2 ** 53]) }, 4), "expected dtype, shape and data_offsets"],
    ["an unknown field", file({ a: { ...tensor(0, 4), strides: [1] } }, 4), "expected dtype, shape and data_offsets"],
    [
      "another dtype",
      file({ a: tensor(0, 8, [1], "F64") }, 8),
      'tensor "a" of dtype "F64", expected F32, F16, BF16, I32 or I64'
    ],
    [
      "a long number that is too long",
      longs([7n, 2n ** 31n]),
      'found 2147483648 in tensor "n" of dtype I64, expected numbers of 32 bits'
    ],
    ["a shape that overflows", file({ a: tensor(0, 4, [2 ** 40, 2 ** 40]) }, 4), "in 4 bytes"],
    [
      "a shape of another size",
      file({ a: tensor(0, 8, [3]) }, 8),
      'tensor "a" of shape [3] in 8 bytes, expected 12 bytes'
    ],
    ["an end before its begin", file({ a: tensor(4, 0, [0]) }, 4), 'tensor "a" of shape [0] in -4 bytes'],
    ["a hole at the start", file({ a: tensor(4, 8) }, 8), 'a hole of 4 bytes before tensor "a"'],
    ["a hole", file({ a: tensor(0, 4), b: tensor(8, 12) }, 12), 'a hole of 4 bytes before tensor "b"'],
    ["an overlap", file({ a: tensor(0, 8), b: tensor(4, 12) }, 12), 'an overlap of 4 bytes with tensor "b"'],
    [
      "missing numbers",
      file({ a: tensor(0, 8) }, 7),
      "found 7 bytes of numbers, expected the 8 that the header declares"
    ],
    [
      "bytes to spare",
      file({ a: tensor(0, 8) }, 12),
      "found 12 bytes of numbers, expected the 8 that the header declares"
    ],
    [
      "too many tensors",
      file(`{${Array.from({ length: 100_001 }, (_, i) => `"${i}":0`).join()}}`),
      "100001 tensors, expected at most 100000"
    ],
    ["deep nesting", file("{".concat('"a":{'.repeat(100_000), "}".repeat(100_001))), "nested deeper than its 3 levels"],
    ["a zip", Uint8Array.from([0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0]), "convert to safetensors where you trust it"],
    [
      "a pickle",
      Uint8Array.from([0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20]),
      "found a pickle, expected a safetensors file: convert to safetensors where you trust it"
    ]
  ])("refuses %s", (_, bytes, message) => {
    assert.include(refused(bytes), message)
  })

  it("does not take a header of 640 bytes for a pickle", () => {
    const bytes = file(`{${" ".repeat(638)}}`)
    assert.deepStrictEqual([bytes[0], bytes[1]], [0x80, 2])
    assert.isTrue(Result.isSuccess(Safetensors.decode(bytes)))
  })

  it("never throws and never returns other numbers in silence, whatever byte of the header is changed", () => {
    const bytes = Safetensors.encode(
      [
        ["a", NdArray.float32([2], [1, 2])],
        ["b", NdArray.int32([1, 1], [3])]
      ],
      { by: "us" }
    )
    const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true))
    for (let at = 0; at < header; at++) {
      for (const mask of [1, 2, 4, 8, 16, 32, 64, 128]) {
        const changed = bytes.slice()
        changed[at]! ^= mask
        const result = Safetensors.decode(changed)
        // A flipped bit may rename a tensor or change its type or shape; sizes must still add up.
        if (Result.isSuccess(result)) {
          const total = [...result.success.tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0)
          assert.strictEqual(total, 12)
        }
      }
    }
  })
})
