/**
 * Residual networks under the names and in the layouts of torchvision's state dicts: `conv1.weight` [out, in, height,
 * width], `bn1.running_mean`, `layer2.0.downsample.0.weight`. Only names and numbers: files are read and written elsewhere.
 */
import type * as tf from "@tensorflow/tfjs-core"
import * as Result from "effect/Result"
import type * as NdArray from "../dsl/values/NdArray.ts"
import { form, permuted } from "./Arrays.ts"
import * as ResNet from "./ResNet.ts"
import { StateDictError } from "./StateDictError.ts"

export { StateDictError }

/** A network's two trees. */
export interface Network {
  readonly params: ResNet.HostParams
  readonly statistics: ResNet.HostStatistics
}

/** A network that was read, and the names that were left: the head's (`fc.weight`) and those of a wrapper's other parts. */
export interface Read extends Network {
  readonly unused: ReadonlyArray<string>
}

const children = { first: ["conv1", "bn1"], second: ["conv2", "bn2"], skip: ["downsample.0", "downsample.1"] } as const

/** Names of the convolution and the normalisation at a place: `stages.0.1.first` has `layer1.1.conv1` and `layer1.1.bn1`. */
const namesOf = (place: string): readonly [conv: string, norm: string] => {
  if (place === "stem") return children.first
  const [, stage, block, unit] = place.split(".")
  const [conv, norm] = children[unit as keyof typeof children]
  const layer = `layer${Number(stage) + 1}.${block}`
  return [`${layer}.${conv}`, `${layer}.${norm}`]
}

type Named = readonly [name: string, array: NdArray.NdArray]
const units = <A>({ stages, stem }: ResNet.Arranged<A>): ReadonlyArray<readonly [place: string, unit: A]> => [
  ["stem", stem],
  ...stages.flatMap((blocks, stage) =>
    blocks.flatMap((block, i) =>
      Object.entries(block).map(([unit, value]) => [`stages.${stage}.${i}.${unit}`, value as A] as const)
    )
  )
]

/**
 * A network under torchvision's names, `prefix` before each. `num_batches_tracked` is left out: PyTorch takes a batch norm
 * that comes without it, and uses it only where there is no momentum.
 */
export const encode = ({ params, statistics }: Network, prefix = ""): ReadonlyArray<Named> => [
  ...units(params).flatMap(([place, { filter, norm }]): ReadonlyArray<Named> => {
    const [conv, bn] = namesOf(place)
    return [
      [`${prefix}${conv}.weight`, permuted(filter, [3, 2, 0, 1])],
      [`${prefix}${bn}.weight`, norm.scale],
      [`${prefix}${bn}.bias`, norm.offset]
    ]
  }),
  ...units(statistics).flatMap(([place, { mean, variance }]): ReadonlyArray<Named> => {
    const bn = namesOf(place)[1]
    return [
      [`${prefix}${bn}.running_mean`, mean],
      [`${prefix}${bn}.running_var`, variance]
    ]
  })
]

// As `nn.Sequential(*model.children())` numbers torchvision's children, ReLU and pool among them: ImageMol's encoder.
const numbers = new Map(Object.entries({ conv1: "0", bn1: "1", layer1: "4", layer2: "5", layer3: "6", layer4: "7" }))
const numbered = (name: string): string => {
  const [child, ...rest] = name.split(".") as [string, ...Array<string>]
  return [numbers.get(child) ?? child, ...rest].join(".")
}
const namings = [(name: string) => name, numbered] as const

