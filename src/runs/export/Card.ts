/**
 * A model card as the hub reads it: front matter with `model-index`, and what the manifest knows in words. What it does not know is
 * left out: an empty heading says less than none.
 */
import * as Arr from "effect/Array"
import type { Manifest } from "../folder/Manifest.ts"
import type { ResultFile } from "../folder/ResultFile.ts"
import type { Score } from "../folder/Score.ts"
import { deviation, mean } from "../statistics/Statistics.ts"
import type { Entries } from "../trial/Config.ts"

const quoted = (text: string): string => JSON.stringify(text)

const index = (program: string, scores: ReadonlyArray<Score>): ReadonlyArray<string> =>
  Arr.dedupe(scores.map(({ method }) => method)).flatMap((method) => [
    `  - name: ${quoted(`${program} ${method}`)}`,
    "    results:",
    ...Arr.dedupe(scores.map(({ task }) => task)).flatMap((task) => {
      const own = scores.filter((score) => score.method === method && score.task === task)
      return Arr.dedupe(own.map(({ split }) => split)).flatMap((split) => [
        `      - task: { type: ${quoted(task)} }`,
        `        dataset: { type: ${quoted(task)}, name: ${quoted(task)}, split: ${split} }`,
        "        metrics:",
        ...Arr.dedupe(own.filter((score) => score.split === split).map(({ metric }) => metric)).flatMap((metric) => {
          const values = own
            .filter((score) => score.split === split && score.metric === metric)
            .map(({ value }) => value)
          const args = [`seeds: ${values.length}`, ...(values.length > 1 ? [`deviation: ${deviation(values)}`] : [])]
          return [
            `          - type: ${quoted(metric)}`,
            `            value: ${mean(values)}`,
            `            args: { ${args.join(", ")} }`
          ]
        })
      ])
    })
  ])

/** Text in which no line of it becomes a heading, a link or markup. */
const plain = (text: string): string => text.replace(/[\\`*_{}[\]<>#|]/g, (c) => `\\${c}`)

/** The card of a finished run. */
export const text = (manifest: Manifest, entries: Entries, result: ResultFile): string => {
  const { data, engine, git, run, seeds, weights } = manifest
  const scores = result.scores ?? []
  const licences = Arr.dedupe([...data, ...weights].map(({ licence }) => licence))
  return [
    "---",
    "tags: [tapweight, multi-level-optimization]",
    ...(scores.length === 0 ? [] : ["model-index:", ...index(result.program, scores)]),
    "---",
    "",
    `# ${plain(result.program)} ${run}`,
    "",
    "Written from the run's manifest and result; nothing here was written by hand.",
    "",
    "## Result",
    "",
    ...result.text.split("\n").map((line) => `    ${line}`),
    ...(data.length === 0
      ? []
      : [
          "",
          "## Data",
          "",
          ...data.map(
            ({ dropped, licence, name, read, source, split }) =>
              `- ${plain(name)}: ${read} rows read, ${dropped.reduce((sum, { rows }) => sum + rows, 0)} dropped, split by ${plain(split.rule)}; ${plain(licence)}; ${plain(source)}`
          )
        ]),
    ...(weights.length === 0
      ? []
      : [
          "",
          "## Weights begun with",
          "",
          ...weights.map(({ file, licence, sha256 }) => `- ${plain(file)} (SHA-256 ${sha256}), ${plain(licence)}`)
        ]),
    ...(licences.length === 0 ? [] : ["", `Licences of what it was made from: ${plain(licences.join("; "))}.`]),
    "",
    "## To repeat",
    "",
    `Seed ${seeds.root}, engine ${engine.provider}${git === null ? "" : `, commit ${git.commit}${git.dirty ? " with changes" : ""}`}.`,
    "",
    ...Object.entries(entries).map(([path, { value }]) => `- \`${path}\` = ${plain(JSON.stringify(value))}`),
    ""
  ].join("\n")
}
