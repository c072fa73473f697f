/** Losses: pure tensor functions without host reads or randomness, right at second order on every path to parameters. */
export * from "./Contrastive.ts"
export * from "./Gumbel.ts"
export * from "./MaskedLanguage.ts"
export * from "./Proximal.ts"
export * from "./Supervised.ts"
export * from "./Weighted.ts"
export { outputs } from "../tensor/Outputs.ts"
