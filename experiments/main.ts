import { enableCompileCache } from "node:module"

// Before anything else is loaded: what Node has compiled once, it need not compile at every start.
enableCompileCache()
await import("./commandLine.ts")
