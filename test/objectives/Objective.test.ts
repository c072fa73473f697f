import { assert, describe, it } from "@effect/vitest"
import "../../src/tensor/registerGradients.ts"
import "@tensorflow/tfjs-backend-wasm"
import * as tf from "@tensorflow/tfjs-core"
import * as Objective from "../../src/objectives/Objective.ts"

const value = (t: tf.Tensor): number => t.dataSync()[0]!
const values = (t: tf.Tensor): ReadonlyArray<number> => [...t.dataSync()]
const close = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>, tolerance = 1e-5) => {
  assert.strictEqual(actual.length, expected.length)
  for (const [i, e] of expected.entries()) {
    assert.isAtMost(Math.abs(actual[i]! - e), tolerance * Math.max(1, Math.abs(e)), `${actual} for ${expected}`)
  }
}
const labels = (...classes: Array<number>) => tf.tensor1d(classes, "int32")

/** Holds the second derivative of `f` at `x` against a difference of first derivatives. */
const checkSecond = (f: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor) => {
  const direction = tf.randomNormal(x.shape, 0, 1, "float32", 5)
  const first = tf.grad((x) => tf.square(f(x)))
  const at = (h: number) => first(tf.add(x, tf.mul(direction, h)))
  const difference = tf.div(tf.sub(at(1e-2), at(-1e-2)), 2e-2)
  const exact = tf.grad((x) => tf.sum(tf.mul(first(x), direction)))(x)
  const scale = Math.max(...values(difference).map(Math.abs))
  close(values(tf.div(exact, scale)), values(tf.div(difference, scale)), 3e-3)
}

/** Backends compute some kernels differently, so each law is held against each of them. */
const tidily = (name: string, body: () => void) => {
  for (const backend of ["cpu", "wasm"]) {
    it(`${name} (${backend})`, async () => {
      await tf.setBackend(backend)
      const before = tf.memory().numTensors
      tf.tidy(body)
      assert.strictEqual(tf.memory().numTensors, before)
    })
  }
}

