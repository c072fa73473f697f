/** The card of an adapted encoder, which the hub shows beside its files. */

/** How an encoder was made. */
export interface Card {
  readonly method: string
  readonly task: string
  readonly seed: number
  readonly ticks: number
  readonly objectives: ReadonlyArray<string>
  readonly trial: string
  readonly run: string
}

/** The card's text. `encoder` is the folder that was adapted, `corpora` the texts that it was pretrained on. */
export const text = (
  { method, objectives, run, seed, task, ticks, trial }: Card,
  given: { readonly encoder: string; readonly corpora: ReadonlyArray<string> }
): string =>
  [
    "---",
    "library_name: transformers",
    "tags: [tapweight, continued-pretraining]",
    "---",
    "",
    `# An encoder pretrained further for ${task}`,
    "",
    `Made from ${given.encoder} by the method ${method} of tapweight, with seed ${seed}: ${ticks} updates on ${objectives.join(", ")}, over ${given.corpora.join(", ")}.`,
    "",
    `The weights of the objectives over the updates, the settings, and the hashes of what was read are in run ${run}, trial ${trial}.`,
    "What the encoder it was made from may be used for, and what it was trained on, holds for this one as well.",
    ""
  ].join("\n")
