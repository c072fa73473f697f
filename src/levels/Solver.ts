/** Solvers of `H u = v`, which know H only through products. */
export { exact } from "./solver/Dense.ts"
export * from "./solver/Iterative.ts"
export * from "./solver/Nystrom.ts"
export * from "./solver/Preconditioned.ts"
