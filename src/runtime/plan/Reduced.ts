/**
 * Derivatives of reduced gradients: of a level whose objective reads solutions that respond to it.
 *
 * The reduced gradient of level n is its sweep, `∂L − Σ (∂R_l)ᵀ u_l` over the levels l that follow n, with `H_l u_l` the cotangent
 * of each. It is the gradient of one function of n's variable and of what n and its followers read, so that its derivative along
 * a direction of that variable gives both the curvature (by the variable itself) and what is handed on (by the rest). Along such a
 * direction everything in the sweep moves: followers stay solutions, which is one solve each, and so do their adjoints, which is
 * one more (second-order adjoints; Hinze et al., "Optimization with PDE constraints", 2009, section 1.6.5).
 *
 * Every quantity is a polynomial in nilpotent directions: one for the direction itself, and one for each adjoint, along which the
 * gradient of the level below is differentiated, as ∂⟨∇L, u⟩ is. A mask is a set of these directions, and a coefficient what stands
 * at their product. Masks grow with the depth of responses within responses, which is not bounded here.
 *
 * What is evaluated stays open: tensors in a step, evaluations that are counted in a plan.
 */

/** What the expansion needs to know of a level. */
export interface Shape {
  readonly variable: string
  /** Variables of levels that its objective reads. */
  readonly reads: ReadonlyArray<string>
  /** Levels solved in its sweep, in that order. */
  readonly hops: ReadonlyArray<string>
  /** Levels that follow it, in the order in which they do. */
  readonly followers: ReadonlyArray<string>
  /** What its reduced gradient reads. */
  readonly reduced: ReadonlyArray<string>
}

/** A direction in some variables; in others it is zero. */
export type Direction<V> = ReadonlyMap<string, V>

/** What the expansion is made of. */
export interface Algebra<V> {
  readonly add: (a: V, b: V) => V
  readonly negate: (a: V) => V
  /** Partial gradients of a level's own objective, by variable, differentiated along each of the directions once. */
  readonly derivative: (level: string, along: ReadonlyArray<Direction<V>>) => Direction<V>
  /** The solution of a level's linear system. */
  readonly solve: (level: string, operator: (w: V) => V, right: V) => V
}

/** Reduced gradients of levels. Nothing stands for a zero that is known to be one. */
export interface Reduced<V> {
  /** The reduced gradient of a level by a variable. */
  readonly value: (level: string, by: string) => V | undefined
  /** Its derivative along a direction of the level's variable, by each of these variables. */
  readonly along: (level: string, direction: V, by: ReadonlyArray<string>) => ReadonlyArray<V | undefined>
}

/** Along the adjoint of `level` in the sweep of `of`; along a direction that is given where `of` is empty. */
interface Slot {
  readonly of: string
  readonly level: string
  readonly name: string
}
/** Directions, upper levels first. */
interface Mask {
  readonly slots: ReadonlyArray<Slot>
  readonly names: ReadonlySet<string>
  readonly key: string
}
/** Where a level's own coefficient is not yet known, and what it would be without it is asked. */
interface Hold {
  readonly mask: Mask
  readonly level: string
}
type Holds = ReadonlyArray<Hold>
interface Context<V> {
  readonly direction: V | undefined
  readonly known: Map<string, unknown>
}

const slotOf = (of: string, level: string): Slot => ({ of, level, name: JSON.stringify([of, level]) })
const maskOf = (slots: ReadonlyArray<Slot>): Mask => {
  const names = slots.map(({ name }) => name)
  return { slots, names: new Set(names), key: names.join() }
}
const nothing = maskOf([])
const within = (inner: Mask, outer: Mask): boolean => {
  if (inner.slots.length > outer.slots.length) return false
  for (const name of inner.names) if (!outer.names.has(name)) return false
  return true
}

