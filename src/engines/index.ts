// The door `tapweight/engine`: what an engine of one's own is made of.
export * from "./Engine.ts"
export { StepFailure } from "../runtime/step/Evaluation.ts"
export type { Step } from "../runtime/step/Step.ts"
