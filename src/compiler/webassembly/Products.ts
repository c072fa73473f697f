/**
 * The code of matrix products, in blocks that fit into registers. Either several columns are four elements of a vector, and
 * the sums over them run on side by side; or what is summed over is, where both factors have it one after another.
 */
import { Code, type Vector, type Word } from "./Code.ts"
import type { Body } from "./Binary.ts"

/** Words from one element to the next of a factor or of the product. */
interface Strides {
  readonly batch: ReadonlyArray<number>
  /** Along rows or columns of the product. */
  readonly outer: number
  /** Along what is summed over; of no meaning for the product. */
  readonly inner: number
}

/** A product of matrices, or many of them. */
export interface Product {
  readonly batch: ReadonlyArray<number>
  readonly rows: number
  readonly columns: number
  readonly inner: number
  readonly left: Strides
  readonly right: Strides
  readonly whole: boolean
}

/** The same product with rows for columns, where it has but one column. */
const turned = (product: Product): Product =>
  product.columns > 1
    ? product
    : { ...product, rows: 1, columns: product.rows, left: product.right, right: product.left }

/** Which of the two forms a product has; `undefined` where its right factor must lie in rows of its columns first. */
export const formOf = (given: Product): "columns" | "inner" | undefined => {
  const { columns, inner, left, right } = turned(given)
  const summed = (left.inner === 1 || inner === 1) && (right.inner === 1 || inner === 1)
  if (right.outer === 1 && !(summed && columns < 4)) return "columns"
  return summed ? "inner" : right.outer === 1 ? "columns" : undefined
}

const blocks = (n: number, most: number): readonly [whole: number, rest: number] => [Math.floor(n / most), n % most]

class ProductEmitter {
  readonly #c = new Code(3)
  readonly #product: Product
  readonly #left: Word
  readonly #right: Word
  readonly #result: Word

  constructor(product: Product) {
    this.#product = product
    this.#left = this.#c.copy(this.#c.parameter(0))
    this.#right = this.#c.copy(this.#c.parameter(1))
    this.#result = this.#c.copy(this.#c.parameter(2))
  }

