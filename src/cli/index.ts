// The door `tapweight/cli`: a command line with programs and commands of one's own.
export * as Cli from "./Cli.ts"
export * as Exit from "./Exit.ts"
export * as Launch from "./Launch.ts"
export * as Load from "./Load.ts"
export * as Options from "./Options.ts"
