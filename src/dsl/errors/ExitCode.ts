/**
 * What a command exits with, each error for itself under `errorExitCode`, Effect's name for it: an error's class says whose it
 * is to mend.
 */

/** The command did what it was asked for. */
export const done = 0
/** Training failed: numbers that are not finite, an engine that died. */
export const failed = 1
/** The usage, the program or its settings are wrong. */
export const usage = 2
/** A check that was asked for did not hold. */
export const check = 3
/** Data, weights or what a run has stored cannot be used. */
export const refused = 4
/** The program is another one than the run was asked for with: nothing was done. */
export const other = 72
/** Another process works in the run's folder: nothing was done. */
export const live = 73
/** Stopped by TERM, with a checkpoint. */
export const terminated = 75
/** Stopped by Ctrl-C, with a checkpoint. */
export const interrupted = 130
