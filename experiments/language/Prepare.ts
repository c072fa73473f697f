/** What the settings name: an encoder, tasks and corpora, read once. */
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { Dataset, EncoderFolder, JsonFile, MaskedHead, Seed, Split } from "tapweight"
import * as Input from "../common/Input.ts"
import * as Corpus from "./corpora/Corpus.ts"
import * as TextFiles from "./corpora/TextFiles.ts"
import * as Tokens from "./corpora/Tokens.ts"
import * as Card from "./methods/Card.ts"
import type { Base } from "./methods/Levels.ts"
import type { Given } from "./methods/Methods.ts"
import { examplesOf, labelled, labelsOf, ofSeed, rowsBy } from "./methods/Task.ts"
import { contrast } from "./objectives/Contrast.ts"
import { masked } from "./objectives/Masked.ts"
import type { Objective, Setting } from "./objectives/Objective.ts"
import { order, place } from "./objectives/Order.ts"
import { supervised } from "./objectives/Supervised.ts"
import { type Documents, halves, joined } from "./objectives/Texts.ts"
import { ofTask, type Settings } from "./Settings.ts"
import type * as Pcp from "./prompts/Pcp.ts"
import * as Prompt from "./prompts/Prompt.ts"
import { prompts } from "./prompts/Prompts.ts"
import type { Example, Task } from "./tasks/Task.ts"
import * as Parting from "./tasks/Parting.ts"
import * as Tasks from "./tasks/Tasks.ts"
import * as Pieces from "./tokenizers/Pieces.ts"
import * as Tokenizer from "./tokenizers/Tokenizer.ts"

const readTask = ({ data, parts }: Settings, name: string) =>
  Effect.flatMap(Tasks.named(data, name), (place) => Tasks.make(place, { ...parts, seed: Parting.defaultSeed }))

/** A name of an objective: of lower-case letters, digits and dashes. */
const plain = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")

/** The encoder with its tokenizer and, where tokens are to be hidden, its head for them. */
const readEncoder = Effect.fnUntraced(function* ({ encoder, head, methods, objectives }: Settings) {
  const folder = yield* EncoderFolder.read(encoder)
  const tokenizer = yield* Tokenizer.read(encoder, folder.config)
  if (!objectives.includes("mlm") && !methods.includes("pcp")) return { folder, tokenizer, head: undefined }
  const own = head === "new" ? MaskedHead.init(folder.config)(Seed.make(0)) : yield* EncoderFolder.masked(folder)
  return { folder, tokenizer, head: own }
})

/** A task's prompt. Fails with a `DataError` where there is none, or not a word for each class. */
const promptOf = ({ prompts: own }: Settings, { kind, name, train }: Task) => {
  const prompt = own[name] ?? prompts[name]
  const refuse = (reason: string) => Effect.fail(new Dataset.DataError({ dataset: name, reason }))
  if (prompt === undefined) {
    return refuse(
      `the method 'pcp' has no prompt for it: give prompts.${name} a template and a word for each class, or leave 'pcp' out`
    )
  }
  const wanted = kind.type === "classes" ? kind.names : ["low", "high"]
  if (prompt.words.length !== wanted.length) {
    return refuse(`its prompt has ${prompt.words.length} words; give one for each of ${wanted.join(", ")}`)
  }
  const pairs = (train as ReadonlyArray<Example>)[0]!.pair !== undefined
  if (prompt.template.includes("{pair}") === pairs) return Effect.succeed(prompt)
  return refuse(
    `its prompt '${prompt.template}' ${pairs ? "lacks {pair}, and its texts come in pairs" : "has {pair}, and its texts come alone"}`
  )
}

