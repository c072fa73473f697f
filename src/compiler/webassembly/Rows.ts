/** The code of operations that take rows by number or one after another, and of noise. */
import type { Node, Shape } from "../graph/Graph.ts"
import { sizeOf } from "../graph/Graph.ts"
import type { Body } from "./Binary.ts"
import { Code, type Vector, type Word } from "./Code.ts"

/** How many elements lie before an axis's, along it, and behind it. */
const around = (shape: Shape, axis: number) => {
  const product = (part: Shape) => part.reduce((n, m) => n * m, 1)
  return { outer: product(shape.slice(0, axis)), length: shape[axis]!, inner: product(shape.slice(axis + 1)) }
}

/** A body for each vector of `n` elements, where pointers stand; they come back to where they were. */
const vectors = (c: Code, n: number, pointers: ReadonlyArray<Word>, body: (lanes: number) => void): void => {
  const [whole, rest] = [Math.floor(n / 4), n % 4]
  if (whole > 0) {
    c.loop(whole, () => {
      body(4)
      for (const pointer of pointers) c.advance(pointer, 16)
    })
  }
  if (rest > 0) body(rest)
  for (const pointer of pointers) c.advance(pointer, -16 * whole)
}

/** The address of a row by number, which there must be. */
const rowOf = (c: Code, table: Word, number: Word, rows: number, words: number, fault: number): Word => {
  c.check(number, rows, fault)
  return c.words("add", table, c.words("mul", number, { value: 4 * words }))
}

const gather = (node: Node): Body => {
  const [x, ids] = node.inputs as [Node, Node]
  const { inner, length, outer } = around(x.shape, node.attrs["axis"] as number)
  const c = new Code(3)
  const table = c.copy(c.parameter(0))
  const result = c.copy(c.parameter(2))
  c.loop(outer, () => {
    const id = c.copy(c.parameter(1))
    c.loop(sizeOf(ids), () => {
      const row = rowOf(c, table, c.loadWord(id), length, inner, node.id + 1)
      if (inner === 1) c.storeWord(result, c.loadWord(row))
      else vectors(c, inner, [row, result], (lanes) => c.store(result, 0, c.load(row, 0), lanes))
      c.advance(result, 4 * inner)
      c.advance(id, 4)
    })
    c.advance(table, 4 * length * inner)
  })
  return c.body()
}

const segmentSum = (node: Node): Body => {
  const ids = sizeOf(node.inputs[1]!)
  const [rows, ...rest] = node.shape as [number, ...ReadonlyArray<number>]
  const inner = rest.reduce((n, m) => n * m, 1)
  const c = new Code(3)
  const x = c.copy(c.parameter(0))
  const id = c.copy(c.parameter(1))
  const table = c.copy(c.parameter(2))
  vectors(c, rows * inner, [table], (lanes) => c.store(table, 0, c.int(0), lanes))
  c.loop(ids, () => {
    const row = rowOf(c, c.parameter(2), c.loadWord(id), rows, inner, node.id + 1)
    const add = node.dtype === "float32" ? "add" : "addWord"
    vectors(c, inner, [row, x], (lanes) => c.store(row, 0, c.op(add, c.load(row, 0), c.load(x, 0)), lanes))
    c.advance(x, 4 * inner)
    c.advance(id, 4)
  })
  return c.body()
}

/** Goes along an axis, element by element, once for each place of the others. */
const along = (
  node: Node,
  x: Node,
  body: (c: Code, go: (each: (at: Word) => void) => void, result: Word) => void
): Body => {
  const { inner, length, outer } = around(x.shape, node.attrs["axis"] as number)
  const back = node.attrs["reverse"] === true
  const c = new Code(2)
  const start = c.copy(c.parameter(0), back ? 4 * (length - 1) * inner : 0)
  const result = c.copy(c.parameter(1), node.op === "cumsum" && back ? 4 * (length - 1) * inner : 0)
  const step = 4 * inner * (back ? -1 : 1)
  c.loop(outer, () => {
    c.loop(inner, () => {
      const at = c.copy(start)
      const go = (each: (at: Word) => void): void =>
        c.loop(length, () => {
          each(at)
          c.advance(at, step)
        })
      body(c, go, result)
      c.advance(start, 4)
      c.advance(result, 4)
    })
    c.advance(start, 4 * (length - 1) * inner)
    if (node.op === "cumsum") c.advance(result, 4 * (length - 1) * inner)
  })
  return c.body()
}

