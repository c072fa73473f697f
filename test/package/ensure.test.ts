import { spawn } from "node:child_process"
import { once } from "node:events"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, assert, beforeEach, describe, it } from "vitest"

const ensure = fileURLToPath(new URL("../../bin/ensure", import.meta.url))
let root = ""

/** A checkout whose npm notes that it was called, takes a moment, and fails where another one is at it. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tapweight-ensure-"))
  for (const folder of ["bin", "tools"]) mkdirSync(join(root, folder))
  copyFileSync(ensure, join(root, "bin/ensure"))
  writeFileSync(join(root, "package-lock.json"), "{}")
  const npm = `#!/bin/sh
mkdir "${root}/busy" || exit 9
echo called >>"${root}/calls"
sleep 0.3
mkdir -p "${root}/node_modules/.bin" && touch "${root}/node_modules/.package-lock.json"
printf '#!/bin/sh\\n' >"${root}/node_modules/.bin/node" && chmod +x "${root}/node_modules/.bin/node"
rmdir "${root}/busy"
`
  writeFileSync(join(root, "tools/npm"), npm)
  chmodSync(join(root, "tools/npm"), 0o755)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const start = async () => {
  const child = spawn("sh", [join(root, "bin/ensure")], {
    env: { PATH: `${join(root, "tools")}:${process.env["PATH"]}` },
    stdio: "ignore"
  })
  return (await once(child, "exit"))[0] as number
}
const calls = () => readFileSync(join(root, "calls"), "utf8").trim().split("\n").length

describe("bin/ensure", () => {
  it("installs once where several start at once, and not again", async () => {
    assert.deepStrictEqual(await Promise.all([start(), start(), start(), start()]), [0, 0, 0, 0])
    assert.strictEqual(calls(), 1)
    assert.isFalse(existsSync(join(root, ".installing")))
    assert.strictEqual(await start(), 0)
    assert.strictEqual(calls(), 1)
  })

  it.each(["before it said which process it was", "while it installed"])(
    "takes over from one killed %s",
    async (when) => {
      const dead = spawn("true")
      await once(dead, "exit")
      mkdirSync(join(root, ".installing"))
      if (when.startsWith("while")) writeFileSync(join(root, ".installing/pid"), `${dead.pid}\n`)
      assert.deepStrictEqual(await Promise.all([start(), start()]), [0, 0])
      assert.strictEqual(calls(), 1)
    }
  )
})