/** All ways to divide a list into parts that are not empty. */
const partitions = <A>(list: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<ReadonlyArray<A>>> => {
  const [first, ...rest] = list
  if (first === undefined) return [[]]
  return partitions(rest).flatMap((parts) => [
    [[first], ...parts],
    ...parts.map((part, i) => parts.with(i, [first, ...part]))
  ])
}

/** Derivatives of reduced gradients over levels of these shapes. What several of them need alike is found once. */
export const make = <V>(shapes: ReadonlyMap<string, Shape>, algebra: Algebra<V>): Reduced<V> => {
  const owners = new Map([...shapes].map(([name, { variable }]) => [variable, name]))
  const ground: Context<V> = { direction: undefined, known: new Map() }

  const sum = (a: V | undefined, b: V | undefined): V | undefined =>
    a === undefined ? b : b === undefined ? a : algebra.add(a, b)
  const less = (a: V | undefined, b: V | undefined): V | undefined => (b === undefined ? a : sum(a, algebra.negate(b)))

  const once = <A>(what: string, at: Context<V>, mask: Mask, holds: Holds, find: (holds: Holds) => A): A => {
    const relevant = holds.filter((hold) => within(hold.mask, mask))
    const known = mask.slots[0]?.of === "" ? at.known : ground.known
    const key = [what, mask.key, ...relevant.map((hold) => `${hold.level}@${hold.mask.key}`)].join(";")
    if (!known.has(key)) known.set(key, find(relevant))
    return known.get(key) as A
  }

  const solved = (level: string, right: V | undefined): V | undefined =>
    right === undefined ? undefined : algebra.solve(level, (w) => curvature(level, w), right)

  /** What a variable moves by along a mask. */
  const coefficient = (at: Context<V>, variable: string, mask: Mask, holds: Holds): V | undefined => {
    const owner = owners.get(variable)
    const slot = mask.slots.at(-1)!
    if (owner === undefined || holds.some((h) => h.level === owner && h.mask.key === mask.key)) return undefined
    if (owner === slot.level) {
      if (slot.of === "") return mask.slots.length === 1 ? at.direction : undefined
      return adjoint(at, slot, maskOf(mask.slots.slice(0, -1)), holds)
    }
    return shapes.get(slot.level)!.followers.includes(owner) ? followed(at, owner, mask, holds) : undefined
  }

  /** The adjoint of a level in a sweep: H u = v at every order, what is known of u having been taken to the right. */
  const adjoint = (at: Context<V>, slot: Slot, mask: Mask, holds: Holds): V | undefined =>
    once(`u ${slot.name}`, at, mask, holds, (holds) => {
      const { variable } = shapes.get(slot.level)!
      const cotangent = total(at, slot.of, variable, mask, holds)
      if (mask.slots.length === 0) return solved(slot.level, cotangent)
      const whole = maskOf([...mask.slots, slot])
      const image = total(at, slot.level, variable, whole, [...holds, { mask: whole, level: slot.level }])
      return solved(slot.level, less(cotangent, image))
    })

  /** How a follower moves: so that its reduced gradient stays zero. */
  const followed = (at: Context<V>, level: string, mask: Mask, holds: Holds): V | undefined =>
    once(`x ${level}`, at, mask, holds, (holds) => {
      const { variable } = shapes.get(level)!
      const left = solved(level, total(at, level, variable, mask, [...holds, { mask, level }]))
      return left === undefined ? undefined : algebra.negate(left)
    })

  /** The reduced gradient of a level by a variable. */
  const total = (at: Context<V>, level: string, by: string, mask: Mask, holds: Holds): V | undefined =>
    once(`t ${level} ${by}`, at, mask, holds, (holds) => {
      let found = partial(at, level, mask, holds).get(by)
      for (const hop of shapes.get(level)!.hops) {
        if (!shapes.get(hop)!.reduced.includes(by)) continue
        found = less(found, total(at, hop, by, maskOf([...mask.slots, slotOf(level, hop)]), holds))
      }
      return found
    })

  /** Partial gradients of a level's own objective, along a mask: the chain rule over all partitions of it. */
  const partial = (at: Context<V>, level: string, mask: Mask, holds: Holds): Direction<V> =>
    once(`p ${level}`, at, mask, holds, (holds) => {
      const { reads, variable } = shapes.get(level)!
      const moved = (part: Mask): Direction<V> =>
        new Map(
          [variable, ...reads].flatMap((name) => {
            const found = coefficient(at, name, part, holds)
            return found === undefined ? [] : [[name, found] as const]
          })
        )
      const found = new Map<string, V>()
      for (const parts of partitions(mask.slots)) {
        const directions = parts.map((part) => moved(maskOf(part)))
        if (directions.some((direction) => direction.size === 0)) continue
        for (const [name, value] of algebra.derivative(level, directions)) found.set(name, sum(found.get(name), value)!)
      }
      return found
    })

  const derivative: Reduced<V>["along"] = (level, direction, by) => {
    const at: Context<V> = { direction, known: new Map() }
    return by.map((variable) => total(at, level, variable, maskOf([slotOf("", level)]), []))
  }
  const curvature = (level: string, w: V): V => {
    const [image] = derivative(level, w, [shapes.get(level)!.variable])
    // Its own objective is always differentiated along w.
    return image!
  }
  return { value: (level, by) => total(ground, level, by, nothing, []), along: derivative }
}