const cumsum = (node: Node): Body => {
  const { inner } = around(node.shape, node.attrs["axis"] as number)
  const [exclusive, back] = [node.attrs["exclusive"] === true, node.attrs["reverse"] === true]
  const add = node.dtype === "float32" ? "add" : "addWord"
  return along(node, node.inputs[0]!, (c, go, result) => {
    const total = c.op("or", c.int(0), c.int(0))
    const to = c.copy(result)
    go((at) => {
      const x = c.loadSplat(at, 0)
      if (exclusive) c.store(to, 0, total, 1)
      c.assign(total, c.op(add, total, x))
      if (!exclusive) c.store(to, 0, total, 1)
      c.advance(to, 4 * inner * (back ? -1 : 1))
    })
  })
}

/** The first place of the greatest or least element. One that is no number stands nowhere but at the first place. */
const place = (node: Node): Body => {
  const [x] = node.inputs as [Node]
  const word = x.dtype !== "float32"
  const op = node.op === "argMax" ? (word ? "greaterWord" : "greater") : word ? "lessWord" : "less"
  return along(node, x, (c, go, result) => {
    const best = c.op("or", c.int(0), c.int(0))
    const [found, present] = [c.word(0), c.word(0)]
    const begun = c.word(0)
    go((at) => {
      const value = c.loadSplat(at, 0)
      const better = c.choose(begun, c.lane(c.op(op, value, best), 0), c.word(-1))
      c.assign(found, c.choose(better, present, found))
      c.assign(best, c.op("bitselect", value, best, c.splat(better)))
      c.assign(begun, c.word(1))
      c.advance(present, 1)
    })
    c.storeWord(result, found)
  })
}

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const

/** The generator of `src/tensor/Noise.ts`, Threefry-2x32-20 at the counters (i, salt), four blocks at a time: the same bits. */
const noise = (node: Node): Body => {
  const count = sizeOf(node)
  const c = new Code(2)
  const result = c.copy(c.parameter(1))
  const [k0, k1] = [c.loadSplat(c.parameter(0), 0), c.loadSplat(c.parameter(0), 4)]
  const keys = [k0, k1, c.op("xor", c.op("xor", k0, k1), c.int(0x1bd1_1bda))] as const
  const salt = c.op("addWord", c.int((node.attrs["salt"] as number) | 0), k1)
  const counter = c.op("or", c.bits(0, 1, 2, 3), c.int(0))
  const rotate = (x: Vector, by: number) => c.op("or", c.shift("left", x, by), c.shift("right", x, 32 - by))
  const number = (x: Vector) => c.op("mul", c.op("converted", c.shift("right", x, 8)), c.float(2 ** -24))
  const block = (lanes: number): void => {
    let x0 = c.op("addWord", counter, k0)
    let x1 = salt
    for (let round = 0; round < 20; round++) {
      x0 = c.op("addWord", x0, x1)
      x1 = c.op("xor", rotate(x1, rotations[round & 7]!), x0)
      if ((round & 3) === 3) {
        const s = (round >> 2) + 1
        x0 = c.op("addWord", x0, keys[s % 3]!)
        x1 = c.op("addWord", x1, c.op("addWord", keys[(s + 1) % 3]!, c.int(s)))
      }
    }
    const [first, second] = [number(x0), number(x1)]
    c.store(result, 0, c.shuffle(first, second, [0, 4, 1, 5]), Math.min(4, lanes))
    if (lanes > 4) c.store(result, 16, c.shuffle(first, second, [2, 6, 3, 7]), lanes - 4)
  }
  const [whole, rest] = [Math.floor(count / 8), count % 8]
  if (whole > 0) {
    c.loop(whole, () => {
      block(8)
      c.advance(result, 32)
      c.assign(counter, c.op("addWord", counter, c.int(4)))
    })
  }
  if (rest > 0) block(rest)
  return c.body()
}

/** The code of each operation, of the addresses of its operands and of its result. */
export const rows: { readonly [op: string]: (node: Node) => Body } = {
  gather,
  segmentSum,
  cumsum,
  argMax: place,
  argMin: place,
  noise
}
