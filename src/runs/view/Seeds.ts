/** Trials by what they are trials of: those that differ in their seed alone are one method's. The live page takes this file as it is. */

/** The method of a trial and its seed, by its name: `task/seed-3/search`, `rate=0.1, seed 0`; the seed is empty where none is named. */
export const seeded = (trial: string): readonly [method: string, seed: string] => {
  const parts = trial.split("/")
  const at = parts.findIndex((part) => /^s(?:eed)?[-_ ]?\d+$/.test(part))
  if (at >= 0) return [parts.filter((_, i) => i !== at).join("/"), /\d+$/.exec(parts[at]!)![0]]
  const match = /^(.*?)[\s,/_-]*\bs(?:eed)?[\s-]*(\d+)$/.exec(trial)
  return match === null ? [trial, ""] : [match[1]!, match[2]!]
}
