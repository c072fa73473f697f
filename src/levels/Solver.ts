/** Solvers of `H u = v`, which know H only through products. */
export type { Preconditioner, Solver, SolverCost } from "../dsl/Hypergradient.ts"
export { exact } from "./solver/Dense.ts"
export * from "./solver/Iterative.ts"
export * from "./solver/Nystrom.ts"
export * from "./solver/Preconditioned.ts"
export { stateless } from "./solver/Stateless.ts"