/** The objectives on a task's corpora. Fails with a `DataError` where a corpus has no documents of several sentences and one needs them. */
const objectivesOf = Effect.fnUntraced(function* (
  settings: Settings,
  setting: Setting,
  head: MaskedHead.HostParams | undefined,
  corpora: ReadonlyArray<readonly [name: string, texts: Documents]>,
  auxiliary: ReadonlyArray<Objective<Dataset.DataError>>
) {
  const all = joined(corpora.map(([, texts]) => texts))
  const lacking = (objective: string, remedy: string) => {
    const reason = `no document of it has two sentences, which the objective '${objective}' reads: ${remedy}`
    return new Dataset.DataError({ dataset: all.name, reason })
  }
  const found: Array<Objective<Dataset.DataError>> = []
  for (const name of settings.objectives) {
    if (name === "mlm") {
      for (const [corpus, texts] of corpora) {
        found.push(masked(setting, texts, { head: head!, name: corpora.length === 1 ? name : `mlm-${plain(corpus)}` }))
      }
    } else if (name === "contrast") found.push(contrast(setting, all, { temperature: settings.temperature }))
    else if (name === "place") {
      if (all.pairs.length === 0)
        return yield* lacking(name, "give a corpus of documents, or leave it out of objectives")
      found.push(place(setting, all, { bins: settings.bins }))
    } else {
      const texts = settings.pairs === "halves" ? halves(all) : all
      if (texts.pairs.length === 0) return yield* lacking(name, "give a corpus of documents, or pairs=halves")
      found.push(order(setting, texts))
    }
  }
  return [...found, ...auxiliary]
})

