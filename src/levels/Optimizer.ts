/** How a level's variable moves: methods, what may be piped around them, and which leaves they move. */
export { make, type Optimizer, type Stationarity } from "../dsl/Optimizer.ts"
export * from "./optimizer/Combinators.ts"
export * from "./optimizer/Groups.ts"
export * from "./optimizer/Methods.ts"
export * from "./optimizer/Projections.ts"
export * from "./optimizer/Timing.ts"
