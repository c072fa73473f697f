import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "vitest"
import { root } from "../../bin/publicNames.ts"

const files = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith("api/"))
    .map((name) => join("docs", name))
]

/** Files of the repository that a text names: in code, and behind links. */
const named = (file: string): ReadonlyArray<readonly [string, string]> => {
  const text = readFileSync(join(root, file), "utf8")
  const paths = Array.from(
    text.matchAll(/\b(?:src|test|bench|examples|experiments|bin)\/[\w./-]*\.\w+\b/g),
    ([path]) => [path, path] as const
  )
  const links = Array.from(
    text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g),
    ([, link]) => [link!, join(dirname(file), link!)] as const
  )
  return [...paths, ...links]
}

describe("documents", () => {
  for (const file of files) {
    it(`${file} names files that are there`, () => {
      assert.deepStrictEqual(
        named(file).flatMap(([said, path]) => (existsSync(join(root, path)) ? [] : [said])),
        []
      )
    })
  }
})
