/** Examples in doc comments and in docs/: what they are, as modules, and how their promises are held. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import { assert } from "vitest"

/** A ```ts block with a promise (`// => value`) in it, and where it stands. */
export interface DocExample {
  readonly file: string
  readonly line: number
  readonly code: string
}

const fence = /^([ \t]*\* ?|)```ts\n([\s\S]*?)^[ \t]*(?:\* ?)?```/gm

const examplesOf = (root: string, file: string): ReadonlyArray<DocExample> => {
  const text = readFileSync(join(root, file), "utf8")
  return Array.from(text.matchAll(fence), ([, prefix, body], _i) => ({ prefix: prefix!, body: body! })).flatMap(
    ({ body, prefix }) => {
      const code = prefix === "" ? body : body.replace(/^[ \t]*\* ?/gm, "")
      const line = text.slice(0, text.indexOf(body)).split("\n").length
      return code.includes("// =>") ? [{ file, line, code }] : []
    }
  )
}

/** The examples of files under these folders. */
export const examplesIn = (root: string, folders: ReadonlyArray<string>): ReadonlyArray<DocExample> =>
  folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      // The reference repeats what doc comments say.
      .filter((name) => /\.(ts|md)$/.test(name) && !name.startsWith("api/"))
      .sort()
      .flatMap((name) => examplesOf(root, join(folder, name)))
  )

const others = {
  tf: `import * as tf from "@tensorflow/tfjs-core"`,
  Effect: `import * as Effect from "effect/Effect"`,
  Schema: `import * as Schema from "effect/Schema"`,
  Stream: `import * as Stream from "effect/Stream"`
}

/** `value // => what it is`, as a call that holds it to that; `// => throws "…"` where it is an error. */
const promised = (line: string): string => {
  const match = /^(\s*)(?:const (\w+) = )?(.*?);?\s*\/\/ => (.*)$/.exec(line)
  if (match === null) return line
  const [, indent, name, value, promise] = match
  const fails = /^throws (".*")$/.exec(promise!)
  if (fails !== null) return `${indent}await $fails(async () => ${value}, ${fails[1]})`
  const call = `$is(${name ?? value}, ${promise})`
  return name === undefined ? `${indent}${call}` : `${indent}const ${name} = ${value}\n${indent}${call}`
}

/** An example as a module. Imports are left out of examples: `names` are those of `tapweight`. */
export const moduleOf = ({ code }: DocExample, names: ReadonlyArray<string>): string => {
  const own = /^import /m.test(code)
  const used = (name: string) => !own && new RegExp(`(?<!\\w|[^.]\\.)${name}\\b`).test(code)
  const imports = [
    ...Object.entries(others).flatMap(([name, statement]) => (used(name) ? [statement] : [])),
    ...(names.some(used) ? [`import { ${names.filter(used).join(", ")} } from "tapweight"`] : []),
    `import { fails as $fails, is as $is } from "../../test/support/docExample.ts"`
  ]
  return `${imports.join("\n")}\n\n${code.split("\n").map(promised).join("\n")}\nvoid $fails\nvoid $is\n`
}

const plain = (value: unknown): unknown => {
  if (value instanceof tf.Tensor) return value.rank === 0 ? value.dataSync()[0] : value.arraySync()
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === "object" && value !== null && !("~tapweight" in value)) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]))
  }
  return value
}

const close = (actual: unknown, promise: unknown): boolean => {
  if (typeof actual === "number" && typeof promise === "number") {
    return Object.is(actual, promise) || Math.abs(actual - promise) <= 1e-4 * Math.max(1, Math.abs(promise))
  }
  if (typeof actual !== "object" || typeof promise !== "object" || actual === null || promise === null) {
    return Object.is(actual, promise)
  }
  const keys = Object.keys(actual)
  return (
    keys.length === Object.keys(promise).length &&
    keys.every((key) => close((actual as never)[key], (promise as never)[key]))
  )
}

/** Holds a value (tensors and typed arrays as arrays, numbers to four digits) to what an example says it is. */
export const is = (actual: unknown, promise: unknown): void => {
  if (!close(plain(actual), plain(promise))) assert.deepStrictEqual(plain(actual), plain(promise))
}

/** Holds an example that is an error to its sentence, or to a part of it. */
export const fails = async (evaluate: () => unknown, sentence: string): Promise<void> => {
  let value: unknown
  try {
    value = await evaluate()
  } catch (error) {
    assert.include(error instanceof Error ? error.message : String(error), sentence)
    return
  }
  assert.fail(`it is ${String(value)}, and no error`)
}
