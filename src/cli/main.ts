#!/usr/bin/env node
import * as module from "node:module"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
// Of an older Node the first thing read would be a missing export of its own, and a program in TypeScript could not be run.
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `error  tapweight needs Node 22.19 or later, which runs TypeScript as it is written; this is ${process.version}\n`
  )
  process.exit(2)
}
// Before anything else is loaded: what Node has compiled once, it need not compile at every start.
module.enableCompileCache()
const Cli = await import("./Cli.ts")
Cli.run(Cli.make())