/** Everything that the settings name. */
export const prepare = Effect.fnUntraced(function* (settings: Settings) {
  const { batch, corpora: names, length, pooling, sentences: most, vocabulary } = settings
  const { folder, head, tokenizer: whole } = yield* readEncoder(settings)
  const tasks = yield* Effect.forEach(settings.tasks, (name) => readTask(settings, name))
  const twice = tasks.find(({ name }, i) => tasks.findIndex((other) => other.name === name) !== i)
  if (twice !== undefined) {
    const reason = "two tasks have this name, and their results would be mixed: give each schema a name of its own"
    return yield* new Dataset.DataError({ dataset: twice.name, reason })
  }
  const others = yield* Effect.forEach(settings.auxiliary, (name) => readTask(settings, name))
  const tokens = (corpus: Corpus.Corpus) =>
    Tokens.read(corpus, whole, { longest: length.pretrain, ...(most === null ? {} : { most }) })
  const textOf = ({ name, train }: Task) => tokens(Corpus.ofExamples(`text of ${name}`, train))
  const own = new Map<string, Tokens.Tokens>()
  const elsewhere = names.filter((name) => name !== ofTask)
  const read = yield* Effect.forEach(elsewhere, (file) =>
    Effect.gen(function* () {
      const corpus = yield* TextFiles.corpus(file, { unit: settings.lines })
      const texts = yield* tokens(corpus)
      return { file, texts, input: yield* Tokens.input(corpus, texts) }
    })
  )
  const files = new Map(read.map(({ file, texts }) => [file, texts]))
  for (const task of tasks) own.set(task.name, yield* textOf(task))
  const known = vocabulary === null ? [] : yield* Effect.forEach(others, textOf)
  const counts = vocabulary === null ? [] : Pieces.counts(whole, [...files.values(), ...own.values(), ...known])
  const asked = settings.methods.includes("pcp") ? yield* Effect.forEach(tasks, (task) => promptOf(settings, task)) : []
  // What prompts say is kept whatever the texts have.
  if (vocabulary !== null) {
    for (const prompt of asked) for (const id of Prompt.tokensOf(whole, prompt)) counts[id] = Infinity
  }
  const pieces = Pieces.cut(
    { config: folder.config, encoder: folder.encoder, head, tokenizer: whole },
    counts,
    vocabulary ?? whole.size
  )
  const { tokenizer } = pieces
  const setting: Setting = {
    config: pieces.config,
    tokenizer,
    batch: batch.pretrain,
    length: length.pretrain,
    pooling
  }
  const base: Base = { setting, encoder: pieces.encoder }
  const auxiliary = others.map(({ kind, name, train }) =>
    supervised(setting, labelled(rowsBy(tokenizer, length.pretrain), kind, train), kind, { name: plain(name) })
  )
  const keep: Given["keep"] = Effect.fnUntraced(function* (at, { encoder, heads }, card) {
    const now = pieces.whole(encoder, (heads?.["mlm"] ?? pieces.head) as MaskedHead.HostParams | undefined)
    yield* EncoderFolder.write(at, {
      config: folder.config,
      encoder: now.encoder,
      ...(now.head === undefined ? {} : { head: { masked: now.head } }),
      tokenizer: settings.encoder
    })
    const said = Card.text(card, { encoder: settings.encoder, corpora: names })
    yield* JsonFile.replace((yield* Path.Path).join(at, "README.md"), new TextEncoder().encode(said))
  })
  const promptsOf = Effect.fnUntraced(function* (task: Task, prompt: Prompt.Prompt | undefined) {
    if (prompt === undefined) return undefined
    const [tokens, lines] = yield* Effect.try({
      try: () => [length.task, length.pretrain].map((longest) => Prompt.make(tokenizer, prompt, longest)),
      catch: (error) => new Dataset.DataError({ dataset: task.name, reason: `its prompt: ${(error as Error).message}` })
    })
    const { kind } = task
    const all: ReadonlyArray<Example> = task.train
    const seeded = (seed: number): Pcp.Task => ({
      kind,
      tokens: tokens!,
      lines: lines!,
      // As many as pretraining comes to see: a draw of all, each of which it would see once.
      texts: Array.from(
        Seed.permutation(Seed.fold(Seed.make(seed), "prompts"), all.length).subarray(
          0,
          settings.ticks * batch.pretrain
        ),
        (at) => all[at]!
      ),
      ...Split.map(examplesOf(settings, task, seed), (texts) => ({ texts, labels: labelsOf(kind, texts) }))
    })
    return { seeded, model: { encoder: pieces.encoder, masked: pieces.head! } }
  })
  const given = yield* Effect.forEach(tasks, (task, i) =>
    Effect.gen(function* () {
      const text = own.get(task.name)!
      const corpora = names.map((name) => [name, name === ofTask ? text : files.get(name)!] as const)
      const objectives = yield* objectivesOf(settings, setting, pieces.head, corpora, auxiliary)
      const alone = names.length === 1 && names[0] === ofTask
      const same = objectives.find(({ name }) => name === (alone ? "mlm" : `mlm-${ofTask}`))
      return {
        ...task,
        given: {
          base,
          objectives,
          own: same ?? (pieces.head === undefined ? undefined : masked(setting, text, { head: pieces.head })),
          prompts: yield* promptsOf(task, asked[i]),
          scope: names.includes(ofTask) ? `${task.name}/texts` : "texts",
          keep
        } satisfies Given as Given
      }
    })
  )
  for (const { summary } of [...tasks, ...others]) yield* Effect.logInfo(summary)
  if (pieces.unknown > 0) {
    const share = (100 * pieces.unknown).toFixed(1)
    yield* Effect.logInfo(
      `vocabulary: ${tokenizer.size} of ${whole.size} tokens; ${share} % of the text is read as unknown`
    )
  }
  const row = rowsBy(tokenizer, length.task)
  return {
    tasks: given,
    /** A task as one seed has it. */
    seeded: (task: (typeof given)[number], seed: number) => ofSeed(settings, row, task, seed),
    /** The objectives' names, which are those of every task. */
    names: given[0]!.given.objectives.map(({ name }) => name),
    inputs: {
      data: [...[...tasks, ...others].flatMap(({ inputs }) => inputs), ...read.map(({ input }) => input)],
      weights: [yield* Input.ofWeights(folder.file)]
    }
  }
})

/** What {@link prepare} gives. */
export type Data = Effect.Success<ReturnType<typeof prepare>>
