/** Published methods by name: `Problem.close(upper).pipe(Method.soba({ rate: 0.1 }))`. */
export * from "./methods/Implicit.ts"
export * from "./methods/Penalty.ts"
