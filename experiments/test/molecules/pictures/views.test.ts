import { assert, describe, it } from "@effect/vitest"
import { Seed } from "tapweight"
import * as Augment from "../../../molecules/pictures/Augment.ts"
import * as Jigsaw from "../../../molecules/pictures/Jigsaw.ts"
import * as Masked from "../../../molecules/pictures/Masked.ts"

const size = 9
const pixels = size * size
const seeds = [1, 2, 3, 4, 5].map((n) => Seed.make(n))

/** Pictures of random colours, end to end. */
const random = (n: number, seed = 7) => Uint8Array.from(Seed.integers(Seed.make(seed), n * 3 * pixels, 256))
const plain = (pictures: Uint8Array) => Float32Array.from(pictures, (v) => v / 255)
const colour = (views: ArrayLike<number>, at: number, x: number, y: number): ReadonlyArray<number> =>
  [0, 1, 2].map((c) => views[3 * (at * pixels + y * size + x) + c]!)
const near = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-5) => {
  assert.strictEqual(a.length, b.length)
  for (let i = 0; i < a.length; i++) assert.isAtMost(Math.abs(a[i]! - b[i]!), tolerance, `element ${i}`)
}

describe("views", () => {
  it("are the pictures themselves where nothing is drawn, and a function of the seed", () => {
    const pictures = random(3)
    for (const seed of seeds) near(Augment.views(pictures, Augment.asIs, { size }, seed), plain(pictures))
    const all: Augment.Augmentation = { flip: 0.5, grey: 0.2, rotation: 360, fill: "black" }
    const [a, b, other] = [seeds[0]!, seeds[0]!, seeds[1]!].map((s) => Augment.views(pictures, all, { size }, s))
    assert.deepStrictEqual(a, b)
    assert.notDeepEqual(a, other)
  })

  it("a flip mirrors every row, and a second one takes it back", () => {
    const pictures = random(2)
    const flip: Augment.Augmentation = { ...Augment.asIs, flip: 1 }
    const once = Augment.views(pictures, flip, { size }, seeds[0]!)
    for (let x = 0; x < size; x++) {
      assert.deepStrictEqual(colour(once, 1, x, 4), colour(plain(pictures), 1, size - 1 - x, 4))
    }
    const again = Uint8Array.from(once, (v) => Math.round(v * 255))
    near(Augment.views(again, flip, { size }, seeds[1]!), plain(pictures))
  })

  it("grey has three equal channels and keeps the luminance", () => {
    const pictures = random(2)
    const grey = Augment.views(pictures, { ...Augment.asIs, grey: 1 }, { size }, seeds[0]!)
    const [r, g, b] = colour(plain(pictures), 1, 3, 2) as [number, number, number]
    near(colour(grey, 1, 3, 2), Array(3).fill(0.299 * r + 0.587 * g + 0.114 * b))
  })

  it("a rotation keeps a disc of one colour, and fills the corners it uncovers", () => {
    const disc = new Uint8Array(3 * pixels).fill(10)
    for (const fill of ["black", "white"] as const) {
      for (const seed of seeds) {
        const turned = Augment.views(disc, { ...Augment.asIs, rotation: 360, fill }, { size }, seed)
        for (const [x, y] of [
          [4, 4],
          [4, 1],
          [7, 4],
          [2, 6]
        ] as const)
          near(colour(turned, 0, x, y), Array(3).fill(10 / 255))
        const sum = turned.reduce((a, v) => a + v, 0) - (3 * pixels * 10) / 255
        if (fill === "black") assert.isAtMost(sum, 1e-3)
        else assert.isAtLeast(sum, -1e-3)
      }
    }
  })

  it("a rotation by exactly half a turn is a point reflection, with and without a flip", () => {
    const pictures = random(1)
    const reflected = (flip: number) => {
      // The angle of a draw is (2u - 1) · rotation: the rotation is chosen to make it π.
      const u = Seed.uniform(seeds[0]!, 3)[2]!
      const rotation = 180 / (2 * u - 1)
      return Augment.views(pictures, { ...Augment.asIs, flip, rotation }, { size }, seeds[0]!)
    }
    const [turned, both] = [reflected(0), reflected(1)]
    for (let x = 0; x < size; x++) {
      near(colour(turned, 0, x, 2), colour(plain(pictures), 0, size - 1 - x, size - 3), 1e-4)
      near(colour(both, 0, x, 2), colour(plain(pictures), 0, x, size - 3), 1e-4)
    }
  })

  it("normalised channels are those of ImageNet's mean and deviation", () => {
    near(Augment.normalize(Float32Array.of(0.485, 0.456 + 0.224, 0.406 - 0.225)), [0, 1, -1])
  })
})

