import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as HalfFloats from "../../src/files/tensors/HalfFloats.ts"
import * as NodeServices from "../../src/files/NodeServices.ts"
import * as TorchFile from "../../src/files/tensors/TorchFile.ts"

const pathOf = (name: string): string => fileURLToPath(new URL(`../support/oracles/torch/${name}`, import.meta.url))
const read = (file: string) => Effect.provide(TorchFile.read(file), NodeServices.layer)
const refusal = (file: string) => Effect.map(Effect.flip(read(file)), ({ message }) => message)

const words = Array.from({ length: 12 }, (_, i) => i / 8)
const state = {
  words: [[4, 3], words],
  tied: [[4, 3], words],
  turned: [[3, 4], [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11].map((i) => i / 8)],
  rows: [[2, 3], words.slice(3, 9)],
  column: [[4], [1, 4, 7, 10].map((i) => i / 8)],
  scalar: [[], [2.5]],
  empty: [[0, 3], []],
  half: [[5], [1, -2.5, 65504, 2 ** -24, Infinity]],
  brain: [[4], [1, -2.5, 226 * 2 ** 120, -Infinity]],
  ids: [[4], [0, 1, 2 ** 31 - 1, -5]],
  parameter: [[2], [1, 1]]
} as const

describe("TorchFile", () => {
  for (const name of ["state.bin", "protocol4.bin"]) {
    it.live(`${name}: tensors of every kind, tied, turned, and parts of one another`, () =>
      Effect.gen(function* () {
        const tensors = yield* read(pathOf(name))
        assert.deepStrictEqual(
          Object.fromEntries(Array.from(tensors, ([name, { data, shape }]) => [name, [[...shape], [...data]]])),
          state as never
        )
        assert.strictEqual(tensors.get("ids")!.dtype, "int32")
      })
    )
  }

  it.live("a module's state dict, versions and counters included", () =>
    Effect.gen(function* () {
      const tensors = yield* read(pathOf("module.bin"))
      const names = [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked"
      ]
      assert.deepStrictEqual([...tensors.keys()], names)
    })
  )

  const refused = {
    "legacy.bin": /PyTorch before 1\.6.*torch\.save\(torch\.load/,
    "model.bin": /asks for 'torch\.nn\.modules\.linear\.Linear'.*convert to safetensors where you trust it/,
    "nested.bin": /"epoch" is no tensor: save a model's state_dict\(\) alone/,
    "double.bin": /asks for 'torch\.DoubleStorage'/,
    "large.bin": /tensor 'w' has whole numbers of more than 32 bits/,
    "call.bin": /asks for 'posix\.system'/
  }
  for (const [name, reason] of Object.entries(refused)) {
    it.live(`refuses ${name}`, () => Effect.map(refusal(pathOf(name)), (message) => assert.match(message, reason)))
  }

  it.live("a file that is cut short or changed anywhere is an error or another file, and never a fault of ours", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "torch-"))
      const bytes = readFileSync(pathOf("state.bin"))
      const file = join(folder, "changed.bin")
      try {
        for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 40)) {
          writeFileSync(file, bytes.subarray(0, length))
          assert.match(yield* refusal(file), /changed\.bin: ./, `${length} bytes`)
        }
        const places = Seed.integers(Seed.make(3), 400, bytes.length)
        const values = Seed.integers(Seed.make(4), 400, 256)
        for (const [i, place] of places.entries()) {
          writeFileSync(file, bytes.with(place, values[i]!))
          const exit = yield* Effect.exit(read(file))
          if (exit._tag === "Failure") assert.notInclude(`${exit.cause}`, "Die", `byte ${place} = ${values[i]}`)
        }
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  )
})

describe("numbers of 16 bits", () => {
  it("each half is the number that its bits stand for", () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i)
    const values = HalfFloats.fromFloat16(all)
    for (const half of all) {
      const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023]
      const value =
        exponent === 31
          ? fraction === 0
            ? sign * Infinity
            : Number.NaN
          : exponent === 0
            ? sign * fraction * 2 ** -24
            : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
      assert.isTrue(Object.is(values[half]!, value), `${half}: ${values[half]}, expected ${value}`)
    }
  })

  it("each bfloat16 is the upper half of a float32", () => {
    const floats = Float32Array.of(0, -0, 1, -1.5, 2 ** 100, 2 ** -130, Infinity, Number.NaN)
    const halves = Uint16Array.from(new Uint32Array(floats.buffer), (bits) => bits >>> 16)
    assert.deepStrictEqual(HalfFloats.fromBfloat16(halves), floats)
  })
})
