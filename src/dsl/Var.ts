import * as Seed from "./values/Seed.ts"
import type { Host, HostTree, Live, Tree } from "./values/Tree.ts"

/** A named tree of tensors with its initialiser: what a level owns. */
export interface Var<out Name extends string, out T extends Tree> {
  readonly name: Name
  /** Initial value: a pure function of the seed that all variables of a run share. */
  readonly init: (root: Seed.Seed) => HostTree
  /** Names of a vector's elements, in order, where it has any: tradeoff weights by objective. */
  readonly elements?: ReadonlyArray<string>
  readonly "~T": () => T
}

export declare namespace Var {
  /** Any variable. */
  export type Any = Var<string, Tree>
  /** The name of a variable. */
  export type Name<V> = V extends { readonly name: infer N extends string } ? N : never
  /** Names known to the compiler: a name computed at run time is left to the plan. */
  export type Known<Name> = Name extends string ? ({} extends { readonly [K in Name]: 1 } ? never : Name) : never
  /** Variables as a record from name to value: what an objective reads. */
  export type Named<V extends Any> = {
    readonly [K in V["name"]]: Extract<V, { readonly name: K }> extends Var<K, infer T> ? T : never
  }
}

/**
 * A variable; its tensor type follows from what `init` returns.
 *
 * `init` gets a seed of the variable's own, and the one all variables share: with it a variable can start where another
 * does, as a finetuned copy starts at the pretrained encoder (`initial(theta, root).encoder`).
 *
 * ```ts
 * const w = Var.make("w", Init.zeros([3]))
 * const copy = Var.make("copy", (_, root) => Var.initial(w, root))
 * Var.initial(copy, Seed.make(0)).data // => [0, 0, 0]
 * ```
 */
export const make = <const Name extends string, H extends HostTree>(
  name: Name,
  init: (seed: Seed.Seed, root: Seed.Seed) => H
): Var<Name, Extract<Live<H>, Tree>> => {
  // Drawn once for each seed: a variable that starts where this one does asks for the same values again.
  const drawn = new WeakMap<Seed.Seed, H>()
  const draw = (root: Seed.Seed): H => {
    const known = drawn.get(root)
    if (known !== undefined) return known
    const value = init(Seed.fold(root, name), root)
    drawn.set(root, value)
    return value
  }
  return { name, init: draw } as never
}

/** The initial value of a variable, for one that starts where it does. */
export const initial = <T extends Tree>(variable: Var<string, T>, root: Seed.Seed): Host<T> =>
  variable.init(root) as Host<T>
