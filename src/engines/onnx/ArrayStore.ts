/** Arrays that a worker holds between runs. A step writes into arrays that earlier steps have left, never into its own inputs. */
import type { Numbers } from "../Packed.ts"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import { size } from "../../dsl/values/NdArray.ts"

export class ArrayStore {
  readonly #held = new Map<number, Numbers>()
  readonly #spare = new Map<string, Array<Numbers>>()
  #next = 1

  /** Arrays alive. */
  get live(): number {
    return this.#held.size
  }

  get(handle: number): Numbers {
    const array = this.#held.get(handle)
    if (array === undefined) throw new Error("a state is used after it was consumed by a step or released")
    return array
  }

  hold(array: Numbers): number {
    this.#held.set(this.#next, array)
    return this.#next++
  }

  /** An array to write into: its contents are left over from before. */
  take({ dtype, shape }: LeafType): Numbers {
    const length = size(shape)
    const spare = this.#spare.get(`${dtype} ${length}`)?.pop()
    return spare ?? (dtype === "float32" ? new Float32Array(length) : new Int32Array(length))
  }

  /** Gives an array up for reuse. */
  spare(array: Numbers): void {
    const key = `${array instanceof Float32Array ? "float32" : "int32"} ${array.length}`
    const spares = this.#spare.get(key)
    if (spares === undefined) this.#spare.set(key, [array])
    else spares.push(array)
  }

  /** Ends handles, however often each is named. Arrays that nobody will write into again are let go with the last one. */
  release(handles: Iterable<number>): void {
    for (const handle of new Set(handles)) {
      const array = this.#held.get(handle)
      if (array === undefined) continue
      this.#held.delete(handle)
      this.spare(array)
    }
    if (this.#held.size === 0) this.#spare.clear()
  }
}
