/**
 * Functions in WebAssembly give the eager numbers exactly, where sums and products of small whole numbers leave nothing to
 * round: whatever shares a loop or a place of memory, is read in another order, kept, sent, or both.
 */
import { assert, describe, it } from "@effect/vitest"
import * as tf from "@tensorflow/tfjs-core"
import "@tensorflow/tfjs-backend-cpu"
import { lower } from "../../../src/compiler/webassembly/Lower.ts"
import * as NdArray from "../../../src/dsl/values/NdArray.ts"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import { record } from "../../../src/engines/graph/Recording.ts"
import { Heap } from "../../../src/engines/webassembly/Heap.ts"
import { Instance } from "../../../src/engines/webassembly/Instance.ts"
import { stream } from "../../../src/testing/Draws.ts"

type Draw = ReturnType<typeof stream>
type Tensors = { readonly [name: string]: tf.Tensor }
const anyOf = tf as unknown as { readonly [name: string]: (...args: ReadonlyArray<unknown>) => tf.Tensor }

/** Small enough that no product or sum of some is rounded. */
const small = (x: tf.Tensor): tf.Tensor =>
  x.dtype === "int32"
    ? tf.sub(tf.mod(x, tf.scalar(17, "int32")), tf.scalar(8, "int32"))
    : (tf.clipByValue(x, -8, 9) as tf.Tensor)

const axesOf = (draw: Draw, { rank }: tf.Tensor): Array<number> => {
  const some = Array.from({ length: rank }, (_, i) => i).filter(() => draw.chance(0.5))
  return some.length > 0 ? some : [draw.below(rank)]
}

/** Other factors of the number of elements, with axes of one element among them. */
const shapeFor = (draw: Draw, size: number): Array<number> => {
  const shape: Array<number> = []
  let left = size
  while (left > 1 && shape.length < 4) {
    const factor = draw.pick([2, 3, 5, 7, 17])
    if (left % factor === 0) {
      shape.push(factor)
      left /= factor
    } else if (draw.chance(0.2)) break
    if (draw.chance(0.1)) shape.push(1)
  }
  return [...shape, left]
}

const broadcasts = (a: tf.Tensor, b: tf.Tensor): boolean => {
  const rank = Math.min(a.rank, b.rank)
  const [m, n] = [a.shape.slice(a.rank - rank), b.shape.slice(b.rank - rank)]
  return m.every((length, i) => length === n[i] || length === 1 || n[i] === 1)
}

/** What may be made of a tensor, and of others beside it. */
const operations: ReadonlyArray<(draw: Draw, x: tf.Tensor, others: ReadonlyArray<tf.Tensor>) => tf.Tensor | undefined> =
  [
    ...["add", "sub", "mul", "maximum", "minimum", "squaredDifference"].map(
      (name) => (draw: Draw, x: tf.Tensor, others: ReadonlyArray<tf.Tensor>) => {
        const y = draw.pick(others.filter((each) => broadcasts(x, each)))
        return small(draw.chance(0.5) ? anyOf[name]!(x, y) : anyOf[name]!(y, x))
      }
    ),
    (draw, x) => small(anyOf[draw.pick(["neg", "abs", "relu", "square", "sign"])]!(x)),
    (draw, x) => small(anyOf[draw.pick(["sum", "max", "min"])]!(x, axesOf(draw, x), draw.chance(0.5))),
    (draw, x) => small(tf.sum(x, axesOf(draw, x), draw.chance(0.5))),
    (draw, x) => {
      const axes = x.shape.map((_, i) => i)
      return tf.transpose(
        x,
        axes.sort(() => draw.unit() - 0.5)
      )
    },
    (draw, x) => tf.reshape(x, shapeFor(draw, x.size)),
    (draw, x) => {
      const begin = x.shape.map((n) => draw.below(n))
      return tf.slice(
        x,
        begin,
        x.shape.map((n, i) => 1 + draw.below(n - begin[i]!))
      )
    },
    (draw, x) => tf.reverse(x, axesOf(draw, x)),
    (draw, x, others) => {
      const y = draw.pick(others.filter((each) => broadcasts(x, each)))
      return tf.where(anyOf[draw.pick(["greater", "lessEqual", "notEqual"])]!(x, y), x, tf.neg(y))
    },
    (_, x) => tf.cast(x, x.dtype === "int32" ? "float32" : "int32"),
    (draw, x, others) => {
      const axis = draw.below(x.rank)
      const fit = others.filter((y) => y.rank === x.rank && y.shape.every((n, i) => i === axis || n === x.shape[i]))
      return tf.concat(
        Array.from({ length: 1 + draw.below(3) }, () => draw.pick(fit)),
        axis
      )
    },
    (draw, x) =>
      x.rank > 4
        ? undefined
        : tf.pad(x, x.shape.map(() => [draw.below(3), draw.below(3)] as const) as never, draw.below(3)),
    (draw, x) => anyOf[draw.pick(["argMax", "argMin"])]!(x, draw.below(x.rank)),
    (draw, x) => small(tf.cumsum(x, draw.below(x.rank), draw.chance(0.5), draw.chance(0.5))),
    (draw, x, others) => {
      if (x.rank < 2) return undefined
      const [ta, tb] = [draw.chance(0.5), draw.chance(0.5)]
      const inner = x.shape.at(ta ? -2 : -1)
      const fits = ({ rank, shape }: tf.Tensor) =>
        rank === x.rank && shape.at(tb ? -1 : -2) === inner && shape.slice(0, -2).every((n, i) => n === x.shape[i])
      const fit = others.filter(fits)
      return small(fit.length === 0 ? tf.matMul(x, x, false, true) : tf.matMul(x, draw.pick(fit), ta, tb))
    },
    (draw, x, others) => {
      const axis = draw.below(x.rank)
      const numbers = others.filter(({ dtype, rank, size }) => dtype === "int32" && rank > 0 && size < 60)
      if (numbers.length === 0 || x.rank > 4) return undefined
      const ids = tf.mod(tf.abs(draw.pick(numbers)), tf.scalar(x.shape[axis]!, "int32"))
      return tf.gather(x, tf.reshape(ids, [-1]) as tf.Tensor1D, axis)
    }
  ]

