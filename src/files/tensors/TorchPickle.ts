/**
 * Pickles of PyTorch's state dicts, as data: a reader of the opcodes and names that saving named tensors needs. Nothing is called or
 * imported; every other opcode or name is refused by name.
 */
import * as Result from "effect/Result"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"

/** A pickle that is no state dict of tensors: where, and what it asks for. */
export class TorchPickleError extends Schema.TaggedError<TorchPickleError>()("TorchPickleError", {
  offset: Schema.Int,
  reason: Schema.String
}) {
  override get [errorExitCode](): number {
    return ExitCode.refused
  }
  override get message(): string {
    return `pickle, byte ${this.offset}: ${this.reason}`
  }
}

/** Element types of PyTorch's storages that are read, with the bytes of an element. */
export const widths = { FloatStorage: 4, HalfStorage: 2, BFloat16Storage: 2, LongStorage: 8, IntStorage: 4 } as const
/** An element type. */
export type Elements = keyof typeof widths

/** A tensor of a state dict: which elements of which storage. */
export interface Described {
  readonly elements: Elements
  /** The storage's name in the archive, and how many elements it has. */
  readonly storage: string
  readonly count: number
  readonly offset: number
  readonly shape: ReadonlyArray<number>
  readonly strides: ReadonlyArray<number>
}

class Name {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}
class Tuple {
  readonly items: ReadonlyArray<Value>
  constructor(items: ReadonlyArray<Value>) {
    this.items = items
  }
}
class Storage {
  readonly elements: Elements
  readonly name: string
  readonly count: number
  constructor(elements: Elements, name: string, count: number) {
    this.elements = elements
    this.name = name
    this.count = count
  }
}
class Tensor {
  readonly described: Described
  constructor(described: Described) {
    this.described = described
  }
}
type Value = string | number | boolean | null | Name | Tuple | Storage | Tensor | Array<Value> | Map<Value, Value>

class Fault extends Error {}
const fault = (reason: string): never => {
  throw new Fault(reason)
}

const storages: ReadonlySet<string> = new Set(Object.keys(widths).map((name) => `torch.${name}`))
const callables: ReadonlySet<string> = new Set([
  "collections.OrderedDict",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter"
])

const named = (module: string, name: string): Name => {
  const text = `${module}.${name}`
  if (storages.has(text) || callables.has(text)) return new Name(text)
  return fault(
    `it asks for '${text}', and a state dict of tensors needs only ${[...callables].join(", ")} and storages of ` +
      `${Object.keys(widths).join(", ")}: convert to safetensors where you trust it`
  )
}

const wholes = (value: Value | undefined): ReadonlyArray<number> => {
  const items = value instanceof Tuple ? value.items : fault("sizes that are no tuple")
  return items.map((n) =>
    Number.isSafeInteger(n) && (n as number) >= 0 ? (n as number) : fault(`a size ${String(n)}`)
  )
}

const put = (map: Map<Value, Value>, pairs: ReadonlyArray<Value>): void => {
  if (pairs.length % 2 === 1) fault("a key without a value")
  for (let i = 0; i < pairs.length; i += 2) map.set(pairs[i]!, pairs[i + 1]!)
}

const called = (name: Value | undefined, given: Value | undefined): Value => {
  if (!(name instanceof Name) || !(given instanceof Tuple)) return fault("a call of what is no function")
  const [first, offset, shape, strides] = given.items
  switch (name.text) {
    case "collections.OrderedDict": {
      const map = new Map<Value, Value>()
      for (const pair of Array.isArray(first) ? first : []) if (pair instanceof Tuple) put(map, pair.items)
      return map
    }
    case "torch._utils._rebuild_parameter":
      return first instanceof Tensor ? first : fault("a parameter that is no tensor")
    case "torch._utils._rebuild_tensor_v2": {
      if (!(first instanceof Storage)) return fault("a tensor without a storage")
      const [from] = wholes(new Tuple([offset ?? null]))
      const { count, elements, name } = first
      const described = {
        elements,
        storage: name,
        count,
        offset: from!,
        shape: wholes(shape),
        strides: wholes(strides)
      }
      return new Tensor(described)
    }
    default:
      return fault(`a call of '${name.text}'`)
  }
}

/** What a persistent id stands for: `("storage", torch.FloatStorage, "0", "cpu", 12)`. */
const persistent = (id: Value | undefined): Storage => {
  const [kind, type, name, , count] = id instanceof Tuple ? id.items : []
  if (kind !== "storage" || !(type instanceof Name) || !storages.has(type.text) || typeof name !== "string") {
    return fault("a persistent id that is no storage")
  }
  const [size] = wholes(new Tuple([count ?? null]))
  return new Storage(type.text.slice("torch.".length) as Elements, name, size!)
}

