import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** Benchmark data and independent numbers that lie beside the project, where they are present. */
export const shared = (path: string): string => fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url))

/** Whether such a file is there; tests that need an absent one skip and say so. */
export const present = (path: string): boolean => {
  const there = existsSync(shared(path))
  if (!there) process.stdout.write(`skipped: ../shared/${path} is not here\n`)
  return there
}

export const json = (path: string): any => JSON.parse(readFileSync(shared(path), "utf8"))
