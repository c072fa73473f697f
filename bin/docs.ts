/**
 * Writes the reference in docs/api from the declarations in dist/ and their comments: `node bin/docs.ts`.
 * With `--check` it writes nothing and fails where the reference is not what it would write.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Door, doors, type Name, type Namespace, root } from "./publicNames.ts"

const folder = join(root, "docs", "api")

const declared = (): ReadonlyArray<Door> => {
  const at = join(root, ".cache", "declarations")
  mkdirSync(at, { recursive: true })
  const compilerOptions = { customConditions: [] }
  const include = ["../../dist/**/*.d.ts"]
  writeFileSync(join(at, "tsconfig.json"), JSON.stringify({ extends: "../../tsconfig.json", compilerOptions, include }))
  try {
    return doors(join(".cache", "declarations", "tsconfig.json"), "types")
  } finally {
    rmSync(at, { recursive: true })
  }
}

/** `{@link Level.fix}` as code: names in the reference are found by their headings. */
const plain = (doc: string): string => doc.replace(/\{@link ([^}]+)\}/g, "`$1`")

const firstSentence = (doc: string): string =>
  (/^.*?\.(?=\s|$)/s.exec(plain(doc))?.[0] ?? plain(doc)).replace(/\s+/g, " ")

const section = ({ declarations, doc, name }: Name): string =>
  `## ${name}\n\n${plain(doc)}\n\n\`\`\`ts\n${declarations.join("\n\n")}\n\`\`\`\n`

/** What a namespace is about: what its door says of it, else what its type of the same name is. */
const about = ({ doc, name, names }: Namespace): string =>
  doc !== "" ? doc : (names.find((each) => each.name === name)?.doc ?? "")

const fileOf = (door: string, { name }: Namespace): string =>
  `${[...door.split("/").slice(1), ...(name === "" ? ["names"] : [name])].join("-")}.md`

const page = (door: string, namespace: Namespace): string => {
  const title = namespace.name === "" ? door : namespace.name
  const imported = namespace.name === "" ? namespace.names.map(({ name }) => name).join(", ") : namespace.name
  const head = `# ${title}\n\n\`import { ${imported} } from "${door}"\`\n`
  const text = namespace.doc === "" ? "" : `\n${plain(namespace.doc)}\n`
  return `${head}${text}\n${namespace.names.map(section).join("\n")}`
}

const index = (all: ReadonlyArray<Door>): string => {
  const table = ({ door, namespaces }: Door) =>
    `## ${door}\n\n${namespaces
      .map((namespace) => {
        const { name, names } = namespace
        const title = name === "" ? names.map((each) => each.name).join(", ") : name
        const text =
          name === "" ? names.map((each) => firstSentence(each.doc)).join(" ") : firstSentence(about(namespace))
        return `- [${title}](${fileOf(door, namespace)}): ${text}`
      })
      .join("\n")}\n`
  return `# Reference

Written from the doc comments by \`npm run docs\`. Examples leave imports out; a test runs them (\`// =>\` says what a line is).

${all.map(table).join("\n")}`
}

const pages = (all: ReadonlyArray<Door>): ReadonlyMap<string, string> =>
  new Map([
    ["README.md", index(all)],
    ...all.flatMap(({ door, namespaces }) =>
      namespaces.map((namespace) => [fileOf(door, namespace), page(door, namespace)] as const)
    )
  ])

const wanted = pages(declared())
const present = existsSync(folder) ? readdirSync(folder) : []
if (process.argv.includes("--check")) {
  const stale = [...new Set([...wanted.keys(), ...present])].filter(
    (file) => !present.includes(file) || readFileSync(join(folder, file), "utf8") !== wanted.get(file)
  )
  if (stale.length > 0) {
    process.stderr.write(`docs/api is not what the doc comments say (${stale.join(", ")}): npm run docs\n`)
    process.exit(1)
  }
} else {
  mkdirSync(folder, { recursive: true })
  for (const file of present) if (!wanted.has(file)) rmSync(join(folder, file))
  for (const [file, text] of wanted) writeFileSync(join(folder, file), text)
}