class Machine {
  at = 0
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly stack: Array<Value> = []
  /** Where the stack was when a mark was set. */
  readonly marks: Array<number> = []
  readonly memo = new Map<number, Value>()
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }
  take(count: number): number {
    const from = this.at
    if (count > this.bytes.length - from) fault("it is cut short")
    this.at += count
    return from
  }
  u8 = (): number => this.bytes[this.take(1)]!
  u16 = (): number => this.view.getUint16(this.take(2), true)
  i32 = (): number => this.view.getInt32(this.take(4), true)
  u32 = (): number => this.view.getUint32(this.take(4), true)
  text(length: number): string {
    const from = this.take(length)
    return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes.subarray(from, from + length))
  }
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at)
    if (end === -1) return fault("it is cut short")
    const text = this.text(end - this.at)
    this.at = end + 1
    return text
  }
  pop(): Value {
    const value = this.stack.pop()
    return value === undefined ? fault("a stack without values") : value
  }
  last(): Value {
    return this.stack.at(-1) ?? fault("a stack without values")
  }
  marked(): ReadonlyArray<Value> {
    const from = this.marks.pop()
    return from === undefined ? fault("a stack without a mark") : this.stack.splice(from)
  }
  tuple(items: ReadonlyArray<Value>): void {
    this.stack.push(new Tuple(items))
  }
  map(): Map<Value, Value> {
    const map = this.last()
    return map instanceof Map ? map : fault("entries of what is no dictionary")
  }
  list(): Array<Value> {
    const list = this.last()
    return Array.isArray(list) ? list : fault("items of what is no list")
  }
  recall(index: number): void {
    this.stack.push(this.memo.get(index) ?? fault(`a value ${index} that was never stored`))
  }
  long(length: number): number {
    const from = this.take(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[from + i]!)
    const signed = length === 0 ? 0n : BigInt.asIntN(8 * length, value)
    return signed === BigInt(Number(signed)) && Number.isSafeInteger(Number(signed))
      ? Number(signed)
      : fault(`a whole number of ${length} bytes`)
  }
}

/** What each opcode does; a pickle with another is refused. */
const opcodes: { readonly [code: string]: (m: Machine) => void } = {
  "\x80": (m) => void m.u8(),
  "\x95": (m) => void m.take(8),
  "}": (m) => void m.stack.push(new Map()),
  "]": (m) => void m.stack.push([]),
  ")": (m) => m.tuple([]),
  "(": (m) => void m.marks.push(m.stack.length),
  N: (m) => void m.stack.push(null),
  "\x88": (m) => void m.stack.push(true),
  "\x89": (m) => void m.stack.push(false),
  K: (m) => void m.stack.push(m.u8()),
  M: (m) => void m.stack.push(m.u16()),
  J: (m) => void m.stack.push(m.i32()),
  "\x8a": (m) => void m.stack.push(m.long(m.u8())),
  G: (m) => void m.stack.push(m.view.getFloat64(m.take(8), false)),
  X: (m) => void m.stack.push(m.text(m.u32())),
  "\x8c": (m) => void m.stack.push(m.text(m.u8())),
  q: (m) => void m.memo.set(m.u8(), m.last()),
  r: (m) => void m.memo.set(m.u32(), m.last()),
  "\x94": (m) => void m.memo.set(m.memo.size, m.last()),
  h: (m) => m.recall(m.u8()),
  j: (m) => m.recall(m.u32()),
  t: (m) => m.tuple(m.marked()),
  "\x85": (m) => m.tuple([m.pop()]),
  "\x86": (m) => m.tuple([m.pop(), m.pop()].toReversed()),
  "\x87": (m) => m.tuple([m.pop(), m.pop(), m.pop()].toReversed()),
  s: (m) => {
    const [value, key] = [m.pop(), m.pop()]
    put(m.map(), [key, value])
  },
  u: (m) => {
    const pairs = m.marked()
    put(m.map(), pairs)
  },
  a: (m) => {
    const value = m.pop()
    m.list().push(value)
  },
  e: (m) => {
    const values = m.marked()
    m.list().push(...values)
  },
  c: (m) => {
    const module = m.line()
    m.stack.push(named(module, m.line()))
  },
  "\x93": (m) => {
    const [name, module] = [m.pop(), m.pop()]
    m.stack.push(named(String(module), String(name)))
  },
  R: (m) => {
    const given = m.pop()
    m.stack.push(called(m.pop(), given))
  },
  Q: (m) => void m.stack.push(persistent(m.pop())),
  // A state dict's own notes on versions (`_metadata`).
  b: (m) => {
    m.pop()
    m.map()
  }
}

/** The tensors that a state dict's pickle describes, by name. */
export const read = (bytes: Uint8Array): Result.Result<ReadonlyMap<string, Described>, TorchPickleError> => {
  const machine = new Machine(bytes)
  let from = 0
  try {
    for (;;) {
      from = machine.at
      const code = String.fromCharCode(machine.u8())
      if (code === ".") break
      const does =
        opcodes[code] ?? fault(`it has the opcode ${JSON.stringify(code)}, which a state dict of tensors does not need`)
      does(machine)
    }
    const dict = machine.pop()
    if (!(dict instanceof Map)) return fault("it holds no dictionary of tensors")
    const tensors = new Map<string, Described>()
    for (const [name, value] of dict) {
      if (typeof name !== "string" || !(value instanceof Tensor)) {
        return fault(`${JSON.stringify(String(name))} is no tensor: save a model's state_dict() alone`)
      }
      tensors.set(name, value.described)
    }
    return Result.succeed(tensors)
  } catch (error) {
    if (!(error instanceof Fault || error instanceof TypeError)) throw error
    const reason = error instanceof Fault ? error.message : "it has text that is not UTF-8"
    return Result.fail(new TorchPickleError({ offset: from, reason }))
  }
}
