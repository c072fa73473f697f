/** Published methods by name: `Problem.close(upper).pipe(Method.soba({ rate: 0.1 }))`. */
export type { Common, Method, Single } from "./methods/Composition.ts"
export * from "./methods/Barrier.ts"
export * from "./methods/Branched.ts"
export * from "./methods/Envelope.ts"
export * from "./methods/Implicit.ts"
export * from "./methods/Penalty.ts"
export * from "./methods/Stochastic.ts"
