/** The generator of `src/tensor/Noise.ts` on words of 32 bits: the same bits as on the host. */
import { type Node, sizeOf } from "../graph/Graph.ts"
import type { Emitter, Value } from "./Emitter.ts"

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const

/** Threefry-2x32-20 at the counters (i, salt), as float32 in [0, 1): two numbers a block. */
export const lower = (e: Emitter, [keys]: ReadonlyArray<Value>, node: Node): Value => {
  const count = sizeOf(node)
  const shape = [Math.ceil(count / 2)]
  const word = (value: number) => e.full(value, "ui32", shape)
  const add = (a: Value, b: Value) => e.same("add", a, b)
  const xor = (a: Value, b: Value) => e.same("xor", a, b)
  const rotate = (x: Value, by: number) =>
    e.same("or", e.same("shift_left", x, word(by)), e.same("shift_right_logical", x, word(32 - by)))

  const key = e.convert(keys!, "ui32")
  const part = (i: number) => e.broadcast(e.reshape(e.slice(key, [i], [i + 1], [1]), []), shape)
  const [k0, k1] = [part(0), part(1)]
  const schedule = [k0, k1, xor(xor(k0, k1), word(0x1bd11bda))] as const
  let x0 = add(e.iota(0, "ui32", shape), k0)
  let x1 = add(word((node.attrs["salt"] as number) >>> 0), k1)
  for (let round = 0; round < 20; round++) {
    x0 = add(x0, x1)
    x1 = xor(rotate(x1, rotations[round & 7]!), x0)
    if ((round & 3) === 3) {
      const s = (round >> 2) + 1
      x0 = add(x0, schedule[s % 3]!)
      x1 = add(x1, add(schedule[(s + 1) % 3]!, word(s)))
    }
  }
  const column = (x: Value) => {
    const high = e.convert(e.same("shift_right_logical", x, word(8)), "f32")
    return e.reshape(e.same("multiply", high, e.full(2 ** -24, "f32", shape)), [shape[0]!, 1])
  }
  const numbers = e.reshape(e.concatenate([column(x0), column(x1)], 1), [2 * shape[0]!])
  const enough = count === 2 * shape[0]! ? numbers : e.slice(numbers, [0], [count], [1])
  return e.reshape(enough, node.shape)
}
