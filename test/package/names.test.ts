import { fileURLToPath } from "node:url"
import { assert, describe, expect, it } from "vitest"
import { doors, type Name } from "../../bin/publicNames.ts"

const all = doors("tsconfig.json", "tapweight-source")

const each = all.flatMap(({ door, namespaces }) =>
  namespaces.flatMap(({ name: namespace, names }) =>
    names.map((name) => ({ door, namespace, name, path: `${namespace === "" ? "" : `${namespace}.`}${name.name}` }))
  )
)

const kind = ({ type, value }: Name): string => (type && value ? "  value, type" : type ? "  type" : "")

describe("public names", () => {
  it("are these: a change is a change of the package (vitest -u writes it down)", async () => {
    const lines = each.map(({ door, name, path }) => `${door} ${path}${kind(name)}`).sort()
    await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot(fileURLToPath(new URL("names.txt", import.meta.url)))
  })

  it("each says what it is", () => {
    assert.deepStrictEqual(
      each.flatMap(({ door, name, path }) => (name.doc === "" ? [`${door} ${path}`] : [])),
      []
    )
  })

  for (const { door, namespaces } of all) {
    it(`${door} has at run time the values that its types say`, async () => {
      const module = (await import(/* @vite-ignore */ door)) as { readonly [name: string]: object }
      const typed = (names: ReadonlyArray<Name>) => names.flatMap(({ name, value }) => (value ? [name] : []))
      for (const { name: namespace, names } of namespaces) {
        const values = Object.keys(namespace === "" ? module : module[namespace]!)
        assert.includeMembers(values, typed(names), `${door} ${namespace}`)
      }
      const own = namespaces.find(({ name }) => name === "")?.names ?? []
      const named = namespaces.flatMap(({ name }) => (name === "" ? [] : [name]))
      assert.sameMembers(Object.keys(module), [...named, ...typed(own)], door)
    })
  }
})
