/**
 * The prompts of the tasks (Shi and Lipani 2023, who took most from Gao et al. 2021), words in the order of the task's labels. Sentences' roles
 * have none there: the role before the sentence is ours.
 */
import type { Prompt } from "./Prompt.ts"

const polarity = ["terrible", "great"] as const
const agreement = ["No", "Yes"] as const
const inference: Prompt = { template: "{text} ? {word} , {pair}", words: ["Yes", "Maybe", "No"] }
const news: Prompt = { template: "{text} It was {word} .", words: ["world", "sports", "business", "tech"] }

/** Prompts by the tasks' names. */
export const prompts: { readonly [task: string]: Prompt } = {
  cola: { template: "{text} This is {word} .", words: ["incorrect", "correct"] },
  "sst-2": { template: "{text} It was {word} .", words: polarity },
  imdb: { template: "{text} It was {word} .", words: polarity },
  "ag-news": news,
  "ag-news-10k": news,
  mrpc: { template: "{text} {word} , {pair}", words: agreement },
  qqp: { template: "{text} {word} , {pair}", words: agreement },
  "sts-b": { template: "{text} {word} , {pair}", words: agreement },
  mnli: inference,
  "mnli-matched": inference,
  "mnli-mismatched": inference,
  qnli: { template: "{text} ? {word} , {pair}", words: ["Yes", "No"] },
  rte: { template: "{text} . {word} , I think that {pair}", words: ["Clearly", "Yet"] },
  rct: { template: "{word} : {text}", words: ["background", "conclusions", "methods", "objective", "results"] },
  csabstruct: { template: "{word} : {text}", words: ["background", "objective", "method", "result", "other"] },
  piboso: {
    template: "{word} : {text}",
    words: ["background", "population", "intervention", "outcome", "design", "other"]
  }
}
