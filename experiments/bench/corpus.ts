// A corpus as tokens: sentences, bytes held, and the most memory that the process had.
//   node --conditions=tapweight-source experiments/bench/corpus.ts FOLDER wiki.txt.gz [longest] [repeat]
// FOLDER is an encoder's, whose tokenizer is used; the corpus is read `repeat` times over, as one.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { EncoderFolder } from "tapweight"
import * as TextFiles from "../language/corpora/TextFiles.ts"
import * as Tokens from "../language/corpora/Tokens.ts"
import * as Tokenizer from "../language/tokenizers/Tokenizer.ts"

const [folder = ".", file = "wiki.txt", longest = "128", repeat = "1"] = process.argv.slice(2)

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`

const program = Effect.gen(function* () {
  const { config } = yield* EncoderFolder.read(folder)
  const tokenizer = yield* Tokenizer.read(folder, config)
  const before = process.memoryUsage().rss
  const begun = process.cpuUsage()
  const corpus = yield* TextFiles.corpus(file)
  const documents = Stream.flatMap(Stream.range(1, Number(repeat)), () => corpus.documents)
  const tokens = yield* Tokens.read({ ...corpus, documents }, tokenizer, { longest: Number(longest) })
  const seconds = process.cpuUsage(begun).user / 1e6
  const most = process.resourceUsage().maxRSS * 1024
  yield* Console.log(
    `${tokens.count} sentences of ${tokens.documents} documents, ${seconds.toFixed(1)} s of processor time`
  )
  yield* Console.log(`held ${mib(tokens.bytes)}; resident ${mib(before)} before, ${mib(most)} at most`)
})

NodeRuntime.runMain(Effect.provide(program, NodeServices.layer))
