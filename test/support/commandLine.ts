import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../../experiments/main.ts", import.meta.url))

/** A signal at some moment. */
export interface Blow {
  /** Sent `after` milliseconds from when standard error first matches. */
  readonly when: RegExp
  readonly after: number
  readonly signal: NodeJS.Signals
}

/** Runs the command line, perhaps with a signal at some moment. */
export const tapweight = (
  args: ReadonlyArray<string>,
  { blow, cwd, env }: { readonly blow?: Blow; readonly cwd?: string; readonly env?: { [name: string]: string } } = {}
) =>
  new Promise<{ code: number | null; signal: string | null; out: string; err: string }>((resolve) => {
    const child = spawn(process.execPath, [main, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd,
      env: { ...process.env, ...env }
    })
    let out = ""
    let err = ""
    let timer: NodeJS.Timeout | undefined
    child.stdout.on("data", (chunk) => (out += chunk))
    child.stderr.on("data", (chunk) => {
      err += chunk
      if (blow !== undefined && timer === undefined && blow.when.test(err)) {
        timer = setTimeout(() => child.kill(blow.signal), blow.after)
      }
    })
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, out, err })
    })
  })
