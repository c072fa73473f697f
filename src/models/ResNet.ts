/** Residual networks of basic blocks (He et al. 2016), as torchvision builds ResNet18, up to and without the head. */
import * as tf from "@tensorflow/tfjs-core"
import * as NdArray from "../dsl/values/NdArray.ts"
import * as Seed from "../dsl/values/Seed.ts"
import type { Live } from "../dsl/values/Tree.ts"
import * as BatchNorm from "./BatchNorm.ts"

/** Sizes of a network. */
export interface Config {
  /** Channels of the first stage; each later stage has twice as many as the one before. */
  readonly width: number
  /** Blocks of each stage. */
  readonly blocks: ReadonlyArray<number>
  /**
   * How pictures come in: `large` is a window of 7 that moves by 2 and a pool that halves again; `small` is a window of 3
   * that keeps every place, for pictures of some 32 places across.
   */
  readonly stem: "large" | "small"
  /** Channels of a picture: 3 where absent. */
  readonly channels?: number
}

/** ResNet18: 11,176,512 parameters, 512 features. */
export const resnet18: Config = { width: 64, blocks: [2, 2, 2, 2], stem: "large" }

/** A convolution and its normalisation on the host: the filter is [height, width, in, out]. */
export type HostUnit = { readonly filter: NdArray.NdArray<tf.Tensor4D>; readonly norm: BatchNorm.HostParams }
/** One convolution's sizes: its window, channels in and out. */
export type Sizes = readonly [window: number, inputs: number, outputs: number]

/** Something for each convolution and its normalisation, in the arrangement of the network. */
export type Arranged<A> = {
  readonly stem: A
  readonly stages: ReadonlyArray<ReadonlyArray<{ readonly first: A; readonly second: A; readonly skip?: A }>>
}

/**
 * A network's arrangement, filled by `unit`, which is told the place (`stem`, `stages.1.0.skip`) and the sizes. Throws a
 * `RangeError` for a configuration whose numbers are not whole and at least 1.
 */
export const arranged = <A>(
  { blocks, channels = 3, stem, width }: Config,
  unit: (place: string, sizes: Sizes) => A
): Arranged<A> => {
  if (blocks.length === 0 || ![width, channels, ...blocks].every((n) => Number.isInteger(n) && n >= 1)) {
    throw new RangeError(`ResNet: width ${width}, channels ${channels}, blocks [${blocks}]; give whole numbers from 1`)
  }
  return {
    stem: unit("stem", [stem === "large" ? 7 : 3, channels, width]),
    stages: blocks.map((count, stage) => {
      const outputs = width * 2 ** stage
      return Array.from({ length: count }, (_, i) => {
        const inputs = stage > 0 && i === 0 ? outputs / 2 : outputs
        const place = `stages.${stage}.${i}`
        return {
          first: unit(`${place}.first`, [3, inputs, outputs]),
          second: unit(`${place}.second`, [3, outputs, outputs]),
          ...(inputs === outputs ? {} : { skip: unit(`${place}.skip`, [1, inputs, outputs]) })
        }
      })
    })
  }
}

/** Parameters on the host. */
export type HostParams = Arranged<HostUnit>
/** Running statistics on the host. */
export type HostStatistics = Arranged<BatchNorm.HostStatistics>
/** Parameters. */
export type Params = Live<HostParams>
/** Running statistics: what a level that trains a network declares as its buffers. */
export type Statistics = Live<HostStatistics>
type Unit = Params["stem"]
type Block = Params["stages"][number][number]
type BlockStatistics = Statistics["stages"][number][number]

/**
 * Initial parameters as torchvision's: filters normal with variance 2 / fan out (He et al. 2015), scales 1, offsets 0.
 * Throws as {@link arranged}.
 */
export const init =
  (config: Config) =>
  (seed: Seed.Seed): HostParams =>
    arranged(config, (place, [window, inputs, outputs]) => {
      const shape = [window, window, inputs, outputs] as const
      const deviation = Math.sqrt(2 / (window * window * outputs))
      const drawn = Seed.normal(Seed.fold(seed, place), NdArray.size(shape))
      return {
        filter: NdArray.float32(
          shape,
          drawn.map((z) => deviation * z)
        ),
        norm: BatchNorm.init(outputs)
      }
    })

/** Running statistics before any batch is seen. */
export const statistics = (config: Config) => (): HostStatistics =>
  arranged(config, (_, [, , outputs]) => BatchNorm.statistics(outputs))

type Norm = (
  params: BatchNorm.Params,
  statistics: BatchNorm.Statistics,
  x: tf.Tensor4D
) => readonly [y: tf.Tensor4D, next: BatchNorm.Statistics]

const through = (params: Params, statistics: Statistics, x: tf.Tensor4D, norm: Norm) => {
  // Padding as PyTorch's, equal on both sides: "same" would put an odd row after the picture.
  const unit = ({ filter, norm: affine }: Unit, carried: BatchNorm.Statistics, x: tf.Tensor4D, stride: number) =>
    norm(affine, carried, tf.conv2d(x, filter, stride, (filter.shape[0] - 1) / 2))
  const block = (params: Block, carried: BlockStatistics, x: tf.Tensor4D, stride: number) => {
    const [inner, first] = unit(params.first, carried.first, x, stride)
    const [outer, second] = unit(params.second, carried.second, tf.relu(inner), 1)
    if (params.skip === undefined) return [tf.relu<tf.Tensor4D>(tf.add(outer, x)), { first, second }] as const
    const [around, skip] = unit(params.skip, carried.skip!, x, stride)
    return [tf.relu<tf.Tensor4D>(tf.add(outer, around)), { first, second, skip }] as const
  }
  const large = params.stem.filter.shape[0] === 7
  const [entered, stem] = unit(params.stem, statistics.stem, x, large ? 2 : 1)
  let state: tf.Tensor4D = large ? tf.maxPool(tf.relu(entered), 3, 2, 1) : tf.relu(entered)
  const stages = params.stages.map((blocks, stage) =>
    blocks.map((params, i): BlockStatistics => {
      const [next, carried] = block(params, statistics.stages[stage]![i]!, state, stage > 0 && i === 0 ? 2 : 1)
      state = next
      return carried
    })
  )
  return [tf.mean<tf.Tensor2D>(state, [1, 2]), { stem, stages }] as const
}

/**
 * Features of pictures, normalised by their own batch: [n, height, width, channels] → [n, width of the last stage], with
 * the running statistics after this batch. Throws as `BatchNorm.train` where a channel of a stage holds one value only.
 */
export const train = (
  params: Params,
  statistics: Statistics,
  x: tf.Tensor4D
): readonly [features: tf.Tensor2D, next: Statistics] => through(params, statistics, x, BatchNorm.train)

/** Features of pictures, normalised by the running statistics: each picture's are its own. */
export const evaluate = (params: Params, statistics: Statistics, x: tf.Tensor4D): tf.Tensor2D =>
  through(params, statistics, x, (affine, carried, y) => [BatchNorm.evaluate(affine, carried, y), carried])[0]
