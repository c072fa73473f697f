import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { ResNet, Seed, Tree } from "tapweight"
import * as Encoder from "../../molecules/Encoder.ts"

const network: ResNet.Config = { width: 4, blocks: [1, 1], stem: "large" }
const made: Encoder.Encoder = {
  params: ResNet.init(network)(Seed.make(3)),
  statistics: ResNet.statistics(network)()
}
const numbers = (encoder: Encoder.Encoder) =>
  Tree.hostEntries(encoder as never).map(([path, { data, shape }]) => [path, shape.join(), ...data])

describe("encoders in files", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("what was written is read", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const file = `${yield* fs.makeTempDirectoryScoped()}/encoder.safetensors`
        yield* Encoder.write(file, made)
        assert.deepStrictEqual(numbers(yield* Encoder.read(file, network)), numbers(made))
      }).pipe(Effect.scoped)
    )

    it.effect("another network, a cut file and no file are refused by name, with what to change", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const folder = yield* fs.makeTempDirectoryScoped()
        const file = `${folder}/encoder.safetensors`
        yield* Encoder.write(file, made)
        const said = (file: string, config: ResNet.Config) =>
          Effect.map(Effect.flip(Encoder.read(file, config)), (error) => error.message)
        const other = yield* said(file, { ...network, width: 8 })
        assert.include(other, `${file}: state dict: misshapen: conv1.weight is float32[4, 3, 7, 7], the network has`)
        assert.include(other, "ask for the network that wrote it (width, blocks, stem)")
        const bytes = yield* fs.readFile(file)
        yield* fs.writeFile(`${folder}/cut.safetensors`, bytes.subarray(0, bytes.length - 5))
        assert.include(yield* said(`${folder}/cut.safetensors`, network), "cut.safetensors: ")
        assert.include(yield* said(`${folder}/none.safetensors`, network), "none.safetensors: ")
      }).pipe(Effect.scoped)
    )
  })
})
