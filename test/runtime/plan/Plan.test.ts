import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Seed from "../../../src/dsl/values/Seed.ts"
import * as Moment from "../../../src/runtime/plan/Moment.ts"
import * as Plan from "../../../src/runtime/plan/Plan.ts"
import { mermaid, text } from "../../../src/runtime/plan/PlanText.ts"
import type { Wiring } from "../../../src/runtime/plan/Wiring.ts"
import { stream } from "../../../src/testing/Draws.ts"
import { detached, implicit, level, random } from "../../../src/testing/Wirings.ts"
import { defects } from "../../support/wiringOracle.ts"

const wired = (levels: Wiring["levels"], top = levels.at(-1)!.name): Wiring => ({
  levels,
  fixed: [],
  top,
  simultaneous: false
})
const accepted = (wiring: Wiring): Plan.Plan => Result.getOrThrow(Plan.fromWiring(wiring))

describe("Plan", () => {
  it("accepts exactly the well-wired among thousands of random wirings and names a defect of the others", () => {
    const seen = new Map<string, number>()
    for (let i = 0; i < 6000; i++) {
      const wiring = random(Seed.fold(Seed.make(11), i))
      const expected = defects(wiring)
      const plan = Plan.fromWiring(wiring)
      if (Result.isSuccess(plan)) {
        assert.strictEqual(expected.size, 0, `wiring ${i} has ${[...expected]} and was accepted`)
      } else {
        assert.isTrue(expected.has(plan.failure.kind), `wiring ${i}: said ${plan.failure.kind}, has ${[...expected]}`)
        assert.include(plan.failure.message, plan.failure.level)
      }
      const kind = Result.isSuccess(plan) ? "accepted" : plan.failure.kind
      seen.set(kind, (seen.get(kind) ?? 0) + 1)
    }
    // The generator reaches every verdict, so that none of the above is vacuous.
    for (const kind of [
      "accepted",
      "DuplicateLevel",
      "DuplicateVariable",
      "UnknownLevel",
      "UnknownVariable",
      "Cycle",
      "OwnGiven",
      "Buffers",
      "ReadTwice",
      "GivenNotAbove",
      "FixedAndMinimized",
      "Schedule",
      "NoEstimator",
      "ResponseOfResponse",
      "Unreachable"
    ]) {
      assert.isAbove(seen.get(kind) ?? 0, 3, `${kind}: ${JSON.stringify(Object.fromEntries(seen))}`)
    }
  })

  it("does not depend on the order of declaration", () => {
    let compared = 0
    for (let i = 0; i < 2000; i++) {
      const wiring = random(Seed.fold(Seed.make(12), i))
      const plan = Plan.fromWiring(wiring)
      if (Result.isFailure(plan)) continue
      const shuffled = wiring.levels
        .toReversed()
        .map((l) => ({ ...l, upstream: l.upstream.toReversed(), given: l.given.toReversed() }))
      const sorted = (p: Plan.Plan) => ({
        ...p,
        levels: p.levels.map((l) => ({ ...l, upstream: l.upstream.toSorted(), given: l.given.toSorted() })),
        sweeps: p.sweeps.map((s) => ({ ...s, reads: s.reads.toSorted() }))
      })
      assert.deepStrictEqual(sorted(accepted({ ...wiring, levels: shuffled })), sorted(plan.success))
      compared++
    }
    assert.isAbove(compared, 300)
  })

  it("is plain data: a round trip through JSON keeps it", () => {
    const plan = accepted(tapweight)
    const json = Schema.encodeSync(Plan.Plan)(plan)
    assert.deepStrictEqual(Schema.decodeUnknownSync(Plan.Plan)(JSON.parse(JSON.stringify(json))), plan)
  })

  it("gives closed-form turns and update counts equal to simulated ready flags", () => {
    for (let i = 0; i < 400; i++) {
      const draw = stream(Seed.fold(Seed.make(13), i))
      const n = 2 + draw.below(4)
      const levels = Array.from({ length: n }, (_, k) =>
        level(`l${k}`, {
          upstream: Array.from({ length: k }, (_v, j) => `l${j}`).filter((_v, j) => j === k - 1 || draw.chance(0.5)),
          unroll: 1 + draw.below(4),
          repeat: 1 + draw.below(3),
          warmup: draw.chance(0.3) ? draw.below(12) : 0,
          freeze: draw.chance(0.2) ? draw.below(40) : null,
          restart: draw.chance(0.5)
        })
      )
      const plan = accepted(wired(levels))
      const turns = new Map(levels.map((l) => [l.name, 0]))
      const begun = new Set<string>()
      const turnFlags = new Map(levels.map((l) => [l.name, new Map<string, boolean>()]))
      const updates = new Map(levels.map((l) => [l.name, 0]))
      const sinceStart = new Map(levels.map((l) => [l.name, 0]))
      for (let tick = 1; tick <= 60; tick++) {
        for (const planned of plan.levels) {
          const l = levels.find((x) => x.name === planned.name)!
          const seen = turnFlags.get(l.name)!
          const due = l.upstream.every((name) => seen.get(name) === true)
          const waits = tick <= l.warmup || l.upstream.some((name) => !begun.has(name))
          const active = due && !waits && (l.freeze === null || tick <= l.freeze)
          assert.strictEqual(
            Plan.acts(planned, tick),
            active,
            `case ${i}, level ${l.name}, tick ${tick}\n${text(plan)}`
          )
          if (due) {
            turns.set(l.name, turns.get(l.name)! + 1)
            for (const name of l.upstream) seen.set(name, false)
            if (turns.get(l.name)! % l.unroll === 0) {
              for (const reader of levels) {
                if (reader.upstream.includes(l.name)) turnFlags.get(reader.name)!.set(l.name, true)
              }
            }
            // A frozen level keeps its turns, and has begun if it ever could: the ones above go on without it.
            if (!waits) begun.add(l.name)
          }
          if (active) {
            // A round of `unroll` turns begins with a restart, whether or not its first turns were sat out.
            const begins = l.restart && (turns.get(l.name)! - 1) % l.unroll === 0
            sinceStart.set(l.name, (begins ? 0 : sinceStart.get(l.name)!) + l.repeat)
            updates.set(l.name, updates.get(l.name)! + l.repeat)
          }
          assert.strictEqual(
            Moment.updatesSinceStart(planned, tick),
            sinceStart.get(l.name)!,
            `case ${i} ${l.name} ${tick}`
          )
          assert.strictEqual(Plan.updatesAt(planned, tick), updates.get(l.name)!)
        }
      }
    }
  })

  it("plans a chain of 20 diamonds, a million paths, in under 100 ms, at a cost linear in levels and edges", () => {
    const rows: Array<string> = []
    for (let n = 1; n <= 20; n++) {
      const wiring = diamonds(n)
      const started = performance.now()
      const plan = accepted(wiring)
      const elapsed = performance.now() - started
      const total = plan.cost.reduce((sum, c) => sum + c.evaluations, 0)
      const edges = wiring.levels.reduce((sum, l) => sum + l.upstream.length + l.given.length, 0)
      // Each lower level is solved once (2 evaluations) and each level's own gradient is 1.
      assert.strictEqual(total, wiring.levels.length + 2 * (wiring.levels.length - 1))
      if (n === 20) assert.isBelow(elapsed, 100)
      rows.push(
        `${n} diamonds: ${wiring.levels.length} levels, ${edges} edges, ${2 ** n} paths, ${total} gradient evaluations`
      )
    }
    process.stdout.write(`${rows.join("\n")}\n`)
  })

  it("refuses a response of a response, naming both levels", () => {
    const levels = [
      level("inner", { given: ["vmiddle", "vtop"] }),
      level("middle", { upstream: ["inner"] }),
      level("top", { upstream: ["middle"] })
    ]
    const plan = Plan.fromWiring(wired(levels))
    assert.isTrue(Result.isFailure(plan))
    if (Result.isFailure(plan)) {
      assert.strictEqual(plan.failure.kind, "ResponseOfResponse")
      assert.include(plan.failure.message, "'middle'")
      assert.include(plan.failure.message, "'inner'")
    }
    // Detached below, the middle level's optimality is first-order again.
    const detachedInner = [{ ...levels[0]!, estimator: detached }, levels[1]!, levels[2]!]
    assert.isTrue(Result.isSuccess(Plan.fromWiring(wired(detachedInner))))
  })

  it("drops frozen levels from sweeps", () => {
    const plan = accepted(tapweight)
    assert.strictEqual(Plan.sweepsWhile(plan, new Set()).get("reweight")!.hops.length, 2)
    assert.strictEqual(Plan.sweepsWhile(plan, new Set(["pretrain"])).get("reweight")!.hops.length, 0)
  })

  it("prints as text and as Mermaid", () => {
    assert.strictEqual(
      text(accepted(tapweight)),
      [
        "levels (updated in this order)",
        "  pretrain  minimizes theta               given beta  every tick     adam(0.001)  data corpus",
        "  finetune  minimizes omega  on pretrain              every 2 ticks  sgd(0.1)     data none",
        "  reweight  minimizes beta   on finetune              every 2 ticks  sgd(0.1)     data none",
        "sweeps (each hop solves H u = v and hands −∂⟨∇L, u⟩ on)",
        "  reweight",
        "    solve at finetune  identity × fd  → theta",
        "    solve at pretrain  identity × fd  → beta",
        "cost in gradient evaluations (a turn, on average a tick)",
        "  pretrain  1  1 a tick",
        "  finetune  1  0.5 a tick",
        "  reweight  5  2.5 a tick"
      ].join("\n")
    )
    assert.strictEqual(
      mermaid(accepted(tapweight)),
      [
        "flowchart LR",
        '  l0["pretrain<br/>min theta"]',
        '  l1["finetune<br/>min omega"]',
        '  l2["reweight<br/>min beta"]',
        '  l2 -.->|"beta"| l0',
        '  l0 -->|"theta*"| l1',
        '  l1 -->|"omega*"| l2'
      ].join("\n")
    )
  })
})

const tapweight = wired([
  level("pretrain", { variable: "theta", given: ["beta"], unroll: 2, optimizer: "adam(0.001)", data: "corpus" }),
  level("finetune", { variable: "omega", upstream: ["pretrain"] }),
  level("reweight", { variable: "beta", upstream: ["finetune"], estimator: null })
])

/** bottom ← (left, right) ← join ← (left, right) ← … ← top, the bottom given the top's variable. */
const diamonds = (n: number): Wiring => {
  const levels = [level("j0", { given: ["vtop"] })]
  for (let i = 1; i <= n; i++) {
    levels.push(level(`a${i}`, { upstream: [`j${i - 1}`] }), level(`b${i}`, { upstream: [`j${i - 1}`] }))
    levels.push(
      i === n
        ? level("top", { upstream: [`a${i}`, `b${i}`], estimator: implicit })
        : level(`j${i}`, { upstream: [`a${i}`, `b${i}`] })
    )
  }
  return wired(levels)
}
