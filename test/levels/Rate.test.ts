import "../../src/tensor/registerGradients.ts"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, it } from "vitest"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Rate from "../../src/levels/Rate.ts"

beforeAll(() => tf.setBackend("cpu"))

const read = (rate: Rate.Rate, clock: number): number =>
  tf.tidy(() => rate.at(tf.scalar(clock, "int32")).dataSync()[0]!)

const agrees = (rate: Rate.Rate, reference: (clock: number) => number, clocks: Iterable<number>): void => {
  for (const clock of clocks) {
    const expected = reference(clock)
    expect(Math.abs(read(rate, clock) - expected), `${rate.name} at ${clock}`).toBeLessThanOrEqual(
      1e-6 * Math.abs(expected) + 1e-7
    )
  }
}

const range = (end: number): ReadonlyArray<number> => Array.from({ length: end }, (_, i) => i)

// Plain float64 references, written with branches as their sources write them.
const linear = (peak: number, warmup: number, total: number) => (clock: number) =>
  clock < warmup ? (peak * clock) / warmup : peak * Math.max(0, (total - clock) / (total - warmup))
const cosine = (peak: number, warmup: number, total: number, floor: number) => (clock: number) => {
  if (clock < warmup) return (peak * clock) / warmup
  if (clock >= total) return floor
  return floor + ((peak - floor) * (1 + Math.cos((Math.PI * (clock - warmup)) / (total - warmup)))) / 2
}
const step = (rate: number, every: number, factor: number) => (clock: number) =>
  rate * factor ** Math.floor(clock / every)

describe("Rate against plain references", () => {
  it("constant", () => agrees(Rate.constant(0.3), () => 0.3, [0, 1, 1_000_000]))
  it("step", () => agrees(Rate.step({ rate: 0.1, every: 30, factor: 0.1 }), step(0.1, 30, 0.1), range(150)))
  it("step drops exactly on its multiples", () =>
    agrees(
      Rate.step({ rate: 1, every: 3, factor: 0.999 }),
      step(1, 3, 0.999),
      range(500).flatMap((k) => [3 * k, 3 * k + 2])
    ))
  it("step keeps count of many updates", () =>
    agrees(
      Rate.step({ rate: 1, every: 1000, factor: 0.9999 }),
      step(1, 1000, 0.9999),
      [3_999_999, 4_000_000, 4_000_001]
    ))
  it("linear", () => agrees(Rate.linear({ peak: 2, warmup: 10, total: 40 }), linear(2, 10, 40), range(60)))
  it("linear without warm-up", () => {
    const rate = Rate.linear({ peak: 2, warmup: 0, total: 4 })
    expect(range(6).map((clock) => read(rate, clock))).toEqual([2, 1.5, 1, 0.5, 0, 0])
  })
  it("cosine", () => {
    const rate = Rate.cosine({ peak: 2, warmup: 10, total: 40, floor: 0.25 })
    agrees(rate, cosine(2, 10, 40, 0.25), range(60))
  })
  it("cosine starts at its peak and ends at zero by default", () => {
    const rate = Rate.cosine({ peak: 0.5, total: 100 })
    expect([read(rate, 0), read(rate, 100), read(rate, 1000)]).toEqual([0.5, 0, 0])
  })
  it("any schedule, any clock", () => {
    for (let trial = 0; trial < 100; trial++) {
      const draw = Seed.uniform(Seed.fold(Seed.make(7), trial), 5)
      const peak = 10 * draw[0]!
      const warmup = Math.floor(50 * draw[1]!)
      const total = warmup + 1 + Math.floor(50 * draw[2]!)
      const floor = peak * draw[3]!
      const clocks = [0, warmup, total, Math.floor(120 * draw[4]!)]
      agrees(Rate.linear({ peak, warmup, total }), linear(peak, warmup, total), clocks)
      agrees(Rate.cosine({ peak, warmup, total, floor }), cosine(peak, warmup, total, floor), clocks)
    }
  })
})

describe("Rate", () => {
  it("takes a number for a constant and a schedule as it is", () => {
    const schedule = Rate.step({ rate: 1, every: 2, factor: 0.5 })
    expect(Rate.from(schedule)).toBe(schedule)
    expect(read(Rate.from(0.25), 9)).toBe(0.25)
  })
  it("is named by everything that it depends on", () => {
    expect(Rate.constant(2e-5).name).toBe("0.00002")
    expect(Rate.step({ factor: 0.1, every: 30, rate: 0.1 }).name).toBe("step(rate=0.1, every=30, factor=0.1)")
    expect(Rate.linear({ peak: 1e-4, warmup: 5, total: 9 }).name).toBe("linear(peak=0.0001, warmup=5, total=9)")
    expect(Rate.cosine({ peak: 1, total: 9 }).name).toBe("cosine(peak=1, warmup=0, total=9, floor=0)")
  })
  it("leaves nothing behind", () => {
    const before = tf.memory().numTensors
    for (const rate of [Rate.constant(1), Rate.linear({ peak: 1, warmup: 2, total: 5 })]) read(rate, 3)
    for (const rate of [Rate.cosine({ peak: 1, total: 5 }), Rate.step({ rate: 1, every: 2, factor: 0.5 })])
      read(rate, 3)
    expect(tf.memory().numTensors).toBe(before)
  })
  it.each<readonly [string, () => unknown, string]>([
    ["a negative rate", () => Rate.constant(-1), "rate is -1: give a finite number that is not negative"],
    ["a rate that is not finite", () => Rate.from(NaN), "rate is NaN"],
    ["every 0", () => Rate.step({ rate: 1, every: 0, factor: 0.1 }), "every is 0: give a whole number of updates"],
    ["factor 0", () => Rate.step({ rate: 1, every: 1, factor: 0 }), "factor is 0: give a finite number greater than 0"],
    ["half an update", () => Rate.linear({ peak: 1, warmup: 0.5, total: 5 }), "warmup is 0.5: give a whole number"],
    ["no decay", () => Rate.linear({ peak: 1, warmup: 5, total: 5 }), "needs total to be greater than warmup"],
    ["an infinite peak", () => Rate.cosine({ peak: Infinity, total: 5 }), "peak is Infinity"],
    ["a floor above the peak", () => Rate.cosine({ peak: 1, total: 5, floor: 2 }), "the floor cannot be above the peak"]
  ])("refuses %s", (_, make, sentence) => {
    expect(make).toThrow(RangeError)
    expect(make).toThrow(sentence)
  })
})