describe("jigsaw puzzles", () => {
  it("permutations are distinct, keep few tiles in common, and leave the identity out", () => {
    const orders = Jigsaw.permutations(100, Seed.make(0))
    const all = [Int32Array.from({ length: 9 }, (_, i) => i), ...orders]
    for (const order of orders) assert.deepStrictEqual([...order].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8])
    let least = 9
    for (const [i, a] of all.entries()) {
      for (const b of all.slice(0, i)) least = Math.min(least, [...a].filter((tile, k) => tile !== b[k]).length)
    }
    // Two permutations that differ do so in two places at least: a hundred drawn at random come as close as that to 4.
    assert.isAtLeast(least, 6)
    assert.throws(() => Jigsaw.permutations(0, Seed.make(0)), /whole number/)
  })

  it("an intact puzzle is the picture; the inverse order puts any other together again", () => {
    const views = plain(random(4))
    const intact = Jigsaw.puzzles(views, Jigsaw.permutations(10, Seed.make(0)), 1, { size }, seeds[0]!)
    assert.deepStrictEqual(intact.views, views)
    assert.deepStrictEqual([...intact.labels], [0, 0, 0, 0])
    for (const order of Jigsaw.permutations(5, Seed.make(1))) {
      const inverse = Int32Array.from({ length: 9 }, (_, i) => order.indexOf(i))
      const { labels, views: cut } = Jigsaw.puzzles(views, [order], 0, { size }, seeds[1]!)
      assert.deepStrictEqual([...labels], [1, 1, 1, 1])
      assert.notDeepEqual(cut, views)
      assert.deepStrictEqual(Jigsaw.puzzles(cut, [inverse], 0, { size }, seeds[2]!).views, views)
    }
  })

  it("tile t of a puzzle is the picture's tile order[t], for the order whose place in the list is its label less one", () => {
    const [side, wide] = [3, 3 * 3]
    const one = (tile: number) =>
      Array.from({ length: wide * wide }, (_, k) => {
        const [x, y] = [k % wide, Math.floor(k / wide)]
        return side * Math.floor(y / side) + Math.floor(x / side) === tile ? 1 : 0
      })
    // Nine tiles of one grey each, so that a tile tells where it came from.
    const grey = Array.from({ length: wide * wide }, (_, k) => Array.from({ length: 9 }, (_, t) => t * one(t)[k]!))
    const picture = grey.flatMap((tiles) => Array.from({ length: 3 }, () => tiles.reduce((a, b) => a + b, 0)))
    const views = Float32Array.from({ length: 60 * picture.length }, (_, i) => picture[i % picture.length]!)
    const orders = Jigsaw.permutations(6, Seed.make(2))
    const { labels, views: cut } = Jigsaw.puzzles(views, orders, 0.2, { size: wide }, seeds[0]!)
    assert.strictEqual(new Set(labels).size, 7)
    for (const [i, label] of labels.entries()) {
      const tiles = Array.from({ length: 9 }, (_, t) => {
        const [x, y] = [side * (t % side), side * Math.floor(t / side)]
        return cut[i * picture.length + 3 * (y * wide + x)]!
      })
      assert.deepStrictEqual(tiles, label === 0 ? [0, 1, 2, 3, 4, 5, 6, 7, 8] : [...orders[label - 1]!])
    }
  })

  it("labels name the order: equal labels, equal moves; the share left alone is as asked", () => {
    const one = random(1)
    const views = plain(Uint8Array.from({ length: 400 * one.length }, (_, i) => one[i % one.length]!))
    const { labels, views: cut } = Jigsaw.puzzles(views, Jigsaw.permutations(3, Seed.make(0)), 0.8, { size }, seeds[0]!)
    const first = new Map<number, string>()
    for (const [i, label] of labels.entries()) {
      const seen = cut.subarray(i * one.length, (i + 1) * one.length).join()
      assert.strictEqual(first.get(label) ?? seen, seen)
      first.set(label, seen)
    }
    assert.strictEqual(new Set(first.values()).size, 4)
    const share = labels.filter((label) => label === 0).length / 400
    // Five standard deviations of a binomial share.
    assert.isAtMost(Math.abs(share - 0.8), 5 * Math.sqrt((0.8 * 0.2) / 400))
  })
})

describe("masked views", () => {
  it("hide one square in the mean colour and nothing else", () => {
    const views = plain(random(3))
    for (const seed of seeds) {
      const hidden = Masked.masked(views, 3, { size }, seed)
      for (let i = 0; i < 3; i++) {
        const mean = [0, 1, 2].map((c) => {
          let sum = 0
          for (let k = 0; k < pixels; k++) sum += views[3 * (i * pixels + k) + c]! / pixels
          return sum
        })
        const changed = Array.from({ length: pixels }, (_, k) => [k % size, Math.floor(k / size)] as const).filter(
          ([x, y]) => colour(hidden, i, x, y).join() !== colour(views, i, x, y).join()
        )
        const [xs, ys] = [changed.map(([x]) => x), changed.map(([, y]) => y)]
        const area = (Math.max(...xs) - Math.min(...xs) + 1) * (Math.max(...ys) - Math.min(...ys) + 1)
        assert.strictEqual(changed.length, area)
        assert.isAtMost(area, 9)
        for (const [x, y] of changed) near(colour(hidden, i, x, y), mean, 1e-5)
      }
    }
    assert.deepStrictEqual(
      [224, 64, 32, 4].map((s) => Masked.squareOf({ size: s })),
      [16, 5, 2, 1]
    )
  })
})
