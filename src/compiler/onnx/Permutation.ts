/** Orders of axes as moves of one axis at a time. */

type Order = ReadonlyArray<number>

const moved = (rank: number, from: number, to: number): Order => {
  const order = Array.from({ length: rank }, (_, i) => i)
  order.splice(from, 1)
  return order.toSpliced(to, 0, from)
}

const all = (rank: number): ReadonlyArray<Order> =>
  Array.from({ length: rank * rank }, (_, i) => moved(rank, Math.floor(i / rank), i % rank))

const same = (a: Order, b: Order): boolean => a.every((axis, i) => axis === b[i])

/**
 * A permutation as one or two moves of a single axis, where it is that; else as it is. ONNX Runtime moves one axis in whole
 * blocks, ten times as fast as it permutes at large.
 */
export const factors = (perm: Order): ReadonlyArray<Order> => {
  const single = all(perm.length)
  if (single.some((order) => same(order, perm))) return [perm]
  const pairs = single.flatMap((first) => {
    const second = perm.map((axis) => first.indexOf(axis))
    return single.some((order) => same(order, second)) ? [[first, second] as const] : []
  })
  // A first move that leaves the last axis in place copies its rows whole.
  return pairs.find(([first]) => first.at(-1) === perm.length - 1) ?? pairs[0] ?? [perm]
}
