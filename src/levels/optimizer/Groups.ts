import * as tf from "@tensorflow/tfjs-core"
import { make, type Optimizer, type Stationarity } from "../../dsl/Optimizer.ts"
import * as Tree from "../../dsl/values/Tree.ts"
import * as Vector from "../../tensor/Vector.ts"
import { named } from "./Named.ts"

const source = (f: unknown): string => `${f}`.replace(/\s+/g, " ")
const pathsOf = (tree: Tree.Tree): string =>
  Tree.entries(tree)
    .map(([path]) => `'${path}'`)
    .join(", ")

/**
 * Updates only the leaves whose path `select` accepts (`encoder.layers.0.w`; the empty path where parameters are one
 * tensor); the others keep their value bit for bit, have no state, and respond to nothing. A wrapped `clipByGlobalNorm`
 * sees the selected only. Two masks in one pipe update what both accept: for rates by path see {@link groups}.
 *
 * The name prints the predicate's source text, which cannot show what the predicate closes over: prefer literals in it.
 * Throws a `RangeError` where it starts if no path is accepted.
 *
 * ```ts
 * const optimizer = Optimizer.sgd(1).pipe(Optimizer.masked((path) => path.startsWith("head")))
 * const params = { head: tf.scalar(1), body: tf.scalar(1) }
 * optimizer.update(params, {}, params, tf.scalar(0, "int32"))[0] // => { head: 0, body: 1 }
 * ```
 */
export const masked =
  (select: (path: string) => boolean) =>
  (self: Optimizer): Optimizer => {
    const inner = self.stationarity ?? {}
    const { moves = () => true } = inner
    return make({
      name: named("masked", {}, source(select), self.name),
      stationarity: { ...inner, moves: (path) => select(path) && moves(path) },
      ...(self.rates === undefined ? {} : { rates: self.rates }),
      taken: (gradients, params) => {
        const [own, mine] = [gradients, params].map((tree) => Tree.select(tree, select)) as [Tree.Tree, Tree.Tree]
        return self.taken === undefined ? own : self.taken(own, mine)
      },
      init: (params) => {
        const selected = Tree.select(params, select)
        if (Tree.leaves(selected).length === 0) {
          throw new RangeError(
            `Optimizer.masked: ${source(select)} accepts no path, so nothing would be trained: paths are ${pathsOf(params)}`
          )
        }
        return self.init(selected)
      },
      update: (gradients, state, params, clock) => {
        const [next, nextState] = self.update(Tree.select(gradients, select), state, Tree.select(params, select), clock)
        const updated = new Map(Tree.entries(next))
        // A clone is a new handle on the same numbers: whoever owns the old parameters may still dispose of them.
        return [Tree.map(params, (leaf, path) => updated.get(path) ?? tf.clone(leaf)), nextState]
      }
    })
  }

/**
 * An optimizer for each group of leaves: `of` names the group of a path, as the labels of Optax's `multi_transform` do. A
 * group with a rate of zero stands still.
 *
 * ```ts
 * Optimizer.groups({ encoder: Optimizer.adam(1e-5), head: Optimizer.adam(1e-3) }, (path) =>
 *   path.startsWith("encoder.") ? "encoder" : "head"
 * )
 * ```
 *
 * The name prints the source text of `of`. Throws a `RangeError` where it starts if a path has a group that is not there
 * or a group has no path.
 */
export const groups: <const K extends string>(
  optimizers: { readonly [group in K]: Optimizer },
  of: (path: string) => NoInfer<K>
) => Optimizer = (optimizers: { readonly [group: string]: Optimizer }, of: (path: string) => string) => {
  const names = Object.keys(optimizers)
  if (names.length === 0) throw new RangeError("Optimizer.groups: there is no group: give at least one optimizer")
  const member = (name: string) => (path: string) => of(path) === name
  const statements = names.map((name) => [name, optimizers[name]!.stationarity ?? {}] as const)
  const all = (
    tree: Tree.Tree,
    part: (stationarity: Stationarity) => ((x: Tree.Tree) => Tree.Tree) | undefined,
    other: (x: Tree.Tree) => Tree.Tree
  ) =>
    statements.reduce((sofar, [name, stationarity]) => {
      const own = Tree.select(tree, member(name))
      return Tree.leaves(own).length === 0 ? sofar : Tree.replace(sofar, (part(stationarity) ?? other)(own))
    }, tree)
  const some = (has: (stationarity: Stationarity) => unknown) => statements.some(([, s]) => has(s) !== undefined)
  const unsolvable = statements.find(([, s]) => s.unsolvable !== undefined && s.still !== true)?.[1].unsolvable
  const stationarity: Stationarity = {
    ...(some((s) => s.moves ?? s.still)
      ? { moves: (path) => moves(optimizers[of(path)]!.stationarity ?? {}, path) }
      : {}),
    ...(some((s) => s.free)
      ? {
          free: (x) =>
            all(
              x,
              (s) => s.free,
              (own) => Tree.map(own, (leaf) => tf.onesLike(leaf))
            )
        }
      : {}),
    ...(some((s) => s.added) ? { added: (x) => all(x, (s) => s.added, Vector.zeros) } : {}),
    ...(some((s) => s.seen)
      ? {
          seen: (g) =>
            all(
              g,
              (s) => s.seen,
              (own) => own
            )
        }
      : {}),
    ...(statements.every(([, s]) => s.still === true) ? { still: true } : {}),
    ...(unsolvable === undefined ? {} : { unsolvable })
  }
  return make({
    name: named("groups", {}, source(of), ...names.map((name) => `${name}: ${optimizers[name]!.name}`)),
    stationarity,
    rates: (clock) =>
      Object.fromEntries(
        names.flatMap((name) =>
          Object.entries(optimizers[name]!.rates?.(clock) ?? {}).map(([inner, rate]) => [
            inner === "" ? name : `${name}/${inner}`,
            rate
          ])
        )
      ),
    taken: (gradients, params) =>
      Object.fromEntries(
        names.map((name) => {
          const [own, mine] = [gradients, params].map((tree) => Tree.select(tree, member(name))) as [
            Tree.Tree,
            Tree.Tree
          ]
          return [name, optimizers[name]!.taken?.(own, mine) ?? own]
        })
      ),
    init: (params) => {
      for (const [path] of Tree.entries(params)) {
        if (names.includes(of(path))) continue
        throw new RangeError(
          `Optimizer.groups: path '${path}' is of group '${of(path)}': groups are ${names.join(", ")}`
        )
      }
      return Object.fromEntries(
        names.map((name) => {
          const own = Tree.select(params, member(name))
          if (Tree.leaves(own).length > 0) return [name, optimizers[name]!.init(own)]
          throw new RangeError(`Optimizer.groups: no path is of group '${name}': paths are ${pathsOf(params)}`)
        })
      )
    },
    update: (gradients, state, params, clock) => {
      const last = state as { readonly [group: string]: Tree.Tree }
      const stepped = names.map((name) => {
        const [own, mine] = [gradients, params].map((tree) => Tree.select(tree, member(name))) as [Tree.Tree, Tree.Tree]
        return [name, optimizers[name]!.update(own, last[name]!, mine, clock)] as const
      })
      return [
        stepped.reduce((sofar, [, [next]]) => Tree.replace(sofar, next), params),
        Object.fromEntries(stepped.map(([name, [, next]]) => [name, next]))
      ]
    }
  })
}

const moves = ({ moves, still }: Stationarity, path: string): boolean =>
  still !== true && (moves === undefined || moves(path))
