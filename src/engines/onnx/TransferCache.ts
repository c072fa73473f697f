/** What batches send to the worker: an array that is in them twice goes once, and one that comes again and again stays there. */
import { bits, type Numbers } from "../Packed.ts"
import type { Load, Loan } from "./Protocol.ts"

/** Bytes: smaller arrays are as well sent again, larger ones would take memory twice that nobody expects to be taken. */
const [smallest, largest, most] = [2 ** 10, 2 ** 20, 2 ** 25]

/** Where the arrays of each call lie (see `Protocol.Call`), and what is sent. */
export interface Packing extends Load {
  readonly brought: ReadonlyArray<ReadonlyArray<number>>
}

const bytesOf = (array: Numbers): Buffer => Buffer.from(array.buffer, array.byteOffset, array.byteLength)

/** Lends arrays to one worker. A loan ends when the array is collected, or is found to have been written into. */
export const make = (): { readonly pack: (calls: ReadonlyArray<ReadonlyArray<Numbers>>) => Packing } => {
  const copies = new Map<number, Buffer>()
  const ids = new WeakMap<Numbers, number>()
  const seen = new WeakSet<Numbers>()
  let total = 0
  let next = 1
  let returned: Array<number> = []
  const end = (id: number): void => {
    const copy = copies.get(id)
    if (copy === undefined) return
    copies.delete(id)
    total -= copy.length
    returned.push(id)
  }
  const collected = new FinalizationRegistry<number>(end)

  const lend = (array: Numbers): number | undefined => {
    const bytes = array.byteLength
    if (bytes < smallest || bytes > largest) return undefined
    if (!seen.has(array)) {
      seen.add(array)
      return undefined
    }
    // One that was lent before and was written into since is not lent again.
    if (ids.has(array) || total + bytes > most) return undefined
    const id = next++
    copies.set(id, Buffer.from(bytesOf(array)))
    ids.set(array, id)
    total += bytes
    collected.register(array, id)
    return id
  }

  return {
    pack: (calls) => {
      const places = new Map<Numbers, number>()
      const fresh: Array<Numbers> = []
      const lent: Array<Loan> = []
      let words = 0
      const place = (array: Numbers): number => {
        const id = ids.get(array)
        const copy = id === undefined ? undefined : copies.get(id)
        if (copy !== undefined) {
          if (copy.equals(bytesOf(array))) return -id!
          end(id!)
        }
        const at = words
        const loan = lend(array)
        const { length } = array
        if (loan !== undefined)
          lent.push({ id: loan, dtype: array instanceof Float32Array ? "float32" : "int32", at, length })
        fresh.push(array)
        words += length
        return at
      }
      const brought = calls.map((arrays) =>
        arrays.map((array) => {
          const known = places.get(array)
          if (known !== undefined) return known
          const at = place(array)
          places.set(array, at)
          return at
        })
      )
      const packed = new Int32Array(words)
      let at = 0
      for (const array of fresh) {
        packed.set(bits(array), at)
        at += array.length
      }
      const load = { brought, packed: packed.buffer, lent, returned }
      returned = []
      return load
    }
  }
}