  #multiplied(total: Vector, a: Vector, b: Vector): void {
    const [mul, add] = this.#product.whole ? (["mulWord", "addWord"] as const) : (["mul", "add"] as const)
    this.#c.assign(total, this.#c.op(add, total, this.#c.op(mul, a, b)))
  }
  #sum(a: Vector, b: Vector): Vector {
    return this.#c.op(this.#product.whole ? "addWord" : "add", a, b)
  }
  #totals(count: number): ReadonlyArray<Vector> {
    const zero = this.#c.int(0)
    return Array.from({ length: count }, () => this.#c.op("or", zero, zero))
  }

  /** A body for blocks of `most` along an axis and for what is left of it; pointers come back to where they were. */
  #along(n: number, most: number, moving: ReadonlyArray<readonly [Word, number]>, body: (count: number) => void): void {
    const [whole, rest] = blocks(n, most)
    if (whole > 0) {
      this.#c.loop(whole, () => {
        body(most)
        for (const [pointer, stride] of moving) this.#c.advance(pointer, 4 * most * stride)
      })
    }
    if (rest > 0) body(rest)
    for (const [pointer, stride] of moving) this.#c.advance(pointer, -4 * whole * most * stride)
  }

  /** `rows` rows of `width` columns: each row's element is multiplied by a vector of columns. */
  #columns(rows: number, width: number): void {
    const c = this.#c
    const { columns, inner, left, right } = this.#product
    const vectors = Math.ceil(width / 4)
    // As many sums side by side as hide how long one takes.
    const deep = Math.max(1, Math.min(inner, Math.floor(8 / (rows * vectors))))
    const totals = this.#totals(deep * rows * vectors)
    const [a, b] = [c.copy(this.#left), c.copy(this.#right)]
    this.#along(
      inner,
      deep,
      [
        [a, left.inner],
        [b, right.inner]
      ],
      (count) => {
        for (let step = 0; step < count; step++) {
          const columnsOf = Array.from({ length: vectors }, (_, v) => c.load(b, 4 * step * right.inner + 16 * v))
          for (let row = 0; row < rows; row++) {
            const element = c.loadSplat(a, 4 * (step * left.inner + row * left.outer))
            for (let v = 0; v < vectors; v++)
              this.#multiplied(totals[(step * rows + row) * vectors + v]!, element, columnsOf[v]!)
          }
        }
      }
    )
    for (let row = 0; row < rows; row++) {
      for (let v = 0; v < vectors; v++) {
        const parts = Array.from({ length: deep }, (_, step) => totals[(step * rows + row) * vectors + v]!)
        c.store(
          this.#result,
          4 * row * columns + 16 * v,
          parts.reduce((x, y) => this.#sum(x, y)),
          Math.min(4, width - 4 * v)
        )
      }
    }
  }

  /** `rows` rows of `width` columns, at most four: each a sum over vectors. */
  #inner(rows: number, width: number): void {
    const c = this.#c
    const { columns, inner, left, right } = this.#product
    const [vectors, rest] = blocks(inner, 4)
    const totals = this.#totals(rows * width)
    const step = (a: Word, b: Word, at: number, lanes: number): void => {
      const columnsOf = Array.from({ length: width }, (_, column) => c.load(b, 16 * at + 4 * column * right.outer))
      for (let row = 0; row < rows; row++) {
        const x = c.load(a, 16 * at + 4 * row * left.outer)
        for (let column = 0; column < width; column++) {
          const total = totals[row * width + column]!
          if (lanes === 4) this.#multiplied(total, x, columnsOf[column]!)
          else {
            // What lies behind the last element may be anything.
            const mask = c.bits(-1, lanes > 1 ? -1 : 0, lanes > 2 ? -1 : 0, 0)
            this.#multiplied(total, c.op("and", x, mask), c.op("and", columnsOf[column]!, mask))
          }
        }
      }
    }
    const [a, b] = [c.copy(this.#left), c.copy(this.#right)]
    const deep = vectors <= 8 ? vectors : Math.max(1, Math.floor(8 / (rows * width)))
    const [loops, left_] = deep === 0 ? [0, 0] : blocks(vectors, deep)
    const some = (count: number): void => {
      for (let at = 0; at < count; at++) step(a, b, at, 4)
    }
    if (loops > 0) {
      c.loop(loops, () => {
        some(deep)
        c.advance(a, 16 * deep)
        c.advance(b, 16 * deep)
      })
    }
    some(left_)
    if (rest > 0) step(a, b, left_, rest)
    for (let row = 0; row < rows; row++) {
      const own = totals.slice(row * width, (row + 1) * width)
      c.store(this.#result, 4 * row * columns, this.#summed(own), width)
    }
  }

  /** The sums of up to four vectors, side by side. */
  #summed(given: ReadonlyArray<Vector>): Vector {
    const c = this.#c
    const [p, q, r, s] = [0, 1, 2, 3].map((i) => given[Math.min(i, given.length - 1)]!) as [
      Vector,
      Vector,
      Vector,
      Vector
    ]
    const first = this.#sum(c.shuffle(p, q, [0, 4, 1, 5]), c.shuffle(p, q, [2, 6, 3, 7]))
    const second = this.#sum(c.shuffle(r, s, [0, 4, 1, 5]), c.shuffle(r, s, [2, 6, 3, 7]))
    return this.#sum(c.shuffle(first, second, [0, 1, 4, 5]), c.shuffle(first, second, [2, 3, 6, 7]))
  }

  #matrix(): void {
    const { columns, left, right, rows } = this.#product
    const inColumns = formOf(this.#product) === "columns"
    const [tall, wide] = inColumns ? (rows < 4 ? [rows, rows === 1 ? 32 : 16] : [4, 8]) : [rows === 1 ? 1 : 2, 4]
    this.#along(
      columns,
      wide,
      [
        [this.#right, right.outer],
        [this.#result, 1]
      ],
      (width) =>
        this.#along(
          rows,
          tall,
          [
            [this.#left, left.outer],
            [this.#result, columns]
          ],
          (height) => (inColumns ? this.#columns(height, width) : this.#inner(height, width))
        )
    )
  }

  emit(): Body {
    const { batch, columns, left, right, rows } = this.#product
    const nest = (axis: number): void => {
      if (axis === batch.length) return this.#matrix()
      const size = batch.slice(axis + 1).reduce((n, m) => n * m, rows * columns)
      this.#along(
        batch[axis]!,
        1,
        [
          [this.#left, left.batch[axis]!],
          [this.#right, right.batch[axis]!],
          [this.#result, size]
        ],
        () => nest(axis + 1)
      )
    }
    nest(0)
    return this.#c.body()
  }
}

/** The code of a product, of the addresses of its factors, left and right as {@link sides} has them, and of the product itself. */
export const emitProduct = (product: Product): Body => new ProductEmitter(turned(product)).emit()

/** Whether the factors change places. */
export const turns = ({ columns }: Product): boolean => columns === 1
