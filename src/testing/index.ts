// Property-based testing of level wiring: arbitraries on fast-check, and laws that any problem can be held against.
export * as Arbitrary from "./Arbitrary.ts"
export * as Law from "./Law.ts"
export * as Quadratic from "./Quadratic.ts"
