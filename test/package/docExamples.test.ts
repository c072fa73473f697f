import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as tapweight from "tapweight"
import { root } from "../../bin/publicNames.ts"
import { type DocExample, examplesIn, moduleOf } from "../support/docExample.ts"

const folder = join(root, ".cache", "doc-examples")
const examples = examplesIn(root, ["src", "docs"])
const nameOf = ({ file, line }: DocExample) => `${file.replace(/[^\w]+/g, "-")}-${line}.ts`

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const example of examples)
    writeFileSync(join(folder, nameOf(example)), moduleOf(example, Object.keys(tapweight)))
  const config = { extends: "../../tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: ["*.ts"] }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
  await tf.setBackend("cpu")
})

afterAll(() => {
  for (const made of [folder, join(root, ".cache", "checkpoints")]) rmSync(made, { recursive: true, force: true })
})

describe("examples in doc comments and docs", () => {
  it("type-check", () => {
    assert.isAbove(examples.length, 0)
    const compiler = join(root, "node_modules", ".bin", "tsc")
    try {
      execFileSync(compiler, ["-p", folder], { encoding: "utf8", stdio: "pipe" })
    } catch (error) {
      assert.fail((error as { readonly stdout: string }).stdout)
    }
  })

  for (const example of examples) {
    it(`${example.file}:${example.line}`, async () => {
      await import(/* @vite-ignore */ join(folder, nameOf(example)))
    })
  }
})
