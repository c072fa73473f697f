/** Laws that any problem can be held against. */
export type { Law, Options } from "./Property.ts"
export { defaults, LawError } from "./Property.ts"
export { declarationOrder } from "./laws/DeclarationOrder.ts"
export { engines } from "./laws/Engines.ts"
export { gradientReaches } from "./laws/GradientReaches.ts"
export { hypergradient, type Options as HypergradientOptions } from "./laws/Hypergradient.ts"
export { nothingLeft } from "./laws/Endings.ts"
export { resume } from "./laws/Resume.ts"
