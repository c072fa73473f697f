import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Program from "../src/runs/Program.ts"
import * as Session from "../src/runs/trial/Session.ts"
import * as Compiled from "../src/engines/onnx/OnnxEngine.ts"

const examples = fileURLToPath(new URL("../examples", import.meta.url))

/** What a program's result says of its variables. */
type Variables = { readonly [variable: string]: ReadonlyArray<number> }

type Said = { readonly result: { readonly variables: Variables } }

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, v) => sum + v, 0) / values.length

/** What each example promises in its first lines. */
const promises: { readonly [file: string]: (variables: Variables) => void } = {
  "01-hyperparameters.ts": ({ penalty }) => assert.isAbove(mean(penalty!.slice(5)), mean(penalty!.slice(0, 5)) + 1),
  "02-reweighting.ts": ({ weights }) => assert.isAbove(mean(weights!.slice(24)), mean(weights!.slice(0, 24)) + 1),
  "03-tapweight.ts": ({ beta }) => assert.isAbove(beta![0]!, beta![1]! + 0.3),
  "05-own-solver.ts": ({ lambda }) =>
    [1, 2, 4, 8].forEach((a, i) => assert.closeTo(lambda![i]!, a / (1 + 0.1 * a * a), 0.01)),
  "06-own-dataset.ts": ({ weights }) => assert.isBelow(weights![2]!, Math.min(weights![0]!, weights![1]!) - 2),
  // By a search in double precision over the closed form: 1.87952.
  "07-adversary.ts": ({ slope }) => assert.closeTo(slope![0]!, 1.87952, 0.005),
  "08-method.ts": ({ w, x }) => {
    assert.closeTo(w![0]!, 1, 1e-4)
    assert.closeTo(x![0]!, Math.LN2, 1e-4)
  }
}

/** Scripts rather than programs, and what they say last. */
const scripts: { readonly [file: string]: RegExp } = {
  "04-run-from-code.ts": /resumed from tick 400: the same bits\n$/
}

describe("examples", () => {
  const files = readdirSync(examples).filter((name) => /^\d\d-[^.]*\.ts$/.test(name))

  it("are numbered, each keeps a promise and fits a screen", () => {
    assert.deepStrictEqual(files.sort(), [...Object.keys(promises), ...Object.keys(scripts)].sort())
    for (const file of files) assert.isAtMost(readFileSync(join(examples, file), "utf8").split("\n").length, 90, file)
  })

  for (const [file, last] of Object.entries(scripts)) {
    it(file, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [join(examples, file)])
      assert.match(stdout, last)
    })
  }

  for (const file of Object.keys(promises)) {
    it.live(file, () =>
      Effect.gen(function* () {
        const { default: program } = (yield* Effect.promise(() => import(join(examples, file)))) as {
          default: Program.Program.Needing<never>
        }
        const root = mkdtempSync(join(tmpdir(), "tapweight-example-"))
        try {
          const folder = { id: "test", program: program.name, path: join(root, "run") }
          const session = Session.make(folder, () => Effect.void)
          const { run } = yield* program.prepare(program.config.defaults)
          const { result } = (yield* run(session)) as unknown as Said
          promises[file]!(result.variables)
        } finally {
          rmSync(root, { recursive: true, force: true })
        }
      }).pipe(Effect.provide([Compiled.layer(), NodeServices.layer]))
    )
  }
})
