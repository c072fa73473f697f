import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** What a command line ended with. */
export interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/**
 * A command line whose process stays: each command costs what it does, and no start. What a process is asked from outside (signals,
 * locks, a program that changed under its name, which Node keeps as it was) is for processes of their own.
 */
export const resident = (cli?: string) => {
  let child: ChildProcess | undefined
  let ends: { readonly ask: number; readonly answer: number } | undefined
  let folder = ""
  const start = () => {
    folder = mkdtempSync(join(tmpdir(), "tapweight-resident-"))
    const [asks, answers] = [join(folder, "asks"), join(folder, "answers")]
    execFileSync("mkfifo", [asks, answers])
    // Opened for both first, so that neither side waits for the other to open it; then each end has the one side that closes with it.
    const ask = openSync(asks, "r+")
    const asked = openSync(asks, "r")
    const said = openSync(answers, "r+")
    const answer = openSync(answers, "r")
    const args = [file("residing.ts"), file("../../src/cli/main.ts"), ...(cli === undefined ? [] : [cli])]
    child = spawn(process.execPath, args, { stdio: [asked, "inherit", "inherit", said] })
    for (const end of [asked, said]) closeSync(end)
    return { ask, answer }
  }
  return {
    /** Runs one command in a folder. */
    run: (cwd: string, args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}): Ended => {
      ends ??= start()
      writeSync(ends.ask, `${JSON.stringify({ args, cwd, env })}\n`)
      const chunk = Buffer.alloc(65_536)
      const parts: Array<Buffer> = []
      do {
        const count = readSync(ends.answer, chunk)
        if (count === 0) throw new Error(`the process that stays ended at ${args.join(" ")}`)
        parts.push(Buffer.from(chunk.subarray(0, count)))
      } while (!parts.at(-1)!.includes(10))
      return JSON.parse(Buffer.concat(parts).toString()) as Ended
    },
    /** Ends the process. */
    end: (): void => {
      child?.kill("SIGKILL")
      if (ends !== undefined) for (const end of Object.values(ends)) closeSync(end)
      if (folder !== "") rmSync(folder, { recursive: true })
    }
  }
}
