import { enableCompileCache } from "node:module"

// Before anything else is loaded: what Node has compiled once, it need not compile at every start.
enableCompileCache()
const { Cli } = await import("tapweight/cli")
const { default: commandLine } = await import("./commandLine.ts")
Cli.run(commandLine)
