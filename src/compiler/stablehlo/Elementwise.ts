/** Operations on each element by itself, in StableHLO. */
import { type Emitter, isFloat, typeOf, type Value } from "./Emitter.ts"

type OfOne = (e: Emitter, x: Value) => Value
type OfTwo = (e: Emitter, a: Value, b: Value) => Value

const named =
  (op: string): OfOne =>
  (e, x) =>
    e.same(op, x)

const like = (e: Emitter, x: Value, number: number): Value => e.full(number, x.element, x.shape)

/** An operation of the dialect that XLA expands by itself. */
const expanded =
  (op: string): OfOne =>
  (e, x) =>
    e.emit(x.element, x.shape, `chlo.${op} ${x.name} : ${typeOf(x)} -> ${typeOf(x)}`)

/** What each unary operation of graphs is. */
export const unaries: { readonly [op: string]: OfOne } = {
  neg: named("negate"),
  abs: named("abs"),
  sign: named("sign"),
  floor: (e, x) => (isFloat(x.element) ? e.same("floor", x) : x),
  ceil: (e, x) => (isFloat(x.element) ? e.same("ceil", x) : x),
  round: (e, x) => (isFloat(x.element) ? e.same("round_nearest_even", x) : x),
  exp: named("exponential"),
  expm1: named("exponential_minus_one"),
  log: named("log"),
  log1p: named("log_plus_one"),
  sqrt: named("sqrt"),
  reciprocal: (e, x) => e.same("divide", like(e, x, 1), x),
  sigmoid: named("logistic"),
  softplus: (e, x) => {
    const small = e.same("log_plus_one", e.same("exponential", e.same("negate", e.same("abs", x))))
    return e.same("add", e.same("maximum", x, like(e, x, 0)), small)
  },
  relu: (e, x) => e.same("maximum", x, like(e, x, 0)),
  tanh: named("tanh"),
  sin: named("sine"),
  cos: named("cosine"),
  tan: named("tan"),
  asin: expanded("asin"),
  acos: expanded("acos"),
  atan: expanded("atan"),
  sinh: expanded("sinh"),
  cosh: expanded("cosh"),
  asinh: expanded("asinh"),
  acosh: expanded("acosh"),
  atanh: expanded("atanh"),
  erf: expanded("erf"),
  not: named("not"),
  isNan: (e, x) => e.compare("NE", x, x),
  isInf: (e, x) => e.compare("EQ", e.same("abs", x), like(e, x, Infinity))
}

const same =
  (op: string): OfTwo =>
  (e, a, b) =>
    e.same(op, a, b)

const comparing =
  (direction: "EQ" | "NE" | "LT" | "LE" | "GT" | "GE"): OfTwo =>
  (e, a, b) =>
    e.compare(direction, a, b)

/** The quotient towards −∞. Whole numbers divide towards zero in StableHLO. */
const floorDiv: OfTwo = (e, a, b) => {
  if (isFloat(a.element)) return e.same("floor", e.same("divide", a, b))
  const [quotient, remainder] = [e.same("divide", a, b), e.same("remainder", a, b)]
  const zero = like(e, a, 0)
  const across = e.compare("NE", e.compare("LT", remainder, zero), e.compare("LT", b, zero))
  const below = e.same("and", e.compare("NE", remainder, zero), across)
  return e.select(below, e.same("subtract", quotient, like(e, a, 1)), quotient)
}

/** The remainder with the divisor's sign. */
const mod: OfTwo = (e, a, b) => {
  const remainder = e.same("remainder", a, b)
  const zero = like(e, a, 0)
  const across = e.compare("NE", e.compare("LT", remainder, zero), e.compare("LT", b, zero))
  const moved = e.same("and", e.compare("NE", remainder, zero), across)
  return e.select(moved, e.same("add", remainder, b), remainder)
}

/** What each operation of graphs on two numbers is. */
export const binaries: { readonly [op: string]: OfTwo } = {
  add: same("add"),
  sub: same("subtract"),
  mul: same("multiply"),
  div: same("divide"),
  floorDiv,
  mod,
  pow: same("power"),
  max: same("maximum"),
  min: same("minimum"),
  and: same("and"),
  or: same("or"),
  equal: comparing("EQ"),
  notEqual: comparing("NE"),
  greater: comparing("GT"),
  greaterEqual: comparing("GE"),
  less: comparing("LT"),
  lessEqual: comparing("LE")
}
