/** Operations on each element by itself, four elements at a time. Truth values are words of zeros or of ones. */
import type { Dtype, Node } from "../graph/Graph.ts"
import type { Code, Vector, VectorOp, Word } from "./Code.ts"
import * as Functions from "./Functions.ts"

/** What an operation is emitted with. */
interface Place {
  readonly c: Code
  readonly node: Node
  /** Elements that count, from the first: what is beyond must not end the program. */
  readonly lanes: number
}

type Emit = (place: Place, operands: ReadonlyArray<Vector>) => Vector

/** Functions of float64 that modules import from JavaScript, whose `Math` has the same bits on every machine. */
export const imported: { readonly [name: string]: (x: number, y: number) => number } = {
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  pow: Math.pow,
  rest: (x, y) => x % y,
  /** Of whole numbers, modulo 2³² as their products are. */
  wholePow: (x, y) => Math.pow(x, y) | 0
}
const names = Object.keys(imported)
/** How many numbers an imported function takes. */
export const arity = (name: string): 1 | 2 => (["pow", "rest", "wholePow"].includes(name) ? 2 : 1)

const dtypeOf = ({ inputs }: Node): Dtype => inputs.at(-1)!.dtype
const floats = (node: Node): boolean => dtypeOf(node) === "float32"

/** One instruction for float32, and one for whole numbers: none leaves them as they are. */
const either =
  (float: VectorOp, word?: VectorOp): Emit =>
  ({ c, node }, operands) =>
    floats(node) ? c.op(float, ...operands) : word === undefined ? operands[0]! : c.op(word, ...operands)

const called =
  (name: string): Emit =>
  ({ c, lanes }, operands) =>
    c.called(names.indexOf(name), operands, lanes)

const select = (c: Code, condition: Vector, a: Vector, b: Vector): Vector => c.op("bitselect", a, b, condition)

/** Whole numbers, one by one. */
const byLane =
  (f: (c: Code, a: Word, b: Word, fault: number) => Word): Emit =>
  ({ c, lanes, node }, [a, b]) => {
    let result = a!
    for (let lane = 0; lane < lanes; lane++)
      result = c.withLane(result, lane, f(c, c.lane(a!, lane), c.lane(b!, lane), node.id + 1))
    return result
  }

/** The remainder with the divisor's sign. */
const remainder = (c: Code, a: Word, b: Word, fault: number): Word => {
  c.refuseZero(b, fault)
  const rest = c.words("rest", a, b)
  const across = c.words("xor", rest, b)
  const moved = c.choose(rest, c.choose(c.words("and", across, { value: -(2 ** 31) }), b, c.word(0)), c.word(0))
  return c.words("add", rest, moved)
}

/** The quotient towards zero. The one that is out of range is modulo 2³², where the instruction would end the program. */
const quotient = (c: Code, a: Word, b: Word): Word => {
  const other = c.words("add", b, { value: 1 })
  return c.choose(other, c.words("div", a, c.choose(other, b, c.word(1))), c.words("sub", c.word(0), a))
}

const wholeDiv = byLane((c, a, b, fault) => {
  c.refuseZero(b, fault)
  return quotient(c, a, b)
})
/** The quotient towards −∞: one less than that towards zero where something is left and the signs differ. */
const wholeFloorDiv = byLane((c, a, b, fault) => {
  c.refuseZero(b, fault)
  const rest = c.words("rest", a, b)
  const across = c.words("and", c.words("xor", rest, b), { value: -(2 ** 31) })
  const below = c.choose(rest, c.choose(across, c.word(-1), c.word(0)), c.word(0))
  return c.words("add", quotient(c, a, b), below)
})
const wholeMod = byLane(remainder)

const floatMod: Emit = (place, [a, b]) => {
  const { c } = place
  const rest = called("rest")(place, [a!, b!])
  const zero = c.float(0)
  const alike = c.op("equalWord", c.op("less", a!, zero), c.op("less", b!, zero))
  const done = c.op("or", alike, c.op("equal", rest, zero))
  return select(c, done, rest, c.op("add", rest, b!))
}

/** Truth values in the order of numbers: false before true. */
const comparing =
  (float: VectorOp, word: VectorOp): Emit =>
  ({ c, node }, operands) =>
    dtypeOf(node) === "bool"
      ? c.op(word, ...operands.map((x) => c.op("negWord", x)))
      : c.op(floats(node) ? float : word, ...operands)

const wholePow: Emit = ({ c, lanes }, operands) => c.calledWhole(names.indexOf("wholePow"), operands, lanes)