/** Under which prefix, and which way of naming, most of the network's convolutions are found. */
const located = (
  tensors: ReadonlyMap<string, unknown>,
  convs: ReadonlyArray<string>,
  prefix: string | undefined
): { readonly prefix: string; readonly naming: (name: string) => string } => {
  const candidates = namings.flatMap((naming) => {
    const first = naming("conv1.weight")
    const prefixes = [...tensors.keys()].flatMap((name) =>
      name === first || name.endsWith(`.${first}`) ? [name.slice(0, -first.length)] : []
    )
    return (prefix === undefined ? prefixes : [prefix]).map((prefix) => {
      const hits = convs.filter((name) => tensors.has(`${prefix}${naming(name)}`)).length
      return { prefix, naming, hits }
    })
  })
  return candidates.toSorted((a, b) => b.hits - a.hits)[0] ?? { prefix: "", naming: namings[0] }
}

/** The shapes that a network's tensors have in a file, each as numbers between commas. */
export const shapes = (config: ResNet.Config): ReadonlySet<string> =>
  new Set(
    units(ResNet.arranged(config, (_, [window, inputs, outputs]) => [outputs, inputs, window, window])).flatMap(
      ([, shape]) => [shape.join(), String(shape[0])]
    )
  )

/**
 * The network of these sizes from tensors under torchvision's names. A prefix before each name (`module.`, `backbone.`,
 * ImageMol's `embedding_layer.`, whose children are numbered) is found where it is not given. `num_batches_tracked` is
 * passed over; the head `fc` and whatever stands outside of the prefix are named in `unused`.
 *
 * Fails with a `StateDictError` that names what is missing, left over or of another shape.
 */
export const decode = (
  tensors: ReadonlyMap<string, NdArray.NdArray>,
  config: ResNet.Config,
  options: { readonly prefix?: string } = {}
): Result.Result<Read, StateDictError> => {
  const convs = units(ResNet.arranged(config, (place) => `${namesOf(place)[0]}.weight`)).map(([, name]) => name)
  const { naming, prefix } = located(tensors, convs, options.prefix)
  const taken = new Set<string>()
  const missing: Array<string> = []
  const misshapen: Array<string> = []
  // Where anything is missing or misshapen, what is put together here is never handed out.
  const take = <T extends NdArray.NdArray>(plain: string, shape: ReadonlyArray<number>): T => {
    const name = `${prefix}${naming(plain)}`
    const want = { dtype: "float32", shape } as const
    const found = tensors.get(name)
    taken.add(name)
    if (found === undefined) missing.push(name)
    else if (form(found) !== form(want)) misshapen.push(`${name} is ${form(found)}, the network has ${form(want)}`)
    else return (shape.length === 4 ? permuted(found, [2, 3, 1, 0]) : found) as T
    return undefined as never
  }
  const params = ResNet.arranged(config, (place, [window, inputs, outputs]) => {
    const [conv, bn] = namesOf(place)
    return {
      filter: take<ResNet.HostUnit["filter"]>(`${conv}.weight`, [outputs, inputs, window, window]),
      norm: {
        scale: take<NdArray.NdArray<tf.Tensor1D>>(`${bn}.weight`, [outputs]),
        offset: take<NdArray.NdArray<tf.Tensor1D>>(`${bn}.bias`, [outputs])
      }
    }
  })
  const statistics = ResNet.arranged(config, (place, [, , outputs]) => ({
    mean: take<NdArray.NdArray<tf.Tensor1D>>(`${namesOf(place)[1]}.running_mean`, [outputs]),
    variance: take<NdArray.NdArray<tf.Tensor1D>>(`${namesOf(place)[1]}.running_var`, [outputs])
  }))
  const left = [...tensors.keys()].filter((name) => !taken.has(name) && !name.endsWith(".num_batches_tracked"))
  const apart = (name: string) => !name.startsWith(prefix) || name.startsWith(`${prefix}fc.`)
  const extra = left.filter((name) => !apart(name))
  if (missing.length + misshapen.length + extra.length > 0) {
    const remedy =
      "ask for the network that wrote it (width, blocks, stem), give the prefix that stands before its names, " +
      "or leave out what is not part of it"
    return Result.fail(new StateDictError({ missing, extra, misshapen, remedy }))
  }
  return Result.succeed({ params, statistics, unused: left.filter(apart) })
}