/** A function whose operations come from a seed: what it keeps and what it sends. */
const drawn = (seed: Seed.Seed, count: number) => (given: Tensors) => {
  const draw = stream(seed)
  const made: Array<tf.Tensor> = Object.values(given)
  const some = (): tf.Tensor =>
    draw.chance(0.8) ? made.at(-1 - draw.below(Math.min(3, made.length)))! : draw.pick(made)
  for (let i = 0; i < count; i++) {
    const x = some()
    const operation = draw.pick(operations)
    if (x.rank === 0) continue
    const y = operation(
      draw,
      x,
      made.filter(({ dtype }) => dtype === x.dtype)
    )
    if (y !== undefined && y.size < 3000 && y.rank < 6) made.push(y)
  }
  const results = (): Tensors =>
    Object.fromEntries(Array.from({ length: 1 + draw.below(4) }, (_, i) => [`y${i}`, some()] as const))
  return [results(), results()] as const
}

const inputs = (draw: Draw): Tensors => {
  const base = Array.from({ length: 1 + draw.below(4) }, () => draw.pick([1, 2, 3, 4, 5, 7]))
  const numbers = (shape: ReadonlyArray<number>, dtype: "float32" | "int32"): tf.Tensor => {
    const values = Array.from({ length: NdArray.size(shape) }, () => draw.below(13) - 6)
    return tf.tensor(values, [...shape], dtype)
  }
  return {
    a: numbers(base, "float32"),
    b: numbers(
      base.map((n) => (draw.chance(0.4) ? 1 : n)),
      "float32"
    ),
    c: numbers([draw.pick([1, 3, 5, 17]), draw.pick([2, 7])], "float32"),
    n: numbers(draw.chance(0.5) ? base : [5], "int32")
  }
}

/** Kept and sent numbers of a program, in a memory that is full of NaNs. */
const run = (f: ReturnType<typeof drawn>, given: Tensors) => {
  const types = Object.fromEntries(Object.entries(given).map(([name, { dtype, shape }]) => [name, { dtype, shape }]))
  const recorded = record(f as never, ["x"], [types])
  const program = lower(recorded.inputs, recorded.keeps, recorded.sends)
  const heap = new Heap()
  heap.words.fill(0x7fc0_1234)
  heap.allocate(4)
  const instance = new Instance(program, heap)
  const [scratch, list] = [heap.allocate(program.scratch), heap.allocate(program.sent)]
  const arrays = Object.values(given).map((x) => x.dataSync() as Float32Array | Int32Array)
  const places = arrays.map((array) => ({ address: heap.write(array.slice()) }))
  const outputs = program.outputs.map((words) => ({ address: heap.allocate(words) }))
  const beyond = heap.allocate(64)
  heap.words.fill(5, beyond / 4, beyond / 4 + 64)
  assert.isUndefined(instance.run(scratch, list, places, outputs))
  const read = (address: number, like: tf.Tensor): Array<number> =>
    Array.from(new (like.dtype === "float32" ? Float32Array : Int32Array)(heap.memory.buffer, address, like.size))
  const intact = heap.words.subarray(beyond / 4, beyond / 4 + 64).every((word) => word === 5)
  const unchanged = Object.values(given).every((x, i) =>
    read(places[i]!.address, x).every((n, j) => n === arrays[i]![j])
  )
  assert.isTrue(intact && unchanged, "what is not the program's is as it was")
  return {
    kept: (wanted: ReadonlyArray<tf.Tensor>) =>
      program.kept.map(({ from, index }, i) => read((from === "input" ? places : outputs)[index]!.address, wanted[i]!)),
    sent: (wanted: ReadonlyArray<tf.Tensor>) => {
      let at = list
      return wanted.map((like) => {
        at += 4 * like.size
        return read(at - 4 * like.size, like)
      })
    }
  }
}

// −0 is 0 here: clipping and greatest elements leave open which of the two they give.
const numbersOf = (x: tf.Tensor): Array<number> => Array.from(x.dataSync(), (n) => n + 0)
const unsigned = (lists: ReadonlyArray<ReadonlyArray<number>>) => lists.map((list) => list.map((n) => n + 0))

describe("random functions in WebAssembly", () => {
  for (const [count, functions] of [
    [4, 40],
    [16, 160],
    [60, 12]
  ] as const) {
    it(`of ${count} operations give the eager numbers exactly`, async () => {
      await tf.setBackend("cpu")
      for (let i = 0; i < functions; i++) {
        const seed = Seed.fold(Seed.make(1000 + count), i)
        tf.tidy(() => {
          const given = inputs(stream(Seed.fold(seed, 1)))
          const f = drawn(seed, count)
          const [kept, sent] = f(given).map((results) => Object.values(results)) as [Array<tf.Tensor>, Array<tf.Tensor>]
          const found = run(f, given)
          assert.deepStrictEqual(unsigned(found.kept(kept)), kept.map(numbersOf), `function ${i}: kept`)
          assert.deepStrictEqual(unsigned(found.sent(sent)), sent.map(numbersOf), `function ${i}: sent`)
        })
      }
    })
  }
})
