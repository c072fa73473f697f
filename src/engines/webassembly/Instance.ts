/** A program in a heap, ready to run. */
import { imported } from "../../compiler/webassembly/Elementwise.ts"
import { address, type Program } from "../../compiler/webassembly/Lower.ts"
import * as Host from "./Host.ts"
import type { Heap } from "./Heap.ts"

interface Exports {
  readonly run: (addresses: number) => void
  readonly fault: { value: number }
}

/** An array in the heap. */
export interface Place {
  readonly address: number
}

export class Instance {
  readonly program: Program
  readonly #heap: Heap
  readonly #exports: Exports
  readonly #constants: number
  /** The list of addresses that it takes. */
  readonly #addresses: number
  #ended = false

  constructor(program: Program, heap: Heap) {
    this.program = program
    this.#heap = heap
    const host = { memory: heap.memory, ...imported }
    this.#exports = Host.instantiate(program.module, { host }) as unknown as Exports
    this.#constants = heap.write(program.constants)
    this.#addresses = heap.allocate(this.#places)
  }

  get #places(): number {
    return address.first + this.program.inputs.length + this.program.outputs.length
  }

  /** Runs the program; gives what went wrong, if something did. */
  run(scratch: number, list: number, inputs: ReadonlyArray<Place>, outputs: ReadonlyArray<Place>): string | undefined {
    if (this.#ended) return "a step is run after the scope that it was compiled in has ended"
    const { words } = this.#heap
    const at = this.#addresses / 4
    words[at + address.scratch] = scratch
    words[at + address.constants] = this.#constants
    words[at + address.list] = list
    const first = at + address.first
    for (let i = 0; i < inputs.length; i++) words[first + i] = inputs[i]!.address
    for (let i = 0; i < outputs.length; i++) words[first + inputs.length + i] = outputs[i]!.address
    try {
      this.#exports.run(this.#addresses)
      return undefined
    } catch (cause) {
      const { fault } = this.#exports
      const reason = this.program.faults.get(fault.value)
      fault.value = 0
      return reason ?? (cause instanceof Error ? cause.message : String(cause))
    }
  }

  /** Gives up its memory. */
  end(): void {
    this.#ended = true
    this.#heap.free(this.#constants, this.program.constants.length)
    this.#heap.free(this.#addresses, this.#places)
  }
}
