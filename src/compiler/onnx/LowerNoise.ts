/** The generator of `src/tensor/Noise.ts` in ONNX's operators on 32-bit words: the same bits as on the host. */
import { type Node, sizeOf } from "../graph/Graph.ts"
import type { Emitter } from "./Emitter.ts"

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const

/** Threefry-2x32-20 at the counters (i, salt), as float32 in [0, 1): two numbers a block. */
export const lower = (e: Emitter, inputs: ReadonlyArray<string>, node: Node): string => {
  const count = sizeOf(node)
  const blocks = Math.ceil(count / 2)
  const word = (value: number) => e.uints(Uint32Array.of(value))
  const add = (a: string, b: string) => e.emit("Add", [a, b])
  const xor = (a: string, b: string) => e.emit("BitwiseXor", [a, b])
  const shift = (x: string, by: number, direction: "LEFT" | "RIGHT") => e.emit("BitShift", [x, word(by)], { direction })
  const rotate = (x: string, by: number) => e.emit("BitwiseOr", [shift(x, by, "LEFT"), shift(x, 32 - by, "RIGHT")])

  const key = e.cast(inputs[0]!, "uint32")
  const part = (i: number) => e.emit("Slice", [key, e.longs([i]), e.longs([i + 1])])
  const [k0, k1] = [part(0), part(1)]
  const keys = [k0, k1, xor(xor(k0, k1), word(0x1bd11bda))] as const
  let x0 = add(e.uints(Uint32Array.from({ length: blocks }, (_, i) => i)), k0)
  let x1 = add(word(node.attrs["salt"] as number), k1)
  for (let round = 0; round < 20; round++) {
    x0 = add(x0, x1)
    x1 = xor(rotate(x1, rotations[round & 7]!), x0)
    if ((round & 3) === 3) {
      const s = (round >> 2) + 1
      x0 = add(x0, keys[s % 3]!)
      x1 = add(x1, add(keys[(s + 1) % 3]!, word(s)))
    }
  }
  const column = (x: string) =>
    e.reshape(e.emit("Mul", [e.cast(shift(x, 8, "RIGHT"), "float32"), e.float(2 ** -24)]), [blocks, 1])
  const numbers = e.reshape(e.emit("Concat", [column(x0), column(x1)], { axis: 1 }), [2 * blocks])
  const kept = count === 2 * blocks ? numbers : e.emit("Slice", [numbers, e.longs([0]), e.longs([count])])
  return e.reshape(kept, node.shape)
}
