/**
 * Runs the zoo and writes its page: `npm run zoo` runs every problem over its seeds; `npm run zoo -- NAME …` these only, the
 * others' figures staying as they are; `-- --diagnose NAME …` looks at hypergradients alone; `-- --page` runs nothing.
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { line } from "../experiments/zoo/Diagnosis.ts"
import { diagnosing, figuresFile, fileOf, measured, page, pageFile, source } from "../experiments/zoo/Page.ts"
import { zoo } from "../experiments/zoo/Zoo.ts"

const main = fileURLToPath(new URL("tapweight", import.meta.url))
const flags = ["--page", "--diagnose"]
const named = process.argv.slice(2).filter((name) => name !== "--diagnose")
const onlyDiagnosed = process.argv.includes("--diagnose")
const unknown = named.find((name) => !flags.includes(name) && !zoo.some((entry) => entry.name === name))
if (unknown !== undefined) {
  process.stderr.write(`there is no problem '${unknown}': give one of ${zoo.map(({ name }) => name).join(", ")}\n`)
  process.exit(2)
}
const figures = { ...measured() }
for (const name of Object.keys(figures)) if (!zoo.some((entry) => entry.name === name)) delete figures[name]
for (const entry of zoo) {
  if (named.length > 0 && !named.includes(entry.name)) continue
  const started = performance.now()
  const said = (args: ReadonlyArray<string>) => {
    const { status, stdout } = spawnSync("sh", [main, ...args, "--format", "json"], {
      cwd: dirname(dirname(main)),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"]
    })
    if (status !== 0) process.exit(status ?? 1)
    return stdout
  }
  const figuresOf = () => {
    const { seeds } = JSON.parse(said(["run", fileOf(entry), "--quiet"])).result
    return { source: source(entry), seconds: Math.round((performance.now() - started) / 1000), seeds }
  }
  const own = onlyDiagnosed ? figures[entry.name] : undefined
  figures[entry.name] = { ...(own ?? figuresOf()), diagnosis: line(said(diagnosing(entry))) }
  process.stderr.write(`${entry.name}  ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
  writeFileSync(figuresFile, `${JSON.stringify(figures, undefined, 2)}\n`)
}
writeFileSync(pageFile, page(figures))
