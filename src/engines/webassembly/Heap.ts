/** A memory that modules share: arrays in it come and go, and those of a length take one another's places. */
import * as Host from "./Host.ts"

const page = 2 ** 16
/** Bytes at either end that belong to nothing: a whole vector may be read from the last element of anything. */
const margin = 64

/** Words that an array takes: whole vectors. */
const roomOf = (words: number): number => Math.max(4, Math.ceil(words / 4) * 4)

export class Heap {
  readonly memory = Host.memory(16)
  readonly #spare = new Map<number, Array<number>>()
  #words = new Int32Array(this.memory.buffer)
  #next = margin
  #taken = 0

  /** The memory as words. A view from before something was allocated may be of no use. */
  get words(): Int32Array<ArrayBuffer> {
    return this.#words
  }

  /** Bytes that the memory has. */
  get bytes(): number {
    return this.#words.byteLength
  }

  /** The address of so many words, whose contents are left over from before. */
  allocate(words: number): number {
    const room = roomOf(words)
    this.#taken++
    const spare = this.#spare.get(room)?.pop()
    if (spare !== undefined) return spare
    const address = this.#next
    const end = address + 4 * room
    const missing = end + margin - this.#words.byteLength
    if (missing > 0) {
      // Half as much again, so that growing by little is rare.
      const wanted = Math.ceil(Math.max(missing, this.#words.byteLength / 2) / page)
      try {
        this.memory.grow(wanted)
      } catch {
        this.memory.grow(Math.ceil(missing / page))
      }
      this.#words = new Int32Array(this.memory.buffer)
    }
    this.#next = end
    return address
  }

  /** Gives an array up. */
  free(address: number, words: number): void {
    this.#taken--
    if (this.#taken === 0) {
      this.#spare.clear()
      this.#next = margin
      return
    }
    const room = roomOf(words)
    const spares = this.#spare.get(room)
    if (spares === undefined) this.#spare.set(room, [address])
    else spares.push(address)
  }

  /** An array of its own with these words. */
  write(array: Float32Array | Int32Array): number {
    const address = this.allocate(array.length)
    const words = array instanceof Int32Array ? array : new Int32Array(array.buffer, array.byteOffset, array.length)
    this.#words.set(words, address / 4)
    return address
  }

  /** An array of its own with the words of another. */
  copy(from: number, words: number): number {
    const address = this.allocate(words)
    this.#words.copyWithin(address / 4, from / 4, from / 4 + words)
    return address
  }
}
