import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { long } from "../../../test/support/long.ts"
import { holds } from "../../zoo/Entry.ts"
import { fileOf, measured, page, pageFile, source } from "../../zoo/Page.ts"
import { zoo } from "../../zoo/Zoo.ts"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const main = join(root, "bin/tapweight")

describe("the zoo", () => {
  const figures = measured()

  it("has each problem once, and figures of no others", () => {
    const names = zoo.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(Object.keys(figures).sort()).toEqual([...names].sort())
  })

  it.each(zoo.map((entry) => [entry.name, entry] as const))("%s was measured as it is stated now", (name, entry) => {
    expect(figures[name]!.source, `npm run zoo -- ${name}`).toBe(source(entry))
    expect(figures[name]!.seeds.map(({ seed }) => seed)).toEqual(Array.from({ length: entry.seeds }, (_, i) => i))
  })

  it.each(zoo.map((entry) => [entry.name, entry] as const))("%s is within its bounds in every seed", (name, entry) => {
    for (const { figures: own, seed } of figures[name]!.seeds) {
      for (const [figure, bound] of Object.entries(entry.bounds)) {
        expect(holds(own[figure]!, bound), `seed ${seed}: ${figure} is ${own[figure]}`).toBe(true)
      }
    }
  })

  it("has the page that its cards and figures give (npm run zoo -- --page)", () => {
    expect(readFileSync(pageFile, "utf8")).toBe(page(figures))
  })

  // WebAssembly gives the same bits on every machine: what was measured once is what is run now.
  const quick = ["ridge", "imaml"]
  it.each(zoo.filter(({ name }) => long || quick.includes(name)).map((entry) => [entry.name, entry] as const))(
    "%s ends with the figures of its page",
    (name, entry) => {
      const folder = mkdtempSync(join(tmpdir(), "tapweight-zoo-"))
      try {
        const args = [main, "run", join(root, fileOf(entry)), "--quiet", "--format", "json", "-s", "seeds=1"]
        const { stderr, stdout } = spawnSync("sh", args, { cwd: folder, encoding: "utf8" })
        expect(stdout, stderr).not.toBe("")
        expect(JSON.parse(stdout).result.seeds[0]).toEqual(figures[name]!.seeds[0])
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
    300_000
  )
})
