/** Graphs in float64, operation by operation, as plainly as they can be written: what compiled numbers are held against. */
import { expand } from "../../src/tensor/Noise.ts"
import { arithmetic, comparisons, logical, unaries } from "../../src/compiler/graph/Elementwise.ts"
import { type Node, reachable, type Shape } from "../../src/compiler/graph/Graph.ts"

type Numbers = Float64Array
const sizeOf = (shape: Shape): number => shape.reduce((n, m) => n * m, 1)
const stridesOf = (shape: Shape): ReadonlyArray<number> => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)))
const placesOf = (shape: Shape): ReadonlyArray<Shape> =>
  shape.reduce<ReadonlyArray<Shape>>(
    (sofar, n) => sofar.flatMap((at) => Array.from({ length: n }, (_, i) => [...at, i])),
    [[]]
  )
/** The element of a tensor of this shape at a place, where it broadcasts to the place's rank. */
const offset = (shape: Shape, at: Shape): number =>
  stridesOf(shape).reduce(
    (sum, stride, axis) => sum + (shape[axis] === 1 ? 0 : stride * at[axis + at.length - shape.length]!),
    0
  )

// Abramowitz and Stegun 7.1.5 and, far out, the continued fraction 7.1.14.
const erf = (x: number): number => {
  const a = Math.abs(x)
  if (a > 3) {
    let fraction = a
    for (let k = 60; k > 0; k--) fraction = a + k / 2 / fraction
    return Math.sign(x) * (1 - Math.exp(-a * a) / (fraction * Math.sqrt(Math.PI)))
  }
  let [term, sum] = [x, x]
  for (let n = 1; n < 100; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

const ofOne: { readonly [op: string]: (x: number) => number } = {
  ...unaries,
  erf,
  not: (x) => Number(x === 0),
  isNan: (x) => Number(Number.isNaN(x)),
  isInf: (x) => Number(Math.abs(x) === Infinity)
}
const casts: { readonly [dtype: string]: (x: number) => number } = {
  float32: (x) => x,
  int32: Math.trunc,
  bool: (x) => Number(x !== 0)
}
const ofTwo: { readonly [op: string]: (a: number, b: number) => number | boolean } = {
  ...arithmetic,
  ...comparisons,
  ...logical
}
const reductions: { readonly [op: string]: readonly [(a: number, b: number) => number, number] } = {
  sum: [(a, b) => a + b, 0],
  maxOf: [Math.max, -Infinity],
  minOf: [Math.min, Infinity],
  prodOf: [(a, b) => a * b, 1]
}

type Evaluate = (node: Node, x: ReadonlyArray<Numbers>) => (at: Shape, i: number) => number
const shapeAttr = (node: Node, name: string): Shape => node.attrs[name] as Shape
const read =
  (node: Node, k: number, x: ReadonlyArray<Numbers>) =>
  (at: Shape): number =>
    x[k]![offset(node.inputs[k]!.shape, at)]!

/** The elements along a node's axis that end up at a place. */
const along = (node: Node, x: ReadonlyArray<Numbers>, at: Shape): ReadonlyArray<number> => {
  const axis = node.attrs["axis"] as number
  return Array.from({ length: node.inputs[0]!.shape[axis]! }, (_, i) => read(node, 0, x)(at.toSpliced(axis, 0, i)))
}

/** Where a window at a place of the result looks into the image, with the window's own places; padding is left out. */
const seen = (node: Node, image: Shape, at: Shape): ReadonlyArray<readonly [place: Shape, inWindow: Shape]> => {
  const [pads, strides, dilations] = ["pads", "strides", "dilations"].map((name) => shapeAttr(node, name)) as [
    Shape,
    Shape,
    Shape
  ]
  return placesOf(shapeAttr(node, "window")).flatMap((inWindow) => {
    const place = inWindow.map((n, axis) => at[2 + axis]! * strides[axis]! - pads[axis]! + n * dilations[axis]!)
    return place.every((n, axis) => n >= 0 && n < image[2 + axis]!) ? [[place, inWindow] as const] : []
  })
}
/** Every product of a convolution: places in the image, in the filter [out, in, height, width], in the result. */
const products = (node: Node, image: Shape, result: Shape): ReadonlyArray<readonly [Shape, Shape, Shape]> => {
  const groups = node.attrs["groups"] as number
  const [within, out] = [image[1]! / groups, result[1]! / groups]
  return placesOf(result).flatMap((at) =>
    seen(node, image, at).flatMap(([place, inWindow]) =>
      Array.from({ length: within }, (_, c) => {
        const channel = Math.floor(at[1]! / out) * within + c
        return [[at[0]!, channel, ...place], [at[1]!, c, ...inWindow], at] as const
      })
    )
  )
}
const greatest = (node: Node, image: Node, x: Numbers, at: Shape): number => {
  const places = seen(node, image.shape, at).map(([place]) => offset(image.shape, [at[0]!, at[1]!, ...place]))
  return places.reduce((best, place) => (x[place]! > x[best]! ? place : best))
}
/** Numbers added up where they belong. */
const gathered = (shape: Shape, terms: Iterable<readonly [place: number, term: number]>) => {
  const sums = new Float64Array(sizeOf(shape))
  for (const [place, term] of terms) sums[place]! += term
  return (_: Shape, i: number) => sums[i]!
}

const operations: { readonly [op: string]: Evaluate } = {
  select: (node, x) => (at) => read(node, read(node, 0, x)(at) === 0 ? 2 : 1, x)(at),
  broadcast: (node, x) => read(node, 0, x),
  reshape:
    (_, [x]) =>
    (_at, i) =>
      x![i]!,
  transpose: (node, x) => {
    const perm = shapeAttr(node, "perm")
    return (at) => read(node, 0, x)(perm.map((_, axis) => at[perm.indexOf(axis)]!))
  },
  slice: (node, x) => (at) =>
    read(node, 0, x)(at.map((n, i) => shapeAttr(node, "begin")[i]! + n * shapeAttr(node, "strides")[i]!)),
  reverse: (node, x) => (at) =>
    read(node, 0, x)(at.map((n, i) => (shapeAttr(node, "axes").includes(i) ? node.shape[i]! - 1 - n : n))),
  concat: (node, x) => (at) => {
    const axis = node.attrs["axis"] as number
    let [k, row] = [0, at[axis]!]
    while (row >= node.inputs[k]!.shape[axis]!) row -= node.inputs[k++]!.shape[axis]!
    return read(node, k, x)(at.with(axis, row))
  },
  pad: (node, x) => (at) => {
    const inner = at.map((n, i) => n - shapeAttr(node, "before")[i]!)
    const inside = inner.every((n, i) => n >= 0 && n < node.inputs[0]!.shape[i]!)
    return inside ? read(node, 0, x)(inner) : (node.attrs["value"] as number)
  },
  gather: (node, x) => (at) => {
    const axis = node.attrs["axis"] as number
    const rank = node.inputs[1]!.shape.length
    const row = read(node, 1, x)(at.slice(axis, axis + rank))
    return read(node, 0, x)([...at.slice(0, axis), row, ...at.slice(axis + rank)])
  },
  segmentSum: (node, [x, ids]) => {
    const inner = sizeOf(node.shape.slice(1))
    return gathered(
      node.shape,
      Array.from(x!, (value, i) => [ids![Math.floor(i / inner)]! * inner + (i % inner), value] as const)
    )
  },
  argMax: (node, x) => (at) => {
    const row = along(node, x, at)
    return row.indexOf(Math.max(...row))
  },
  argMin: (node, x) => (at) => {
    const row = along(node, x, at)
    return row.indexOf(Math.min(...row))
  },
  noise: ({ attrs, shape }, [key]) => {
    const numbers = expand(key!, sizeOf(shape), attrs["salt"] as number)
    return (_, i) => numbers[i]!
  },
  cumsum: (node, x) => (at) => {
    const axis = node.attrs["axis"] as number
    const forward = node.attrs["reverse"] !== true
    const here = at[axis]!
    const counts = (i: number) => (i === here ? node.attrs["exclusive"] !== true : forward ? i < here : i > here)
    let sum = 0
    for (let i = 0; i < node.shape[axis]!; i++) if (counts(i)) sum += read(node, 0, x)(at.with(axis, i))
    return sum
  },
  softmax: (node, x) => (at) => {
    const row = Array.from({ length: node.shape.at(-1)! }, (_, i) => read(node, 0, x)([...at.slice(0, -1), i]))
    const most = Math.max(...row)
    return Math.exp(row[at.at(-1)!]! - most) / row.reduce((sum, v) => sum + Math.exp(v - most), 0)
  },
  matmul: (node, x) => (at) => {
    const { ta, tb } = node.attrs
    const [m, n] = at.slice(-2) as [number, number]
    const length = node.inputs[0]!.shape.at(ta === true ? -2 : -1)!
    let sum = 0
    for (let k = 0; k < length; k++) {
      const a = read(node, 0, x)([...at.slice(0, -2), ...(ta === true ? [k, m] : [m, k])])
      sum += a * read(node, 1, x)([...at.slice(0, -2), ...(tb === true ? [n, k] : [k, n])])
    }
    return sum
  },
  conv: (node, x) =>
    gathered(
      node.shape,
      products(node, node.inputs[0]!.shape, node.shape).map(
        ([image, filter, result]) =>
          [offset(node.shape, result), read(node, 0, x)(image) * read(node, 1, x)(filter)] as const
      )
    ),
  convToInput: (node, x) =>
    gathered(
      node.shape,
      products(node, node.shape, node.inputs[0]!.shape).map(
        ([image, filter, result]) =>
          [offset(node.shape, image), read(node, 0, x)(result) * read(node, 1, x)(filter)] as const
      )
    ),
  convToFilter: (node, x) =>
    gathered(
      node.shape,
      products(node, node.inputs[0]!.shape, node.inputs[1]!.shape).map(([image, [o, c, i, j], result]) => {
        const place = offset(node.shape, [i!, j!, c!, o!])
        return [place, read(node, 0, x)(image) * read(node, 1, x)(result)] as const
      })
    ),
  maxPool:
    (node, [x]) =>
    (at) =>
      x![greatest(node, node.inputs[0]!, x!, at)]!,
  maxPoolTangent:
    (node, [moves, x]) =>
    (at) =>
      moves![greatest(node, node.inputs[1]!, x!, at)]!,
  maxPoolGrad: (node, [dy, x]) =>
    gathered(
      node.shape,
      placesOf(node.inputs[0]!.shape).map((at, i) => [greatest(node, node.inputs[1]!, x!, at), dy![i]!] as const)
    ),
  meanPool: (node, x) => (at) => {
    const values = seen(node, node.inputs[0]!.shape, at).map(([place]) => read(node, 0, x)([at[0]!, at[1]!, ...place]))
    return values.reduce((sum, v) => sum + v, 0) / values.length
  }
}

const evaluated = (node: Node, x: ReadonlyArray<Numbers>): Numbers => {
  const { attrs, op, shape } = node
  const one = op === "cast" ? casts[node.dtype] : ofOne[op]
  if (one !== undefined) return x[0]!.map(one)
  const places = placesOf(shape)
  const two = ofTwo[op]
  if (two !== undefined)
    return Float64Array.from(places, (at) => Number(two(read(node, 0, x)(at), read(node, 1, x)(at))))
  const reduction = reductions[op]
  if (reduction !== undefined) {
    const [source, axes] = [node.inputs[0]!.shape, attrs["axes"] as Shape]
    const keptShape = source.map((n, axis) => (axes.includes(axis) ? 1 : n))
    const results = new Float64Array(sizeOf(shape)).fill(reduction[1])
    placesOf(source).forEach((at, i) => {
      const place = offset(keptShape, at)
      results[place] = reduction[0](results[place]!, x[0]![i]!)
    })
    return results
  }
  const operation = operations[op]
  if (operation === undefined) throw new Error(`the interpreter does not know '${op}'`)
  return Float64Array.from(places, operation(node, x))
}

/** What the results are where the inputs are these numbers, by the inputs' names. */
export const evaluate = (
  results: ReadonlyArray<Node>,
  inputs: { readonly [name: string]: ArrayLike<number> }
): ReadonlyArray<Numbers> => {
  const values = new Map<Node, Numbers>()
  for (const node of reachable(results)) {
    const given = node.op === "input" ? inputs[node.attrs["name"] as string] : node.values
    values.set(
      node,
      given === undefined
        ? evaluated(
            node,
            node.inputs.map((x) => values.get(x)!)
          )
        : Float64Array.from(given)
    )
  }
  return results.map((node) => values.get(node)!)
}
