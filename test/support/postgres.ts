/** A throw-away PostgreSQL server on loopback, in a folder of its own. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { createServer, connect } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"

const versions = "/usr/lib/postgresql"
const folders = [
  ...(process.env["PATH"] ?? "").split(delimiter),
  ...(existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, "bin")) : [])
]
/** Where the server's programs are; undefined where it is not installed. */
const bin = folders
  .filter((folder) => existsSync(join(folder, "initdb")))
  .map((folder) => dirname(realpathSync(join(folder, "initdb"))))
  .find((folder) => ["postgres", "psql"].every((name) => existsSync(join(folder, name))))

/** Root may not run the server: another user, which every system has, does. */
const user = process.getuid?.() !== 0 ? undefined : { uid: 65534, gid: 65534 }

/** Whether a server can be started here. */
export const installed = bin !== undefined
if (!installed) process.stdout.write("skipped: no PostgreSQL server is installed here (initdb and postgres)\n")

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { readonly port: number }
  await new Promise((closed) => server.close(closed))
  return port
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => (socket.destroy(), resolve(true))).once("error", () => resolve(false))
  })

/** A server, and what may befall it. */
export interface Server {
  /** The address of a database of its own, whose password is `secret word`. */
  readonly url: (name: string) => string
  /** Makes a database. */
  readonly database: (name: string) => string
  /** Asks it in SQL; a row a line. */
  readonly ask: (name: string, sql: string) => string
  /** Stops all of its processes where they are, and lets them go on. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Ends it at once, as a crash does, and starts it again. */
  readonly crash: () => Promise<void>
  readonly start: () => Promise<void>
  readonly remove: () => Promise<void>
}

/** Starts a server. */
export const server = async (): Promise<Server> => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tapweight-postgres-")))
  chmodSync(folder, 0o700)
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, "data")
  const options = { cwd: folder, ...user, env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C" } }
  const made = spawnSync(join(bin!, "initdb"), ["-D", data, "-U", "owner", "-A", "trust", "--no-sync", "-E", "UTF8"], {
    ...options,
    encoding: "utf8"
  })
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`)
  const port = await freePort()
  let running: ReturnType<typeof spawn> | undefined
  const settings = ["fsync=off", "shared_buffers=8MB", "max_connections=60", "autovacuum=off", "log_min_messages=panic"]
  const start = async () => {
    const args = ["-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", folder, ...settings.flatMap((s) => ["-c", s])]
    running = spawn(join(bin!, "postgres"), args, { ...options, stdio: "ignore" })
    while (!(await answers(port)) || run("postgres", "SELECT 1").status !== 0) {
      if (running.exitCode !== null) throw new Error(`the server ended with ${running.exitCode}`)
      await new Promise((wake) => setTimeout(wake, 50))
    }
  }
  const run = (name: string, sql: string) =>
    spawnSync(
      join(bin!, "psql"),
      ["-h", "127.0.0.1", "-p", `${port}`, "-U", "owner", "-d", name, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql],
      { encoding: "utf8" }
    )
  const ask = (name: string, sql: string): string => {
    const { status, stderr, stdout } = run(name, sql)
    if (status !== 0) throw new Error(`psql: ${stderr}`)
    return stdout.trim()
  }
  const end = async (signal: NodeJS.Signals) => {
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const ended = once(running, "exit")
    running.kill(signal)
    await ended
  }
  const url = (name: string) => `postgresql://owner:secret%20word@127.0.0.1:${port}/${name}`
  /** The server and those that it has begun. */
  const all = (): ReadonlyArray<number> => {
    const { stdout } = spawnSync("ps", ["-o", "pid=", "--ppid", `${running!.pid}`], { encoding: "utf8" })
    return [running!.pid!, ...stdout.trim().split(/\s+/).filter(Boolean).map(Number)]
  }
  const signal = (name: NodeJS.Signals) => {
    for (const pid of all()) process.kill(pid, name)
  }
  await start()
  return {
    url,
    ask,
    database: (name) => (ask("postgres", `CREATE DATABASE ${name}`), url(name)),
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    // "Immediate": no word to those that are connected, and nothing is written out.
    crash: () => end("SIGQUIT"),
    start,
    remove: async () => {
      await end("SIGQUIT")
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