describe("supervised losses", () => {
  const logits = () =>
    tf.tensor2d([
      [1, 2, 3],
      [0, 0, 0],
      [-1, 500, 2]
    ])
  const rows = [Math.log(1 + Math.exp(1) + Math.exp(2)) - 2, Math.log(3), 498]

  tidily("cross-entropy: closed forms, also far out", () => {
    close(values(Objective.perExample(logits(), labels(2, 1, 2))), rows)
    close([value(Objective.crossEntropy(logits(), labels(2, 1, 2)))], [(rows[0]! + rows[1]! + rows[2]!) / 3])
  })

  tidily("missing targets have no say, and every target known is the plain binary cross-entropy", () => {
    const z = tf.tensor2d([
      [0.5, -2],
      [300, 0]
    ])
    const y = tf.tensor2d([
      [1, 0],
      [0, 1]
    ])
    const at = (...known: Array<number>) => value(Objective.maskedBinaryCrossEntropy(z, y, tf.tensor2d(known, [2, 2])))
    const each = [Math.log1p(Math.exp(-0.5)), Math.log1p(Math.exp(-2)), 300, Math.log(2)]
    close([at(1, 0, 0, 0), at(0, 1, 0, 1), at(0, 0, 0, 0)], [each[0]!, (each[1]! + each[3]!) / 2, 0])
    close([at(1, 1, 1, 1)], [value(Objective.binaryCrossEntropy(z, y))])
    const gradient = tf.grad((z: tf.Tensor) =>
      Objective.maskedBinaryCrossEntropy(z, y, tf.tensor2d([1, 0, 0, 1], [2, 2]))
    )(z)
    const slope = (v: number) => 1 / (1 + Math.exp(-v))
    close(values(gradient), [(slope(0.5) - 1) / 2, 0, 0, (0.5 - 1) / 2])
  })

  tidily("pairs are ranked within each task, over what is known; frequencies have no say", () => {
    const z = [0.5, 3, -1, 2, 0.25, -2, 1, 40]
    const y = [1, 0, 0, 1, 1, 1, 0, 0]
    const at = (known: ReadonlyArray<number>, shift = 0) =>
      value(
        Objective.pairwiseRanking(
          tf.tensor2d(
            z.map((v, i) => v + (i % 2) * shift),
            [4, 2]
          ),
          tf.tensor2d(y, [4, 2]),
          tf.tensor2d([...known], [4, 2])
        )
      )
    const all = Array.from(y, () => 1)
    const pair = (positive: number, negative: number) => Math.log1p(Math.exp(z[negative]! - z[positive]!))
    const first = (pair(0, 2) + pair(0, 6) + pair(4, 2) + pair(4, 6)) / 4
    const second = (pair(3, 1) + pair(3, 7) + pair(5, 1) + pair(5, 7)) / 4
    close([at(all), at(all, 7)], [(first + second) / 2, (first + second) / 2])
    // The second task has no known negative left, then neither task has; then each has one pair.
    close([at([1, 0, 1, 1, 1, 1, 1, 0]), at([1, 0, 0, 1, 1, 1, 0, 0])], [first, 0])
    close([at([1, 1, 1, 1, 0, 0, 0, 0])], [(pair(0, 2) + pair(3, 1)) / 2])
  })

  tidily("the ranking loss is differentiable twice", () => {
    const y = tf.tensor2d([1, 0, 0, 1, 1, 0], [6, 1])
    checkSecond(
      (z) => Objective.pairwiseRanking(tf.reshape(z, [6, 1]), y, tf.onesLike(y)),
      tf.tensor1d([0.5, -1, 0.3, 2, -0.2, 1])
    )
  })

  tidily("standardised logits have mean 0 and variance 1 over known rows; a task's scale and shift have no say", () => {
    const z = [0.5, 3, -1, 2, 0.25, -2, 1, 40]
    const known = tf.tensor2d([1, 1, 1, 1, 1, 1, 1, 0], [4, 2])
    const at = (scale: number, shift: number, missing = 40) =>
      values(
        Objective.standardised(
          tf.tensor2d(
            z.map((v, i) => (i === 7 ? missing : v * scale + (i % 2) * shift)),
            [4, 2]
          ),
          known
        )
      )
    const column = (i: number) => Array.from(at(1, 0)).filter((_, j) => j % 2 === i && j !== 7)
    for (const own of [column(0), column(1)]) {
      const mean = own.reduce((sum, v) => sum + v, 0) / own.length
      const square = own.reduce((sum, v) => sum + v * v, 0) / own.length
      close([mean, square], [0, 1], 1e-3)
    }
    const apart = (found: ReadonlyArray<number>) => found.slice(0, 7)
    close(apart(at(20, 5)), apart(at(1, 0)), 1e-3)
    close(apart(at(1, 0, -7)), apart(at(1, 0)))
    close(
      values(Objective.standardised(tf.fill([4, 2], 3), known)),
      Array.from({ length: 8 }, () => 0)
    )
  })

  tidily(
    "standardised logits are differentiable twice, and no step along a logit's own scale changes what follows",
    () => {
      // Most pairs are ranked wrongly, so that of the logits themselves the loss falls as they shrink.
      const y = tf.tensor2d([0, 1, 1, 0, 0, 1], [6, 1])
      const z = tf.tensor1d([0.5, -1, 0.3, 2, -0.2, 1])
      const plain = (z: tf.Tensor) => Objective.pairwiseRanking(tf.reshape(z, [6, 1]), y, tf.onesLike(y))
      const loss = (z: tf.Tensor) => plain(Objective.standardised(tf.reshape(z, [6, 1]), tf.onesLike(y)))
      const along = (f: (z: tf.Tensor) => tf.Tensor) => value(tf.sum(tf.mul(tf.grad(f)(z), z)))
      checkSecond(loss, z)
      assert.isAbove(along(plain), 0.1)
      assert.isBelow(Math.abs(along(loss)), 1e-3)
    }
  )

  tidily("missing measurements have no say", () => {
    const at = (...known: Array<number>) =>
      value(Objective.maskedSquaredError(tf.tensor1d([1, 5, -2]), tf.tensor1d([3, 0, -1]), tf.tensor1d(known)))
    close([at(1, 0, 1), at(1, 1, 1), at(0, 0, 0)], [(4 + 1) / 2, (4 + 25 + 1) / 3, 0])
  })

  tidily("weighted cross-entropy divides by the weights, but by no less than 1", () => {
    const at = (...weights: Array<number>) =>
      value(Objective.weightedCrossEntropy(logits(), labels(2, 1, 2), tf.tensor1d(weights)))
    close([at(2, 3, 0), at(0, 0.5, 0), at(0, 0, 0)], [(2 * rows[0]! + 3 * rows[1]!) / 5, rows[1]! / 2, 0])
    close([at(1, 1, 1)], [value(Objective.crossEntropy(logits(), labels(2, 1, 2)))])
  })

  tidily("binary cross-entropy: closed forms, also far out", () => {
    const at = (z: number, y: number) => value(Objective.binaryCrossEntropy(tf.tensor1d([z]), tf.tensor1d([y])))
    close([at(0, 1), at(2, 0), at(2, 1)], [Math.log(2), Math.log(1 + Math.exp(2)), Math.log(1 + Math.exp(-2))])
    close([at(500, 1), at(500, 0), at(-500, 1), at(-500, 0), at(0, 0.5)], [0, 500, 500, 0, Math.log(2)])
  })

  tidily("mean squared error", () => {
    close([value(Objective.meanSquaredError(tf.tensor1d([1, 2, 3]), tf.tensor1d([1, 0, 6])))], [13 / 3])
  })

  tidily("second derivatives equal differences of first ones", () => {
    const z = tf.randomNormal([3, 4], 0, 1, "float32", 1)
    const weights = tf.tensor1d([0.5, 2, 1])
    const classes = labels(3, 0, 1)
    checkSecond((z) => Objective.crossEntropy(z as tf.Tensor2D, classes), z)
    checkSecond((z) => Objective.weightedCrossEntropy(z as tf.Tensor2D, classes, weights), z)
    checkSecond((z) => Objective.binaryCrossEntropy(z, tf.mul(tf.ones([3, 4]), 0.3)), z)
  })
})

