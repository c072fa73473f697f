/** What settings of experiments are made of. */
import * as Schema from "effect/Schema"

export const positive = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
export const several = Schema.Int.check(Schema.isGreaterThanOrEqualTo(2))
export const whole = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
/** A learning rate, a strength, a distance. */
export const rate = Schema.Finite.check(Schema.isGreaterThan(0))
/** Part of a whole, or a probability. */
export const share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
