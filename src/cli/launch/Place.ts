/** Where in an author's code an error comes from: the file, the line, and the code there. */
import { spawnSync } from "node:child_process"
import { readFileSync, statSync } from "node:fs"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"
import { errorExitCode } from "effect/Runtime"

interface Place {
  readonly file: string
  readonly line: number
  readonly column: number | undefined
}

/** An error and what caused it, the innermost first. */
const chainOf = (error: unknown): ReadonlyArray<Error> => {
  const chain: Array<Error> = []
  for (let next = error; next instanceof Error && !chain.includes(next); next = next.cause) chain.unshift(next)
  return chain
}

const library = fileURLToPath(new URL("../..", import.meta.url))
const isOwn = (file: string): boolean => file.startsWith(library) || /[/\\]node_modules[/\\]/.test(file)
const pathOf = (name: string): string => (name.startsWith("file:") ? fileURLToPath(name) : name)

const framed = (stack: string): Place | undefined => {
  for (const [, name, line, column] of stack.matchAll(
    /^ {4}at (?:.*\()?((?:file:\/\/)?\/[^()\n]*?|[A-Z]:\\[^()\n]*?):(\d+):(\d+)\)?$/gm
  )) {
    const file = pathOf(name!)
    if (!isOwn(file)) return { file, line: Number(line), column: Number(column) }
  }
  return undefined
}

/** Node writes the place of a mistake in syntax before its message, and the code under it. */
const headed = (stack: string): Place | undefined => {
  const match = /^((?:file:\/\/)?\/[^\n]*?):(\d+)\n(?:[^\n]*\n)*?( *)\^/.exec(stack)
  if (match === null) return undefined
  const file = pathOf(match[1]!)
  return isOwn(file) ? undefined : { file, line: Number(match[2]), column: match[3]!.length + 1 }
}

const longest = 2 ** 24

const codeAt = ({ column, file, line }: Place): ReadonlyArray<string> => {
  try {
    const { size } = statSync(file)
    const code = size > longest ? undefined : readFileSync(file, "utf8").split("\n")[line - 1]
    if (code === undefined || code.length > 300) return []
    return [`    ${code}`, ...(column === undefined ? [] : [`    ${" ".repeat(column - 1)}^`])]
  } catch {
    return []
  }
}

// What a program refuses in so many words says itself what and where: its exit code marks it as such.
const isRefusal = (error: Error): boolean => errorExitCode in error

/** The place of an error, in lines of text; none where no code but this library's is to blame, or what it says is enough. */
export const linesOf = (error: unknown): ReadonlyArray<string> => {
  for (const cause of chainOf(error)) {
    if (isRefusal(cause)) continue
    const { stack = "" } = cause
    const place = headed(stack) ?? framed(stack)
    if (place === undefined) continue
    const near = relative(process.cwd(), place.file)
    const name = near.startsWith("..") ? place.file : near
    return [`  at ${name}:${place.line}${place.column === undefined ? "" : `:${place.column}`}`, ...codeAt(place)]
  }
  return []
}

/** A mistake in a file's syntax, with its place: what Node says when it checks the file, where the import said less. */
export const syntaxOf = (cause: unknown, file: string): unknown => {
  if (!(cause instanceof SyntaxError) || linesOf(cause).length > 0) return cause
  const { stderr } = spawnSync(process.execPath, ["--check", file], { encoding: "utf8", timeout: 10_000 })
  return headed(stderr) === undefined ? cause : Object.assign(new SyntaxError(cause.message), { stack: stderr })
}

/** Whether the log level asked for on the command line shows stacks. */
export const isDebugging = (args: ReadonlyArray<string>): boolean =>
  /(?:^| )--log-level[ =](?:all|trace|debug)(?: |$)/i.test(args.join(" "))

/** The innermost error's stack. */
export const stackOf = (error: unknown): string => chainOf(error)[0]?.stack ?? ""