const cast: Emit = ({ c, node }, [x]) => {
  const from = dtypeOf(node)
  if (node.dtype === "bool")
    return from === "float32" ? c.op("notEqual", x!, c.float(0)) : c.op("notEqualWord", x!, c.int(0))
  if (from === "bool") return c.op("and", x!, node.dtype === "float32" ? c.float(1) : c.int(1))
  if (node.dtype === "float32") return c.op("converted", x!)
  // What no whole number of 32 bits stands for is zero.
  return c.op("and", c.op("truncated", x!), c.op("less", c.op("abs", x!), c.float(2 ** 31)))
}

const ofOne =
  (f: (c: Code, x: Vector) => Vector): Emit =>
  ({ c }, [x]) =>
    f(c, x!)

const fillOf = (node: Node, index: number): number | undefined => {
  const { values } = node.inputs[index]!
  return values?.length === 1 ? values[0] : undefined
}

/** The greater of two, none where one of them is none. One instruction does where the second is known to be a number. */
const extreme =
  (plain: VectorOp, quick: VectorOp, word: VectorOp): Emit =>
  ({ c, node }, operands) => {
    const known = fillOf(node, 1)
    return c.op(!floats(node) ? word : known !== undefined && !Number.isNaN(known) ? quick : plain, ...operands)
  }

/** What each operation on elements is. */
export const elementwise: { readonly [op: string]: Emit } = {
  ...Object.fromEntries(names.filter((name) => arity(name) === 1).map((name) => [name, called(name)])),
  neg: either("neg", "negWord"),
  abs: either("abs", "absWord"),
  floor: either("floor"),
  ceil: either("ceil"),
  round: either("nearest"),
  sqrt: either("sqrt"),
  sign: ({ c, node }, [x]) => {
    if (!floats(node)) return c.op("minWord", c.op("maxWord", x!, c.int(-1)), c.int(1))
    const one = c.op("or", c.float(1), c.op("and", x!, c.int(-(2 ** 31))))
    return select(c, c.op("greater", c.op("abs", x!), c.float(0)), one, x!)
  },
  exp: ofOne(Functions.exp),
  expm1: ofOne(Functions.expm1),
  log: ofOne(Functions.log),
  log1p: ofOne(Functions.log1p),
  sigmoid: ofOne(Functions.sigmoid),
  softplus: ofOne(Functions.softplus),
  tanh: ofOne(Functions.tanh),
  erf: ofOne(Functions.erf),
  reciprocal: ofOne((c, x) => c.op("div", c.float(1), x)),
  relu: ({ c, node }, [x]) => (floats(node) ? c.op("higher", x!, c.float(0)) : c.op("maxWord", x!, c.int(0))),
  isNan: ({ c, node }, [x]) => (floats(node) ? c.op("notEqual", x!, x!) : c.int(0)),
  isInf: ({ c, node }, [x]) => (floats(node) ? c.op("equal", c.op("abs", x!), c.float(Infinity)) : c.int(0)),
  not: ofOne((c, x) => c.op("not", x)),
  cast,
  copy: (_, [x]) => x!,

  add: either("add", "addWord"),
  sub: either("sub", "subWord"),
  mul: either("mul", "mulWord"),
  div: (place, operands) => (floats(place.node) ? place.c.op("div", ...operands) : wholeDiv(place, operands)),
  floorDiv: (place, operands) =>
    floats(place.node) ? place.c.op("floor", place.c.op("div", ...operands)) : wholeFloorDiv(place, operands),
  mod: (place, operands) => (floats(place.node) ? floatMod : wholeMod)(place, operands),
  pow: (place, operands) => (floats(place.node) ? called("pow") : wholePow)(place, operands),
  max: extreme("max", "higher", "maxWord"),
  min: extreme("min", "lower", "minWord"),
  and: ({ c }, operands) => c.op("and", ...operands),
  or: ({ c }, operands) => c.op("or", ...operands),
  equal: either("equal", "equalWord"),
  notEqual: either("notEqual", "notEqualWord"),
  less: comparing("less", "lessWord"),
  lessEqual: comparing("lessEqual", "lessEqualWord"),
  greater: comparing("greater", "greaterWord"),
  greaterEqual: comparing("greaterEqual", "greaterEqualWord"),
  select: ({ c }, [condition, a, b]) => select(c, condition!, a!, b!)
}

/** Whether an operation takes elements one by one, so that there had better be no others beside them. */
export const byElement = (node: Node): boolean =>
  node.op in imported || (["div", "floorDiv", "mod", "pow"].includes(node.op) && !floats(node)) || node.op === "mod"
