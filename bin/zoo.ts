/**
 * Runs the zoo and writes its page: `npm run zoo` runs every problem over its seeds; `npm run zoo -- NAME …` these only, the
 * others' figures staying as they are; `-- --page` runs nothing.
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { figuresFile, fileOf, measured, page, pageFile, source } from "../experiments/zoo/Page.ts"
import { zoo } from "../experiments/zoo/Zoo.ts"

const main = fileURLToPath(new URL("tapweight", import.meta.url))
const named = process.argv.slice(2)
const unknown = named.find((name) => name !== "--page" && !zoo.some((entry) => entry.name === name))
if (unknown !== undefined) {
  process.stderr.write(`there is no problem '${unknown}': give one of ${zoo.map(({ name }) => name).join(", ")}\n`)
  process.exit(2)
}
const figures = { ...measured() }
for (const name of Object.keys(figures)) if (!zoo.some((entry) => entry.name === name)) delete figures[name]
for (const entry of zoo) {
  if (named.length > 0 && !named.includes(entry.name)) continue
  const started = performance.now()
  const { status, stdout } = spawnSync("sh", [main, "run", fileOf(entry), "--quiet", "--format", "json"], {
    cwd: dirname(dirname(main)),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
  if (status !== 0) process.exit(status ?? 1)
  const seconds = (performance.now() - started) / 1000
  figures[entry.name] = { source: source(entry), seconds: Math.round(seconds), seeds: JSON.parse(stdout).result.seeds }
  process.stderr.write(`${entry.name}  ${seconds.toFixed(0)} s\n`)
  writeFileSync(figuresFile, `${JSON.stringify(figures, undefined, 2)}\n`)
}
writeFileSync(pageFile, page(figures))
