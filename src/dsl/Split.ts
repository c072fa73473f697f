import * as Effect from "effect/Effect"
import * as Concealed from "./Concealed.ts"

/** The parts of a split, by name. */
export type Part = "train" | "validation" | "test"

/** Marks what comes from one part, so that it cannot be taken for another's. */
interface From<P extends Part> {
  readonly "~part": () => P
}
/** What is trained on. */
export type Train<A> = A & From<"train">
/** What a run is selected by, and what a level above training reads. */
export type Validation<A> = A & From<"validation">
/** What a finished trial is scored on, once: nothing reads it before (`outcome.test`). */
export type Test<A> = Concealed.Concealed<A>

/** Data in three parts that cannot be mistaken for one another. */
export interface Split<A> {
  readonly train: Train<A>
  readonly validation: Validation<A>
  readonly test: Test<A>
}

/** The parts as they are given. */
interface Parts<A> {
  readonly train: A
  readonly validation: A
  readonly test: A
}

// What a part is, is said by its type alone: at run time it is the value itself.
const made = <A>({ test, train, validation }: Parts<A>): Split<A> => ({
  train: train as Train<A>,
  validation: validation as Validation<A>,
  test: Concealed.conceal(test)
})

/**
 * A split of items that a key tells apart: documents by their names, molecules by their rows. Throws a `RangeError` that
 * names an item which is in two parts, or twice in one.
 */
export const make = <A extends Iterable<unknown>>(
  parts: Parts<A>,
  key: (item: A extends Iterable<infer I> ? I : never) => string | number
): Split<A> => {
  const owner = new Map<string | number, Part>()
  for (const part of ["train", "validation", "test"] as const) {
    for (const item of parts[part]) {
      const name = key(item as Parameters<typeof key>[0])
      const other = owner.get(name)
      if (other !== undefined) {
        const where =
          other === part ? `is in the ${part} part twice` : `is in the ${other} part and in the ${part} part`
        throw new RangeError(`Split: '${name}' ${where}; give each item to one part, once`)
      }
      owner.set(name, part)
    }
  }
  return made(parts)
}

/** Parts that lie apart already: files or samplers of their own. */
export const apart: {
  <A>(parts: Parts<A>): Split<A>
  <A>(parts: Omit<Parts<A>, "test">): Omit<Split<A>, "test">
} = <A>(parts: Omit<Parts<A>, "test"> & Partial<Parts<A>>): Split<A> =>
  "test" in parts ? made(parts as Parts<A>) : (parts as never)

/** Makes something of each part; what is made of the test part is concealed as well. */
export const map = <A, B>(split: Split<A>, f: (value: A, part: Part) => B): Split<B> =>
  made({
    train: f(split.train, "train"),
    validation: f(split.validation, "validation"),
    test: f(Concealed.reveal(split.test), "test")
  })

/** Makes something of each part in turn; what is made of the test part is concealed as well. */
export const mapEffect = <A, B, E, R>(
  split: Split<A>,
  f: (value: A, part: Part) => Effect.Effect<B, E, R>
): Effect.Effect<Split<B>, E, R> =>
  Effect.gen(function* () {
    const train = yield* f(split.train, "train")
    const validation = yield* f(split.validation, "validation")
    return made({ train, validation, test: yield* f(Concealed.reveal(split.test), "test") })
  })

/** Counts something in each part, the test part included: rows, labels that can be scored. */
export const count = <A>(split: Split<A>, f: (value: A, part: Part) => number): Parts<number> => ({
  train: f(split.train, "train"),
  validation: f(split.validation, "validation"),
  test: f(Concealed.reveal(split.test), "test")
})

/** Makes something of what is trained on: its batches. */
export const ofTrain = <A, B>(part: Train<A>, f: (value: A) => B): Train<B> => f(part) as Train<B>

/** Makes something of what is validated on: its batches. */
export const ofValidation = <A, B>(part: Validation<A>, f: (value: A) => B): Validation<B> => f(part) as Validation<B>
