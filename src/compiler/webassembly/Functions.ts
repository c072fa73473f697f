/**
 * Exponentials, logarithms and what is made of them, four float32 at a time: the same bits on every machine. How far each is
 * from the exact value, in units of its last place, is measured by `test/compiler/webassembly/functions.test.ts`.
 */
import type { Code, Vector } from "./Code.ts"

type Function = (c: Code, x: Vector) => Vector

/** c₀ + c₁ x + c₂ x² + …, by Horner's rule, with the highest coefficient first. */
const polynomial = (c: Code, x: Vector, [first, ...rest]: ReadonlyArray<number>): Vector =>
  rest.reduce<Vector>((sum, each) => c.op("add", c.op("mul", sum, x), c.float(each)), c.float(first!))

const select = (c: Code, condition: Vector, a: Vector, b: Vector): Vector => c.op("bitselect", a, b, condition)

const [highLn2, lowLn2] = [0.693359375, -2.1219444e-4] as const

/** 2ⁿ for whole n from −127, where it is zero, to 128, where it is infinite. */
const power = (c: Code, n: Vector): Vector => c.shift("left", c.op("addWord", n, c.int(127)), 23)

/** eˣ as y 2ⁿ, after Moshier's Cephes: y is between 0.7 and 1.5. */
const parts = (c: Code, x: Vector): readonly [y: Vector, n: Vector] => {
  const n = c.op("nearest", c.op("mul", x, c.float(Math.LOG2E)))
  const r = c.op("sub", c.op("sub", x, c.op("mul", n, c.float(highLn2))), c.op("mul", n, c.float(lowLn2)))
  const p = polynomial(c, r, [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5])
  const y = c.op("add", c.op("add", c.op("mul", p, c.op("mul", r, r)), r), c.float(1))
  return [y, c.op("truncated", n)]
}

/** A number that is at least `least` and at most `most`, or none. */
const within = (c: Code, x: Vector, least: number, most: number): Vector =>
  c.op("lower", c.op("higher", x, c.float(least)), c.float(most))

/** eˣ; subnormal results and infinity included. */
export const exp: Function = (c, x) => {
  const [y, n] = parts(c, within(c, x, -104, 89))
  // In two steps: 2ⁿ itself may be out of range.
  const half = c.shift("signed", n, 1)
  return c.op("mul", c.op("mul", y, power(c, half)), power(c, c.op("subWord", n, half)))
}

/** eˣ for a sum with one: zero where it is subnormal, and infinite a little early. */
const expBesideOne: Function = (c, x) => {
  const [y, n] = parts(c, within(c, x, -88, 89))
  return c.op("mul", y, power(c, n))
}

/** The natural logarithm (after Moshier's Cephes) of any number, subnormal ones included. */
export const log: Function = (c, x) => {
  const small = c.op("less", x, c.float(2 ** -126))
  const scaled = select(c, small, c.op("mul", x, c.float(2 ** 24)), x)
  // The mantissa is taken from [√½, √2).
  const offset = c.op("subWord", scaled, c.int(0x3f35_04f3))
  const exponent = c.op("converted", c.shift("signed", offset, 23))
  const n = c.op("sub", exponent, c.op("and", small, c.float(24)))
  const mantissa = c.op("addWord", c.op("and", offset, c.int(0x007f_ffff)), c.int(0x3f35_04f3))
  const f = c.op("sub", mantissa, c.float(1))
  const z = c.op("mul", f, f)
  const p = polynomial(
    c,
    f,
    [
      7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
      2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1
    ]
  )
  const rest = c.op(
    "sub",
    c.op("add", c.op("mul", c.op("mul", p, f), z), c.op("mul", n, c.float(lowLn2))),
    c.op("mul", z, c.float(0.5))
  )
  const y = c.op("add", c.op("add", rest, f), c.op("mul", n, c.float(highLn2)))
  // Of zero, of what is below it or no number, and of infinity.
  const zero = select(c, c.op("equal", x, c.float(0)), c.float(-Infinity), c.float(Number.NaN))
  const finite = select(c, c.op("greater", x, c.float(0)), y, zero)
  return select(c, c.op("equal", x, c.float(Infinity)), x, finite)
}

/** log(1 + x), by Kahan's form. */
export const log1p: Function = (c, x) => {
  const one = c.op("add", x, c.float(1))
  const rounded = c.op("sub", one, c.float(1))
  const y = log(c, one)
  const corrected = c.op("mul", y, c.op("div", x, rounded))
  const near = select(c, c.op("equal", rounded, c.float(0)), x, corrected)
  // Where one is nothing beside x, infinity included, there is nothing to correct; −1 gives −∞.
  const plain = c.op("or", c.op("equal", one, x), c.op("equal", one, c.float(0)))
  return select(c, plain, y, near)
}

const smallTanh = [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]

/** The hyperbolic tangent (after Moshier's Cephes). */
export const tanh: Function = (c, x) => {
  const size = c.op("abs", x)
  const square = c.op("mul", x, x)
  const near = c.op("add", c.op("mul", c.op("mul", polynomial(c, square, smallTanh), square), x), x)
  const raised = expBesideOne(c, c.op("add", size, size))
  const far = c.op("sub", c.float(1), c.op("div", c.float(2), c.op("add", raised, c.float(1))))
  const signed = c.op("or", far, c.op("and", x, c.int(-(2 ** 31))))
  // Also x itself, where that is no number.
  return select(c, c.op("greaterEqual", size, c.float(0.625)), signed, near)
}

/** eˣ − 1 = tanh(x/2)(eˣ + 1), which loses no small x. */
export const expm1: Function = (c, x) =>
  c.op("mul", tanh(c, c.op("mul", x, c.float(0.5))), c.op("add", exp(c, x), c.float(1)))

/** 1 / (1 + e⁻ˣ). */
export const sigmoid: Function = (c, x) =>
  c.op("div", c.float(1), c.op("add", expBesideOne(c, c.op("neg", x)), c.float(1)))

/** log(1 + eˣ). */
export const softplus: Function = (c, x) =>
  c.op("add", c.op("higher", x, c.float(0)), log1p(c, exp(c, c.op("neg", c.op("abs", x)))))

/** The error function: a polynomial up to 0.92, one minus the exponential of one beyond. */
export const erf: Function = (c, x) => {
  const size = c.op("abs", x)
  const square = c.op("mul", x, x)
  const small = polynomial(
    c,
    square,
    [-5.99104969e-4, 4.99339588e-3, -2.67667342e-2, 1.12818025e-1, -3.76124859e-1, 1.28379151e-1]
  )
  const near = c.op("add", x, c.op("mul", x, small))
  const clipped = c.op("lower", size, c.float(3.925))
  const large = polynomial(
    c,
    clipped,
    [1.7294893e-5, -3.8320868e-4, 3.88393435e-3, -2.42545605e-2, 1.06777847e-1, 6.34846687e-1, 1.28717512e-1]
  )
  const raised = exp(c, c.op("neg", c.op("add", clipped, c.op("mul", clipped, large))))
  const far = c.op("or", c.op("sub", c.float(1), raised), c.op("and", x, c.int(-(2 ** 31))))
  return select(c, c.op("greaterEqual", size, c.float(0.921875)), far, near)
}
