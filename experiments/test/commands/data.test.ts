import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Exit } from "tapweight/cli"
import { long } from "../../../test/support/long.ts"
import { resident } from "../../../test/support/resident.ts"

const main = fileURLToPath(new URL("../../../experiments/main.ts", import.meta.url))
let scratch = ""

const cli = resident(fileURLToPath(new URL("../../../experiments/commandLine.ts", import.meta.url)))
const tapweight = (...args: ReadonlyArray<string>) => {
  const { code, err, out } = cli.run(scratch, ["data", ...args])
  // How far RDKit is, which a busy machine has the time to say.
  return { code, out, err: err.replaceAll(/^.*: \d+ of \d+ molecules, \d+ a second\n/gm, "") }
}

const table = "smiles,p_np\nCCO,1\nC(C,0\nc1ccccc1,1\nOc1ccccc1,0\nCCO,1\n"

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "tapweight-data-"))
  writeFileSync(join(scratch, "BBBP.csv"), table)
})
afterAll(() => {
  cli.end()
  rmSync(scratch, { recursive: true, force: true })
})

describe("tapweight data", () => {
  it("lists the sets by name", () => {
    const { code, out } = tapweight("list")
    assert.strictEqual(code, 0)
    assert.match(out, /^bbbp +2039 +1 +roc-auc +bbbp\.csv +/m)
    assert.match(out, /^sts-b +0 … 5 +pearson +yes +how near two sentences are in meaning$/m)
    const { molecules, texts } = JSON.parse(tapweight("list", "--format", "json").out)
    assert.deepStrictEqual([molecules.length, texts.length], [13, 17])
  })

  it("says what is in a set: rows, dropped molecules with their rows, scaffolds, splits", () => {
    const args = ["check", "bbbp", "--data", ".", "--cache", "kept"]
    const { code, err, out } = tapweight(...args)
    assert.deepStrictEqual([code, err], [0, ""])
    assert.match(out, /5 rows; the literature counts 2039.*; 1 label each, 0\.0 % missing/)
    assert.match(
      out,
      /1 refused by RDKit and dropped\n  row 2  C\(C  refused by RDKit\n3 distinct molecules, 2 Murcko scaffolds/
    )
    const { dropped, split } = JSON.parse(tapweight(...args, "--format", "json").out)
    assert.deepStrictEqual(dropped, [{ row: 2, smiles: "C(C", reason: "refused by RDKit" }])
    assert.deepStrictEqual(split, { train: 2, validation: 0, test: 2 })
  })

  it("says what is in a task of texts: files, parts, labels; and what is wrong with one", () => {
    const schema = { name: "desks", about: "made", text: "body", label: "desk", labels: ["a", "b"], metric: "mcc" }
    writeFileSync(join(scratch, "desks.json"), JSON.stringify({ ...schema, files: { train: "desks.csv" } }))
    const rows = Array.from({ length: 40 }, (_, i) => `text ${i},${i % 4 === 0 ? "b" : "a"}\n`).join("")
    writeFileSync(join(scratch, "desks.csv"), `body,desk\n${rows}`)
    const { code, err, out } = tapweight("check", "desks.json")
    assert.deepStrictEqual([code, err], [0, ""])
    assert.match(out, /^desks: 32 train, 4 validation, 4 test; test 10 % of rows; validation 11\.1 % of rows\n/)
    assert.match(
      out,
      /\ndesks train: 40 rows of desks\.csv\nlabel \(mcc\) +train +validation +test\na +24 +3 +3\nb +8 +1 +1\n/
    )
    writeFileSync(join(scratch, "desks.csv"), `body,desk\n${rows}x,c\n`)
    const broken = tapweight("check", "desks.json")
    assert.strictEqual(broken.code, Exit.codes.refused)
    assert.match(broken.err, /desks\.csv, line 42: the label 'c' is none of 'a', 'b'/)
    assert.match(tapweight("fetch", "rte").err, /no address is known to fetch it from/)
  })

  it("drops molecules beyond the limits, and says which limit", () => {
    const [smiles, labels] = ["smiles", ["y"]]
    const schema = { name: "large", about: "made", smiles, labels, task: "regression", metric: "mae" }
    writeFileSync(join(scratch, "large.json"), JSON.stringify(schema))
    writeFileSync(join(scratch, "large.csv"), `smiles,y\nCCO,1\n${"C".repeat(700)},2\nC1CC1,3\n`)
    const args = ["check", "large.json", "--data", ".", "--cache", "kept", "--rings", "0", "--seconds", "5"]
    const { err, out } = tapweight(...args)
    assert.match(
      out,
      /: 0 refused by RDKit, 1 more than 512 atoms, 1 more than 0 rings and dropped\n  row 2  C{79}…  more/,
      err
    )
  })

  it("prints nothing of a table that a terminal would obey", () => {
    const schema = { name: "rogue", about: "made", smiles: "smiles", labels: ["y"], task: "regression", metric: "mae" }
    writeFileSync(join(scratch, "rogue.json"), JSON.stringify(schema))
    const check = (text: string) => {
      writeFileSync(join(scratch, "rogue.csv"), text)
      const { err, out } = tapweight("check", "rogue.json", "--data", ".", "--cache", "kept")
      // eslint-disable-next-line no-control-regex
      assert.notMatch(out + err, /[^\P{Cc}\n]/u)
      return out + err
    }
    const molecule = check(`smiles,y\n"C(C\u001b[2J\n  row 9  C  fine",1\nC1CC1,2\n`)
    assert.match(molecule, /\n {2}row 1 {2}C\(C\\u001b\[2J\\u000a {2}row 9 {2}C {2}fine {2}refused by RDKit\n/)
    assert.match(check("smiles,y\nC,\u009b1m7\n"), /column 'y': '\\u009b1m7' is not a number/)
    assert.match(check("smiles,\u001b]0;x\u0007\nC,1\n"), /there are 'smiles', '\\u001b\]0;x\\u0007'/)
    assert.match(check("smiles,a\u001b,y,y\nC,1,2,3\n"), /two columns/)
  })

  it("refuses what it cannot read with exit code 4 and a sentence", () => {
    writeFileSync(join(scratch, "bace.csv"), "mol,Class\nC,1\nCC,2\n")
    writeFileSync(join(scratch, "hiv.csv"), "smiles,HIV_active\nxyz,1\n")
    writeFileSync(join(scratch, "sider.csv.gz"), gzipSync("smiles\nC\n".repeat(20)).subarray(0, 25))
    for (const [args, message] of [
      [["check", "none"], /no data set of this name is known; known are of molecules bace, bbbp.*; of texts cola/],
      [["check", "lipo", "--data", "."], /'lipo' is called lipo\.csv or lipo\.csv\.gz, and none is here/],
      [["check", "hiv", "--data", "."], /RDKit refuses all of its 1 molecules/],
      [["check", "bace", "--data", "."], /bace\.csv, line 3: row 2, column 'Class': '2' is neither 0 nor 1/],
      [["check", "sider", "--data", "."], /cut short/],
      [["fetch", "none"], /no data set of this name/]
    ] as const) {
      const { code, err } = tapweight(...args)
      assert.deepStrictEqual([code, err.split("\n").length], [Exit.codes.refused, 2], err)
      assert.match(err, message)
    }
  })

  it.skipIf(!long)(
    "fetches a set that a schema file describes, and says what to do where there is no connection",
    async () => {
      const server = createServer((_, response) =>
        response.writeHead(200, { "Content-Length": table.length }).end(table)
      )
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/.bashrc`
      const own = {
        name: "own",
        about: "one label",
        smiles: "smiles",
        labels: ["p_np"],
        task: "classification",
        metric: "roc-auc",
        source: { url }
      }
      writeFileSync(join(scratch, "own.json"), JSON.stringify(own))
      // The server lives in this process: it must not be blocked by waiting for the other.
      const fetched = () =>
        new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((resolve) => {
          const child = spawn(process.execPath, [main, "data", "fetch", "own.json", "--to", "fetched"], {
            cwd: scratch
          })
          let [out, err] = ["", ""]
          child.stdout.on("data", (text) => (out += text))
          child.stderr.on("data", (text) => (err += text))
          child.on("close", (code) => resolve({ code, out, err }))
        })
      const first = await fetched()
      assert.strictEqual(first.code, 0, first.err)
      assert.match(first.out, /own {2}fetched\/own\.csv\n5 rows; 1 label each \(no hash is declared/)
      assert.match(first.err, /sha256 [0-9a-f]{64}/)
      assert.match((await fetched()).err, /is there already/)
      const declared = { ...own, source: { url, sha256: "0".repeat(64) } }
      writeFileSync(join(scratch, "own.json"), JSON.stringify(declared))
      const other = await fetched()
      assert.strictEqual(other.code, Exit.codes.refused, other.err)
      assert.match(
        other.err,
        /own\.csv has the SHA-256 [0-9a-f]{64} in place of 0{64}: move it away and fetch it again/
      )
      writeFileSync(join(scratch, "own.json"), JSON.stringify(own))
      await new Promise((resolve) => server.close(resolve))
      rmSync(join(scratch, "fetched"), { recursive: true })
      const without = await fetched()
      assert.strictEqual(without.code, Exit.codes.refused)
      assert.match(
        without.err,
        /no connection to .*put it at fetched\/own\.csv, then: tapweight data check own\.json --data fetched/
      )
    }
  )
})
