/** Results that are there already: most batches are, and to run an effect for each would cost more than small ticks do. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** How an effect ends, where that is known without running it. */
export const exitOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(effect) ? (effect as Exit.Exit<A, E>) : undefined

/** What an effect succeeds with, where that is known without running it. */
export const valueOf = <A, E, R>(effect: Effect.Effect<A, E, R>): A | undefined => {
  const exit = exitOf(effect)
  return exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined
}

/** One effect after another for each item, as `Effect.forEach`, without running those whose results are present. */
export const forEach = <A, B extends {}, E, R>(
  items: ReadonlyArray<A>,
  f: (item: A) => Effect.Effect<B, E, R>
): Effect.Effect<ReadonlyArray<B>, E, R> => {
  const found: Array<B> = []
  for (let i = 0; i < items.length; i++) {
    let effect: Effect.Effect<B, E, R>
    try {
      effect = f(items[i]!)
    } catch (cause) {
      return Effect.die(cause)
    }
    const value = valueOf(effect)
    if (value === undefined) {
      const rest = Effect.forEach(items.slice(i + 1), f)
      return Effect.flatMap(effect, (first) => Effect.map(rest, (others) => [...found, first, ...others]))
    }
    found.push(value)
  }
  return Effect.succeed(found)
}
