// The door `tapweight/cli`: a command line with programs and commands of one's own.
export * as Cli from "./Cli.ts"
/** Exit codes of the command line. */
export * as Exit from "./launch/Exit.ts"
/** What commands that start a run have in common. */
export * as Launch from "./launch/Launch.ts"
/** Programs from files and by name. */
export * as Load from "./launch/Load.ts"
/** Flags and arguments of commands. */
export * as Options from "./Options.ts"
/** Words as a shell takes them. */
export * as Shell from "../runs/view/Shell.ts"
