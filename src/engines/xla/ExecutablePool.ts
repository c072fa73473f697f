/** Compiled programs by their text: of equal ones a client needs one, also a while after the last use. */
import type { LeafType } from "../../compiler/graph/Graph.ts"
import type { ExecutableFiles } from "./ExecutableFiles.ts"
import { XlaError } from "./pjrt/Api.ts"
import type { Client, Executable } from "./pjrt/Client.ts"

const mostIdle = 16

interface Entry {
  readonly executable: Promise<Executable>
  uses: number
}

/** The executables of one client. */
export interface ExecutablePool {
  /** The program compiled. Each load is to be followed by an unload. */
  readonly load: (program: string, takes: number, results: ReadonlyArray<LeafType>) => Promise<Executable>
  /**
   * An executable that nobody uses stays for a while: a run that is interrupted looks back at its last tick when its steps are
   * let go of already.
   */
  readonly unload: (program: string) => void
  readonly clear: () => Promise<void>
}

/** The executables of one client, on the disk too where there are files for them. */
export const make = (client: Client, files?: ExecutableFiles): ExecutablePool => {
  const entries = new Map<string, Entry>()
  const end = async (program: string, { executable }: Entry): Promise<void> => {
    entries.delete(program)
    client.unload(await executable)
  }
  /** Of a plugin that does not write executables, or does not read one, each is compiled. */
  const unlessRefused = async <A>(work: () => Promise<A>): Promise<A | undefined> => {
    try {
      return await work()
    } catch (cause) {
      if (cause instanceof XlaError) return undefined
      throw cause
    }
  }
  const made = async (program: string, takes: number, results: ReadonlyArray<LeafType>): Promise<Executable> => {
    const bytes = await files?.read(program)
    if (bytes !== undefined) {
      const restored = await unlessRefused(() => client.restore(bytes, takes, results))
      if (restored !== undefined) return restored
      await files?.discard(program)
    }
    const executable = await client.compile(program, takes, results)
    if (files !== undefined) await unlessRefused(() => files.write(program, client.serialize(executable)))
    return executable
  }
  return {
    load: async (program, takes, results) => {
      const known = entries.get(program)
      if (known !== undefined) {
        known.uses++
        return known.executable
      }
      const entry: Entry = { executable: made(program, takes, results), uses: 1 }
      entries.set(program, entry)
      try {
        return await entry.executable
      } catch (cause) {
        entries.delete(program)
        throw cause
      }
    },
    unload: (program) => {
      const entry = entries.get(program)
      if (entry === undefined) return
      entry.uses--
      // A map goes through its entries in the order of their coming: the longest unused is first.
      entries.delete(program)
      entries.set(program, entry)
      const idle = [...entries].filter(([, { uses }]) => uses === 0)
      for (const [text, each] of idle.slice(0, Math.max(0, idle.length - mostIdle))) void end(text, each)
    },
    clear: async () => {
      for (const [program, entry] of entries) await end(program, entry)
    }
  }
}
