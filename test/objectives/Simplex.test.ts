import { assert, describe, it } from "@effect/vitest"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import * as Seed from "../../src/dsl/values/Seed.ts"
import * as Simplex from "../../src/objectives/Simplex.ts"

const close = (found: object, expected: object) => {
  assert.deepStrictEqual(Object.keys(found), Object.keys(expected))
  const wanted = Object.values(expected) as Array<number>
  for (const [i, value] of Object.values(found).entries()) assert.closeTo(value, wanted[i]!, 1e-6)
}

describe("Simplex", () => {
  it("is equal at first or at its initial shares, which come back by name in the order of its names", () => {
    const plain = Simplex.make("beta", ["mlm", "contrastive", "order"])
    assert.deepStrictEqual(Array.from((plain.init(Seed.make(0)) as { data: Float32Array }).data), [0, 0, 0])
    const shares = { order: 0.5, mlm: 0.2, contrastive: 0.3 }
    const initial = Simplex.make("beta", ["mlm", "contrastive", "order"], { initial: shares })
    const beta = initial.init(Seed.make(0)) as { data: Float32Array }
    close(Simplex.shares(initial, beta), { mlm: 0.2, contrastive: 0.3, order: 0.5 })
    assert.deepStrictEqual(Simplex.logits(plain, shares).data, beta.data)
    close(Simplex.shares(plain, { data: [1000, 1000, 1000 + Math.log(2)] }), {
      mlm: 0.25,
      contrastive: 0.25,
      order: 0.5
    })
    assert.throws(() => Simplex.shares(plain, { data: [0, 0] }), /'beta': it is of 2 numbers for 3 names/)
  })

  it("a share of zero is one that no loss is heard at", () => {
    const simplex = Simplex.make("beta", ["one", "two"])
    const lambda = tf.tidy(() => {
      const { data } = Simplex.logits(simplex, { one: 1, two: 0 })
      return Simplex.weights(simplex, tf.tensor1d(data as Float32Array)).values.dataSync()
    })
    assert.closeTo(lambda[0]!, 1, 1e-6)
    assert.isBelow(lambda[1]!, 1e-11)
  })

  it("refuses names that cannot stand for its elements, and shares that are not theirs", () => {
    assert.throws(() => Simplex.make("beta", []), RangeError, "it has no names")
    assert.throws(() => Simplex.make("beta", ["a", "b", "a"]), RangeError, "'a' stands twice")
    for (const name of ["0", "7", "4294967295"]) {
      const message = `'${name}' is a whole number, which a record does not keep in its place`
      assert.throws(() => Simplex.make("beta", ["a", name]), RangeError, message)
    }
    for (const name of ["01", "-1", "1.5", "l2"]) assert.deepStrictEqual(Simplex.make("b", [name]).elements, [name])
    const simplex = Simplex.make("beta", ["a", "b"])
    assert.throws(() => Simplex.logits(simplex, { a: 1 } as never), RangeError, "it lacks b; give one each for a, b")
    assert.throws(() => Simplex.logits(simplex, { a: 1, b: -1 }), RangeError, "the share of 'b' is -1")
    assert.throws(() => Simplex.logits(simplex, { a: 1, b: Number.NaN }), RangeError, "the share of 'b' is NaN")
  })
})
