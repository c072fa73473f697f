import { hash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import { it } from "vitest"
import * as MoleculeNet from "../../../molecules/tables/MoleculeNet.ts"
import * as Table from "../../../molecules/tables/Table.ts"
import * as TableSchema from "../../../molecules/tables/TableSchema.ts"
import { present, shared } from "../../../../test/support/shared.ts"

const two = TableSchema.make({
  name: "two",
  about: "two labels",
  smiles: ["smiles", "mol"],
  labels: ["a", ["b", "bee, too"]],
  task: "classification",
  metric: "roc-auc"
})
const degrees = TableSchema.make({
  name: "degrees",
  about: "a temperature",
  smiles: "smiles",
  labels: { allBut: ["id"], count: 1 },
  task: "regression",
  metric: "mae",
  range: [-273.15, 5000]
})

/** Reads a file of this content. */
const reading = (content: string | Uint8Array, schema = two, name = "table.csv") =>
  Effect.gen(function* () {
    const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
    const file = join(folder, name)
    writeFileSync(file, content)
    return yield* Table.read(file, schema)
  })

layer(NodeServices.layer)("Table", (it) => {
  const plain = "mol,extra,a,b\nCCO,x,1,0\nC,y,,1.0\n"
  const forms: ReadonlyArray<readonly [string, string | Uint8Array]> = [
    ["plain", plain],
    ["with a byte order mark, CRLF and blank lines", `\ufeff${plain.replaceAll("\n", "\r\n")}\r\n\r\n`],
    ["without an end to its last line", plain.trimEnd()],
    ["quoted", '"mol","extra, or ""not""",a,"bee, too"\n"CCO","x\ny",1,"0"\n"C",,nan,1\n'],
    ["gzipped", gzipSync(plain)],
    ["with two byte order marks, and quoted", `\ufeff\ufeff"mol",extra,a,b\nCCO,x,1,0\nC,y,,1.0\n`],
    ["padded with empty columns", "mol,extra,a,b,,\nCCO,x,1,0,,\nC,y,,1.0,,\n"],
    ["padded in its rows alone", "mol,extra,a,b\nCCO,x,1,0, ,\nC,y,,1.0,,,,\n"],
    ["padded in its header alone", "mol,extra,a,b,,\nCCO,x,1,0\nC,y,,1.0,\n"],
    ["ended by a line of white space", `${plain}  \t \n`],
    ["ended by rows of empty cells", `${plain},,,\n,,,\n`],
    ["with two columns of a name that nobody asked for", "mol,extra,a,b,extra\nCCO,x,1,0,9\nC,y,,1.0,8\n"],
    ["in another order", "b,a,smiles\n0,1,CCO\n1,NaN,C\n"]
  ]
  for (const [name, content] of forms) {
    it.effect(`reads a file that is ${name}`, () =>
      Effect.gen(function* () {
        const table = yield* reading(content)
        assert.deepStrictEqual(table.smiles, ["CCO", "C"])
        assert.deepStrictEqual(Array.from(table.labels), [1, 0, Number.NaN, 1])
        assert.strictEqual(table.tasks[0], "a")
      })
    )
  }

  it.effect("takes all columns but those named for labels, and those without a name", () =>
    Effect.gen(function* () {
      for (const text of [
        "id,smiles,kelvin\n1,C,-161.5\n2,CC,\n",
        "id,smiles,id,kelvin,,\n1,C,,-161.5,,\n2,CC,1,,,\n"
      ]) {
        const table = yield* reading(text, degrees)
        assert.deepStrictEqual(table.tasks, ["kelvin"])
        assert.deepStrictEqual(Array.from(table.labels), [-161.5, Number.NaN])
      }
    })
  )

  it.effect("takes the largest label that 32 bits hold, and none beyond", () =>
    Effect.gen(function* () {
      const { range: _, ...boundless } = degrees
      const table = yield* reading("smiles,x\nC,-3.4028234e38\n", boundless)
      assert.isTrue(table.labels.every(Number.isFinite))
      for (const label of ["1e39", "-1e39", "3.4028236e38"]) {
        const error = yield* Effect.flip(reading(`smiles,x\nC,1\nC,${label}\n`, boundless))
        assert.include(error.message, `line 3: row 2, column 'x': '${label}' is too large: labels are at most 3.40e+38`)
      }
    })
  )

  const bad: ReadonlyArray<readonly [string, string | Uint8Array, string, RegExp, typeof two]> = [
    ["an empty file", "", "empty", /the file is empty/, two],
    ["a header alone", "mol,a,b\n", "empty", /header and no row/, two],
    ["a missing column", "mol,a,c\nC,1,1\n", "column", /no column 'b' or 'bee, too'.* there are 'mol', 'a', 'c'/, two],
    ["no SMILES column", "smile,a,b\nC,1,1\n", "column", /no column 'smiles' or 'mol'/, two],
    ["two columns of one name", "mol,a,a,b\nC,1,1,0\n", "column", /two columns are called 'a'/, two],
    ["two of the columns of SMILES", "mol,a,mol,b\nC,1,C,0\n", "column", /two columns are called 'mol'/, two],
    ["two label columns of one name", "smiles,x,x\nC,1,1\n", "column", /two columns are called 'x'/, degrees],
    ["too many label columns", "smiles,x,y\nC,1,1\n", "column", /2 label columns where 'degrees' has 1/, degrees],
    [
      "a word for a label",
      "mol,a,b\nC,1,1\nCC,0,yes\n",
      "value",
      /line 3: row 2, column 'b': 'yes' is not a number/,
      two
    ],
    ["a third class", "mol,a,b\nC,2,1\n", "value", /row 1, column 'a': '2' is neither 0 nor 1/, two],
    [
      "a label out of range",
      "smiles,x\nC,-300\n",
      "value",
      /row 1, column 'x': '-300' is not in -273.15 to 5000/,
      degrees
    ],
    ["a row that is long", "mol,a,b\nC,1,0,7\n", "row", /line 2: the row has 4 cells where the header has 3/, two],
    ["a row that is short", "mol,a,b\nC,1\n", "row", /line 2: the row has 2 cells/, two],
    ["an open quotation", 'mol,a,b\nC,1,1\n"CC,0,0\nCCC,1,1\n', "quoting", /quotation marks do not match/, two],
    ["a stray quotation mark", 'mol,a,b\nC,1,1\nC"C,0,0\n', "quoting", /line 3: quotation marks do not match/, two],
    ["half a gzip file", gzipSync(plain.repeat(99)).subarray(0, 60), "truncated", /cut short or damaged/, two]
  ]
  for (const [name, content, problem, message, schema] of bad) {
    it.effect(`refuses ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(reading(content, schema))
        assert.strictEqual(error._tag === "TableError" ? error.problem : error._tag, problem)
        assert.match(error.message, message)
        assert.include(error.message, "table.csv")
      })
    )
  }

  it.effect("says that a file is not there", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Table.read("/nowhere/t.csv", two))
      assert.strictEqual(error.problem, "missing")
      assert.match(error.message, /^\/nowhere\/t.csv: there is no such file/)
    })
  )

  it.effect("unlabelled molecules come out of csv, smi and txt files, gzipped or not, in chunks", () =>
    Effect.gen(function* () {
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const all = Array.from({ length: 2500 }, (_, i) => "C".repeat(1 + (i % 40)))
      const contents: { readonly [name: string]: string } = {
        "a.csv": `id,SMILES\n${all.map((smiles, i) => `${i},${smiles}`).join("\n")}\n`,
        "a.smi": all.map((smiles, i) => `${smiles} molecule ${i}`).join("\n"),
        "a.txt": `\ufeff${all.join("\r\n")}\r\n\r\n`
      }
      for (const [name, text] of Object.entries(contents)) {
        for (const [file, content] of [[name, text] as const, [`${name}.gz`, gzipSync(text)] as const]) {
          writeFileSync(join(folder, file), content)
          const chunks = yield* Stream.runCollect(Table.smilesOf(join(folder, file)))
          assert.deepStrictEqual(chunks.flat(), all, file)
          assert.isAbove(chunks.length, 1)
          assert.isBelow(Math.max(...chunks.map((chunk) => chunk.length)), 2000)
        }
      }
      const refuses = (file: string, content: string | Uint8Array, problem: string, column?: string) =>
        Effect.gen(function* () {
          writeFileSync(join(folder, file), content)
          const options = column === undefined ? {} : { columns: [column] }
          assert.strictEqual((yield* Effect.flip(Table.allSmiles(join(folder, file), options))).problem, problem)
        })
      yield* refuses("b.smi", "\n\n", "empty")
      yield* refuses("b.csv", "smiles\n", "empty")
      yield* refuses("b.csv", "molecule\nC\n", "column")
      yield* refuses("b.csv", "smiles,smiles\nC,CC\n", "column")
      yield* refuses("b.csv", "id,smiles\n7\n", "row")
      yield* refuses("b.csv", "smiles\nC\n", "column", "structure")
      yield* refuses("b.smi.gz", gzipSync(all.join("\n")).subarray(0, 40), "truncated")
      assert.strictEqual((yield* Effect.flip(Table.allSmiles(join(folder, "none.smi")))).problem, "missing")
    })
  )

  for (const [name, rows, tasks, missing] of [
    ["bace.csv", 1513, 1, 0],
    ["sider.csv", 1427, 27, 0],
    ["tox21.csv", 7831, 12, 17.1],
    ["toxcast.csv.gz", 8576, 617, 71],
    ["esol.csv", 1128, 1, 0],
    ["lipo.csv", 4200, 1, 0],
    ["qm7.csv", 6830, 1, 0],
    ["bbbp.csv", 2039, 1, 0],
    ["hiv.csv.gz", 41_127, 1, 0],
    ["muv.csv.gz", 93_087, 17, 84.2]
  ] as const) {
    it.effect.skipIf(!present(`data/molecules/${name}`))(`reads ${name} as it lies beside the project`, () =>
      Effect.gen(function* () {
        const schema = MoleculeNet.named(name.split(".")[0]!)!
        const table = yield* Table.read(shared(`data/molecules/${name}`), schema)
        assert.deepStrictEqual([table.smiles.length, table.tasks.length], [rows, tasks])
        // The bytes that the declared address gives.
        const sha256 = hash("sha256", readFileSync(shared(`data/molecules/${name}`)))
        assert.strictEqual(sha256, schema.source!.sha256)
        const absent = table.labels.filter(Number.isNaN).length
        assert.approximately((100 * absent) / table.labels.length, missing, 0.05)
      })
    )
  }
})

describe("TableSchema", () => {
  it("the thirteen sets of the paper have one schema each", () => {
    assert.strictEqual(new Set(MoleculeNet.all.map(({ name }) => name)).size, 13)
    const measured = (metric: string) => MoleculeNet.all.filter((schema) => schema.metric === metric).length
    assert.deepStrictEqual(["roc-auc", "rmse", "mae"].map(measured), [8, 3, 2])
  })

  it("refuses a metric that does not go with the task, and a hash that is none", () => {
    assert.throws(() => TableSchema.make({ ...two, metric: "rmse" }), /classification is not measured with rmse/)
    assert.throws(() => TableSchema.make({ ...two, source: { url: "http://x/y.csv", sha256: "12" } }))
    assert.throws(() => TableSchema.make({ ...two, labels: ["y", ["z", "y"]] }), /label 'y' is named twice/)
    assert.throws(() => TableSchema.make({ ...degrees, range: [2, 1] }), /lower end first/)
    assert.throws(() => TableSchema.make({ ...two, source: { url: "http://x/" } }), /ends in a file's name/)
    assert.throws(() => TableSchema.make({ ...two, source: { url: "x/y.csv" } }), /begins with https/)
    const source = { url: "https://x/tables/y.csv?download=1" }
    assert.deepStrictEqual(TableSchema.filesOf(TableSchema.make({ ...two, source })), [
      "two.csv",
      "two.csv.gz",
      "y.csv"
    ])
  })

  it("a file is fetched under the schema's name, whatever its address ends in", () => {
    for (const end of [".bashrc", "-rf", "t.csv.part", "two.json", "..%2f..%2fx", "%2e%2e%2fy", "a\\b"]) {
      const schema = TableSchema.make({ ...two, source: { url: `https://x/tables/${end}` } })
      assert.strictEqual(TableSchema.fileOf(schema), "two.csv", end)
    }
    const zipped = TableSchema.make({ ...two, source: { url: "https://x/.profile.GZ?raw" } })
    assert.strictEqual(TableSchema.fileOf(zipped), "two.csv.gz")
  })
})
