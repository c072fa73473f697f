import { assert, describe, it } from "vitest"
import * as Result from "effect/Result"
import * as NdArray from "../../src/dsl/values/NdArray.ts"
import * as Tree from "../../src/dsl/values/Tree.ts"
import type * as ResNet from "../../src/models/ResNet.ts"
import * as TorchNames from "../../src/models/TorchNames.ts"
import * as Safetensors from "../../src/files/tensors/Safetensors.ts"
import { network, stateDict } from "../support/resnet.ts"

const config: ResNet.Config = { width: 2, blocks: [2, 1], stem: "large" }
const dict = stateDict(config)
const renamed = (rename: (name: string) => string) => new Map([...dict].map(([name, array]) => [rename(name), array]))
const refused = (tensors: ReadonlyMap<string, NdArray.NdArray>, options: { readonly prefix?: string } = {}) =>
  Result.getOrThrow(Result.flip(TorchNames.decode(tensors, config, options)))
const accepted = (tensors: ReadonlyMap<string, NdArray.NdArray>, options: { readonly prefix?: string } = {}) =>
  Result.getOrThrow(TorchNames.decode(tensors, config, options))
const plain = ({ params, statistics }: TorchNames.Network) => Tree.hostEntries({ params, statistics } as Tree.HostTree)

/** As ImageMol's encoder, `nn.Sequential(*resnet.children())[:-1]`, names them. */
const imageMol = (name: string): string =>
  `embedding_layer.${name
    .replace(/^conv1/, "0")
    .replace(/^bn1/, "1")
    .replace(/^layer(\d)/, (_, n) => String(Number(n) + 3))}`

describe("TorchNames", () => {
  it("are torchvision's", () => {
    assert.deepStrictEqual(
      [...dict]
        .map(([name, { shape }]) => `${name} ${shape.join("x")}`)
        .filter((line) => /^(conv1|bn1|layer2)/.test(line)),
      [
        "conv1.weight 2x3x7x7",
        "bn1.weight 2",
        "bn1.bias 2",
        "layer2.0.conv1.weight 4x2x3x3",
        "layer2.0.bn1.weight 4",
        "layer2.0.bn1.bias 4",
        "layer2.0.conv2.weight 4x4x3x3",
        "layer2.0.bn2.weight 4",
        "layer2.0.bn2.bias 4",
        "layer2.0.downsample.0.weight 4x2x1x1",
        "layer2.0.downsample.1.weight 4",
        "layer2.0.downsample.1.bias 4",
        "bn1.running_mean 2",
        "bn1.running_var 2",
        "layer2.0.bn1.running_mean 4",
        "layer2.0.bn1.running_var 4",
        "layer2.0.bn2.running_mean 4",
        "layer2.0.bn2.running_var 4",
        "layer2.0.downsample.1.running_mean 4",
        "layer2.0.downsample.1.running_var 4"
      ]
    )
  })

  it("turn filters from [out, in, height, width] to [height, width, in, out]", () => {
    const [torch, ours] = [dict.get("conv1.weight")!, network(config).params.stem.filter]
    assert.deepStrictEqual(ours.shape, [7, 7, 3, 2])
    for (const [o, i, y, x] of [
      [0, 0, 0, 0],
      [1, 0, 0, 0],
      [0, 2, 0, 0],
      [1, 1, 5, 2]
    ] as const) {
      assert.strictEqual(ours.data[((y * 7 + x) * 3 + i) * 2 + o], torch.data[((o * 3 + i) * 7 + y) * 7 + x])
    }
  })

  it("survive a round trip through a safetensors file, bit for bit", () => {
    const bytes = Safetensors.encode(TorchNames.encode(network(config)))
    const { tensors } = Result.getOrThrow(Safetensors.decode(bytes))
    assert.deepStrictEqual(plain(accepted(tensors)), plain(network(config)))
    const prefixed = TorchNames.encode(network(config), "encoder.")
    assert.deepStrictEqual(plain(accepted(new Map(prefixed), { prefix: "encoder." })), plain(network(config)))
  })

  const one = NdArray.float32([1], [0])
  it("find the prefix of a wrapper, and ImageMol's numbers", () => {
    for (const rename of [(name: string) => `module.${name}`, (name: string) => `backbone.encoder.${name}`, imageMol]) {
      assert.deepStrictEqual(plain(accepted(renamed(rename))), plain(network(config)))
    }
    // A head whose own first filter ends like a network's does not mislead, though its prefix is shorter.
    const others = new Map([...renamed((name) => `backbone.${name}`), ["h.conv1.weight", one], ["h.0.weight", one]])
    const read = accepted(others)
    assert.deepStrictEqual(plain(read), plain(network(config)))
    assert.deepStrictEqual(read.unused, ["h.conv1.weight", "h.0.weight"])
  })

  it("pass over counters and report the head", () => {
    const tensors = new Map([...dict, ["fc.weight", one], ["fc.bias", one], ["bn1.num_batches_tracked", one]])
    assert.deepStrictEqual(accepted(tensors).unused, ["fc.weight", "fc.bias"])
    assert.deepStrictEqual(accepted(renamed((name) => `module.${name}`).set("module.fc.bias", one)).unused, [
      "module.fc.bias"
    ])
  })

  it("refuse what is missing, left over or of another shape, by name and saying what to change", () => {
    const missing = new Map(dict)
    missing.delete("layer1.1.bn2.running_var")
    assert.deepStrictEqual(refused(missing).missing, ["layer1.1.bn2.running_var"])
    assert.match(refused(missing).message, /lacks layer1\.1\.bn2\.running_var: ask for the network that wrote it/)
    const extra = new Map([...dict, ["layer1.2.conv1.weight", one]])
    assert.deepStrictEqual(refused(extra).extra, ["layer1.2.conv1.weight"])
    const misshapen = new Map([...dict, ["bn1.bias", NdArray.float32([3], [1, 2, 3])]])
    assert.deepStrictEqual(refused(misshapen).misshapen, ["bn1.bias is float32[3], the network has float32[2]"])
    const counted = new Map([...dict, ["bn1.bias", NdArray.int32([2], [1, 2])]])
    assert.deepStrictEqual(refused(counted).misshapen, ["bn1.bias is int32[2], the network has float32[2]"])
    const elsewhere = refused(
      renamed((name) => `module.${name}`),
      { prefix: "backbone." }
    )
    assert.strictEqual(elsewhere.missing.length, dict.size)
    assert.include(elsewhere.message, "backbone.conv1.weight")
    assert.match(refused(new Map()).message, /and \d+ more: .*prefix/)
  })
})
