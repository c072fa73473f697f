/**
 * A process that runs one command line after another, as its standard input asks for them: starting up is most of what a short command
 * takes. A command is `{ args, cwd, env }` on a line; the answer is `{ code, out, err }` on a line of descriptor 3.
 */
import { writeSync } from "node:fs"
import * as readline from "node:readline"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import * as Cli from "../../src/cli/Cli.ts"
import * as Process from "../../src/cli/launch/Process.ts"

const [node, , main, cli] = process.argv as [string, string, string, string | undefined]
const line: Cli.Cli = cli === undefined ? Cli.make() : (await import(pathToFileURL(cli).href)).default
const own = { ...process.env }

/** What is written to a stream from here on, until it is asked for. */
const kept = (stream: NodeJS.WriteStream): (() => string) => {
  let text = ""
  stream.write = ((chunk: string | Uint8Array, ...rest: ReadonlyArray<unknown>) => {
    text += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString()
    for (const each of rest) if (typeof each === "function") each()
    return true
  }) as typeof stream.write
  return () => {
    const all = text
    text = ""
    return all
  }
}
const [out, err] = [kept(process.stdout), kept(process.stderr)]

for await (const text of readline.createInterface({ input: process.stdin })) {
  const { args, cwd, env } = JSON.parse(text) as { args: ReadonlyArray<string>; cwd: string; env: typeof own }
  process.chdir(cwd)
  process.env = { ...own, ...env }
  process.argv = [node, main, ...args]
  const exit = await Effect.runPromiseExit(Cli.command(line))
  writeSync(3, `${JSON.stringify({ code: Process.codeOfExit(exit), out: out(), err: err() })}\n`)
}
