/** What a method gives on one task with one seed, where an encoder is pretrained and then finetuned in several ways. */

/** How long a method trained, and how much of that it waited for data. What all methods start from is not counted. */
export type Seconds = { readonly pretraining: number; readonly finetuning: number; readonly waiting: number }

/** What one finetuning of the kind `F` gave, in the metric of the task. */
export type Scores<F extends string> = {
  readonly finetuning: F
  readonly validation: number
  /** Not a number where test rows were not to be scored. */
  readonly test: number
}

/** What one method gave; `L` are weights of objectives. */
export interface Trained<F extends string, L> {
  /** The trial that pretrained, which tasks may share; empty where nothing was trained but finetuning. */
  readonly pretraining: string
  /** Of each finetuning, in the order of the settings. */
  readonly scores: ReadonlyArray<Scores<F>>
  readonly seconds: Seconds
  readonly updates: { readonly pretraining: number; readonly finetuning: number }
  /** The weights that were learned or chosen, where the method does that. */
  readonly lambda?: L
}