describe("proximal", () => {
  const first = () => ({ layers: [tf.tensor1d([1, 2]), tf.tensor2d([[3, 4]])], scale: tf.scalar(5) })
  const second = () => ({ layers: [tf.tensor1d([0, 2]), tf.tensor2d([[3, 6]])], scale: tf.scalar(2) })

  tidily("sums squared differences unless a mean is asked for", () => {
    close([value(Objective.proximal(first(), second()))], [14])
    close([value(Objective.proximal(first(), second(), { reduction: "mean" }))], [14 / 5])
    close([value(Objective.proximal(first(), first()))], [0])
  })

  tidily("names the path where trees differ", () => {
    const { layers, scale } = first()
    assert.throws(() => Objective.proximal({ layers, scale }, { layers }), /'scale' is missing from the second/)
    assert.throws(() => Objective.proximal({ layers }, { layers, scale }), /'scale' is missing from the first/)
    const reshaped = { layers: [layers[0]!, tf.tensor2d([[3], [4]])], scale }
    assert.throws(() => Objective.proximal({ layers, scale }, reshaped), /'layers.1' is \[1,2\] in the first.*\[2,1\]/)
  })
})

describe("weighted", () => {
  const names = ["mlm", "cl", "sop"] as const
  const losses = () => ({ mlm: tf.scalar(3), cl: tf.scalar(0.5), sop: tf.scalar(2) })

  tidily("is Σ λᵢ Lᵢ and reports each Lᵢ; its gradient in λ is L", () => {
    const shares = tf.tensor1d([0.2, 0.5, 0.3])
    const { loss, metrics } = Objective.weighted({ names, values: shares }, losses())
    close([value(loss)], [0.6 + 0.25 + 0.6])
    assert.deepStrictEqual(Object.keys(metrics), ["mlm", "cl", "sop"])
    close(Object.values(metrics).map(value), [3, 0.5, 2])
    const ofWeights = (values: tf.Tensor) => Objective.weighted({ names, values: values as tf.Tensor1D }, losses()).loss
    close(values(tf.grad(ofWeights)(shares)), [3, 0.5, 2])
  })

  tidily("refuses another number of weights", () => {
    const message = /weights of shape \[2\] for 3 names \(mlm, cl, sop\)/
    assert.throws(() => Objective.weighted({ names, values: tf.tensor1d([1, 2]) }, losses()), message)
  })

  tidily("a loss meets the weight of its name, in whatever order losses stand; one without a weight is refused", () => {
    const weights = { names, values: tf.tensor1d([0.2, 0.5, 0.3]) }
    const { cl, mlm, sop } = losses()
    close([value(Objective.weighted(weights, { sop, cl, mlm }).loss)], [0.6 + 0.25 + 0.6])
    const refused = (found: object, message: RegExp) =>
      assert.throws(() => Objective.weighted(weights, found as ReturnType<typeof losses>), RangeError, message)
    refused({ mlm, cl }, /it lacks sop; give one each for mlm, cl, sop/)
    refused({ mlm, cl, sop, coin: mlm }, /it has coin besides; give one/)
    refused({ mlm, cl, SOP: sop }, /it lacks sop and it has SOP besides/)
  })

  tidily("names that a record moves to its front are refused, so that no weight meets another's loss", () => {
    const two = { b: tf.scalar(1), 0: tf.scalar(2) }
    assert.deepStrictEqual(Object.keys(two), ["0", "b"])
    const weights = { names: ["b", "0"], values: tf.tensor1d([1, 0]) }
    assert.throws(() => Objective.weighted(weights, two), /'0' is a whole number, which a record does not keep/)
  })
})

