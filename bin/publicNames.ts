/** What the package exports, read from its types: doors, their namespaces, and the names in each. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Node } from "typescript/unstable/ast"
import { API, type Checker, type Project, type Symbol, SymbolFlags } from "typescript/unstable/sync"

export const root = fileURLToPath(new URL("..", import.meta.url))

/** An exported name: a value, a type, or both. */
export interface Name {
  readonly name: string
  readonly value: boolean
  readonly type: boolean
  /** Its doc comment, examples included. */
  readonly doc: string
  /** Its declarations as they are written, `export declare` and comments before them left out. */
  readonly declarations: ReadonlyArray<string>
}

/** A namespace of a door, such as `Level`; the door's own names have the empty namespace. */
export interface Namespace {
  readonly name: string
  readonly doc: string
  readonly names: ReadonlyArray<Name>
}

/** An entry of the package's `exports`. */
export interface Door {
  readonly door: string
  readonly namespaces: ReadonlyArray<Namespace>
}

type Exports = { readonly [door: string]: string | { readonly "tapweight-source": string; readonly types: string } }

const resolved = (checker: Checker, symbol: Symbol): Symbol =>
  (symbol.flags & SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)

/** The schema that a class or a type is made from, where the module keeps it to itself: it has the fields. */
const schemaOf = (node: Node, text: string): ReadonlyArray<string> => {
  const name = /extends (\w+_base)\b/.exec(text)?.[1] ?? /^type \w+ = typeof (\w+)\.Type;/.exec(text)?.[1]
  const own = node.getSourceFile().statements.map((statement) => statement.getText())
  return own
    .filter((statement) => statement.startsWith(`declare const ${name}:`))
    .map((statement) => statement.slice(8))
}

const textOf = (project: Project, symbol: Symbol): ReadonlyArray<string> =>
  symbol.declarations.flatMap((handle) => {
    const node = handle.resolve(project)!
    // A constant's declaration is the statement around it.
    const isConstant = node.parent?.parent?.kind !== undefined && /^\w+\s*[:=]/.test(node.getText())
    const text = (isConstant ? node.parent.parent : node).getText().replace(/^export (declare )?/, "")
    return [text, ...schemaOf(node, text)]
  })

/** A doc comment's text, and after it what its `@example` tags show. */
const commentOf = (checker: Checker, symbol: Symbol): string =>
  [
    symbol.getDocumentationComment(checker),
    ...symbol
      .getJsDocTags(checker)
      .flatMap(({ name, text }) => (name === "example" && text !== undefined ? [`\`\`\`ts\n${text}\n\`\`\``] : []))
  ].join("\n\n")

const nameOf = (project: Project, exported: Symbol): Name => {
  const symbol = resolved(project.checker, exported)
  return {
    name: exported.name,
    value: (symbol.flags & SymbolFlags.Value) !== 0,
    type: (symbol.flags & SymbolFlags.Type) !== 0,
    doc: commentOf(project.checker, symbol),
    declarations: textOf(project, symbol)
  }
}

const isInternal = (checker: Checker, exported: Symbol): boolean =>
  resolved(checker, exported)
    .getJsDocTags(checker)
    .some(({ name }) => name === "internal")

const namesOf = (project: Project, module: Symbol): ReadonlyArray<Name> =>
  project.checker
    .getExportsOfModule(module)
    .filter((exported) => !isInternal(project.checker, exported))
    .map((exported) => nameOf(project, exported))

/** The doc comment before `export * as Name`, which the compiler does not count as the name's. */
const docOf = (project: Project, exported: Symbol): string => {
  const statement = exported.declarations[0]?.resolve(project)?.parent
  const text = statement?.getFullText() ?? ""
  return /\/\*\*\s*(.*?)\s*\*\/\s*export \* as \w+/s.exec(text)?.[1]?.replace(/\s*\n\s*\* ?/g, "\n") ?? ""
}

const isNamespace = (checker: Checker, exported: Symbol): boolean =>
  (resolved(checker, exported).flags & SymbolFlags.ValueModule) !== 0

const namespacesOf = (project: Project, file: string): ReadonlyArray<Namespace> => {
  const { checker, program } = project
  const source = program.getSourceFile(file)
  if (source === undefined) throw new Error(`${file} is not a file of ${project.configFileName}`)
  const module = checker.getSymbolAtLocation(source)!
  const all = checker.getExportsOfModule(module)
  const own = namesOf(project, module).filter(({ name }) => {
    const exported = all.find((symbol) => symbol.name === name)!
    return !isNamespace(checker, exported)
  })
  const namespaces = all
    .filter((exported) => isNamespace(checker, exported))
    .map((exported) => ({
      name: exported.name,
      doc: docOf(project, exported),
      names: namesOf(project, resolved(checker, exported))
    }))
  return [...(own.length === 0 ? [] : [{ name: "", doc: "", names: own }]), ...namespaces]
}

/** The package's doors, as the sources (`tapweight-source`) or the declarations (`types`) have them. */
export const doors = (config: string, condition: "tapweight-source" | "types"): ReadonlyArray<Door> => {
  const { exports, name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: Exports
    readonly name: string
  }
  const api = new API({ cwd: root })
  try {
    const snapshot = api.updateSnapshot({ openProjects: [join(root, config)] })
    const project = snapshot.getProject(join(root, config))
    if (project === undefined) throw new Error(`${config} is no project`)
    return Object.entries(exports).flatMap(([door, target]) =>
      typeof target === "string"
        ? []
        : [{ door: join(name, door), namespaces: namespacesOf(project, join(root, target[condition])) }]
    )
  } finally {
    api.close()
  }
}
