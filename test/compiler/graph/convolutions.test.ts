import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Columns from "../../../src/compiler/graph/Im2col.ts"
import * as Convolution from "../../../src/compiler/graph/Convolution.ts"
import * as Phases from "../../../src/compiler/graph/StridedConvolution.ts"
import { count, Graph, type Node, sizeOf } from "../../../src/compiler/graph/Graph.ts"
import { transpose } from "../../../src/compiler/graph/Layout.ts"
import { trace } from "../../../src/compiler/trace/Trace.ts"
import { evaluate } from "../../support/interpreter.ts"

const first = (g: Graph, x: Node) => transpose(g, x, [0, 3, 1, 2])
const last = (g: Graph, x: Node) => transpose(g, x, [0, 2, 3, 1])

/** A window over an image, with unequal padding, gaps and strides; none where it does not fit. */
const geometry = (seed: Seed.Seed): Convolution.Geometry | undefined => {
  const [batch, channels, out, height, width, tall, wide, ...rest] = Seed.integers(seed, 15, 60)
  const window = [1 + (tall! % 3), 1 + (wide! % 3)] as const
  const strides = [1 + (rest[0]! % 3), 1 + (rest[1]! % 3)] as const
  const dilations = [1 + (rest[2]! % 2), 1 + (rest[3]! % 2)] as const
  const pads = [rest[4]! % 3, rest[5]! % 3, rest[6]! % 3, rest[7]! % 3] as const
  const image = [1 + (batch! % 2), 1 + (channels! % 3), 1 + (height! % 5), 1 + (width! % 5)] as const
  const sides = ([0, 1] as const).map((axis) => {
    const room = image[2 + axis]! + pads[axis] + pads[2 + axis]! - (window[axis] - 1) * dilations[axis] - 1
    return Math.floor(room / strides[axis]) + 1
  })
  if (sides.some((n) => n < 1)) return undefined
  return { image, result: [image[0], 1 + (out! % 3), ...sides], window, strides, dilations, pads, groups: 1 }
}

const forms = Array.from({ length: 160 }, (_, i) => geometry(Seed.make(i))).filter((form) => form !== undefined)

/** Whether a form of the convolution, and of what flows back, is the convolution, in float64. */
const same = (
  form: Convolution.Geometry,
  found: (g: Graph, x: Node, filter: Node, dy: Node) => ReadonlyArray<Node | undefined>
): void => {
  const g = new Graph()
  const [batch, channels, height, width] = form.image as [number, number, number, number]
  const [, out, rows, columns] = form.result as [number, number, number, number]
  const x = g.input("x", [batch, height, width, channels], "float32")
  const filter = g.input("filter", [...form.window, channels, out], "float32")
  const dy = g.input("dy", [batch, rows, columns, out], "float32")
  const dense = transpose(g, filter, [3, 2, 0, 1])
  const wanted = [
    last(g, Convolution.forward(g, first(g, x), dense, form)),
    last(g, Convolution.toInput(g, first(g, dy), dense, form)),
    transpose(g, Convolution.toFilter(g, first(g, x), first(g, dy), form), [2, 3, 1, 0])
  ]
  const at = Object.fromEntries(
    [x, filter, dy].map((node, i) => [node.attrs["name"], Array.from(Seed.normal(Seed.make(i), sizeOf(node)))])
  )
  for (const [i, node] of found(g, x, filter, dy).entries()) {
    if (node === undefined) continue
    assert.deepStrictEqual(node.shape, wanted[i]!.shape)
    const [numbers, expected] = evaluate([node, wanted[i]!], at)
    for (const [j, n] of expected!.entries()) assert.closeTo(numbers![j]!, n, 1e-9, JSON.stringify(form))
  }
}

describe("convolutions by windows that move by one", () => {
  it("of images taken apart are convolutions by windows that move by more", () => {
    const undilated = forms.filter(({ dilations }) => dilations.every((n) => n === 1))
    assert.isAbove(undilated.length, 20)
    for (const form of undilated)
      same(form, (g, x, filter, dy) => [Phases.forward(g, x, filter, form), undefined, Phases.toFilter(g, x, dy, form)])
  })

  it("stand for those of large windows only", () => {
    const form = (window: number, stride: number) => ({
      ...forms[0]!,
      window: [window, window] as const,
      strides: [stride, stride] as const,
      dilations: [1, 1] as const
    })
    assert.deepStrictEqual([form(7, 2), form(4, 4), form(3, 2), form(7, 1)].map(Phases.pays), [
      true,
      true,
      false,
      false
    ])
  })
})

describe("products of columns", () => {
  it("are convolutions, and so is what flows back", () => {
    assert.isAbove(forms.length, 80)
    for (const form of forms)
      same(form, (g, x, filter, dy) => [
        Columns.forward(g, x, filter, form),
        Columns.toInput(g, dy, filter, form),
        Columns.toFilter(g, x, dy, form)
      ])
  })

  it("stand for convolutions of few places with many filters, and leave the filters as they lie", () => {
    const gradient = (x: tf.Tensor4D, filter: tf.Tensor4D) =>
      tf.grads((x, filter) => tf.sum(tf.square(tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 1))) as tf.Scalar)(
        [x, filter]
      )
    const ops = (places: number) => {
      const types = [
        [4, places, places, 16],
        [3, 3, 16, 32]
      ].map((shape) => ({ dtype: "float32", shape }))
      return count(trace(gradient as never, ["x", "filter"], types).results)
    }
    assert.containsAllKeys(ops(32), ["conv", "convToFilter", "transpose"])
    assert.doesNotHaveAnyKeys(ops(4), ["conv", "convToInput", "convToFilter", "transpose", "reverse"])
    // The windows are laid out once, for the convolution and for its filter's gradient.
    assert.include(ops(4), { matmul: 3, gather: 2 })
  })
})