describe("contrastive", () => {
  tidily("closed form for orthonormal views, whatever their lengths", () => {
    const n = 4
    const h = tf.eye(n)
    for (const [temperature, scale] of [
      [1, 1],
      [0.05, 7]
    ] as const) {
      const expected = Math.log(1 + (n - 1) * Math.exp(-1 / temperature))
      close([value(Objective.contrastive(tf.mul(h, scale), h, temperature))], [expected])
    }
    close([value(Objective.contrastive(tf.ones([n, 3]), tf.ones([n, 3]), 0.05))], [Math.log(n)])
  })

  tidily("is finite where a state is zero, and right at second order", () => {
    const b = tf.randomNormal([3, 5], 0, 1, "float32", 2) as tf.Tensor2D
    const loss = (a: tf.Tensor) => Objective.contrastive(a as tf.Tensor2D, b, 0.5)
    assert.isTrue(values(tf.grad(loss)(tf.zeros([3, 5]))).every(Number.isFinite))
    checkSecond(loss, tf.randomNormal([3, 5], 0, 1, "float32", 3))
  })
})

describe("distance", () => {
  tidily("is the mean length of the differences, zero for equal views, with a finite slope there", () => {
    const a = tf.tensor2d([
      [3, 0],
      [1, 1]
    ])
    const b = tf.tensor2d([
      [0, 4],
      [1, 1]
    ])
    close([value(Objective.distance(a, b)), value(Objective.distance(a, a))], [2.5, 0])
    const slope = tf.grad((a: tf.Tensor) => Objective.distance(a as tf.Tensor2D, b))(a)
    close(values(slope), [3 / 10, -4 / 10, 0, 0])
  })
})

describe("maskedLanguage", () => {
  tidily("is the cross-entropy of the hidden tokens; unused slots weigh nothing", () => {
    const hidden = tf.randomNormal([2, 3, 4], 0, 1, "float32", 1) as tf.Tensor3D
    const embedding = tf.randomNormal([7, 4], 0, 1, "float32", 2) as tf.Tensor2D
    const at = (unused: number) =>
      Objective.maskedLanguage(hidden, embedding, {
        positions: tf.tensor2d(
          [
            [2, unused],
            [3, 4]
          ],
          [2, 2],
          "int32"
        ),
        targets: tf.tensor2d(
          [
            [5, unused],
            [0, 6]
          ],
          [2, 2],
          "int32"
        ),
        weights: tf.tensor2d([
          [1, 0],
          [1, 1]
        ])
      })
    const states = tf.gather(tf.reshape(hidden, [6, 4]), labels(2, 3, 4))
    const logits = tf.matMul(states, embedding, false, true) as tf.Tensor2D
    const expected = value(Objective.crossEntropy(logits, labels(5, 0, 6)))
    close([value(at(0)), value(at(1))], [expected, expected])
  })
})
