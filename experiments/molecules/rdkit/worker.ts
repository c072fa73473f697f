/** A worker thread of `Chemistry`: describes lists of molecules, one message a molecule. */
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as WorkerRunner from "effect/workers/WorkerRunner"
import { type Description, type Descriptor, isBytes, label } from "./Descriptor.ts"
import * as Rdkit from "./Rdkit.ts"
import { SvgError } from "./Svg.ts"

/** What a worker is asked for: it answers with the {@link Description} of one molecule after another. */
export interface Request {
  readonly descriptor: Descriptor
  readonly smiles: ReadonlyArray<string>
}

let rdkit = await Rdkit.load()
const describers = new Map<string, ReturnType<typeof Rdkit.describer>>()

const describer = (descriptor: Descriptor): ReturnType<typeof Rdkit.describer> => {
  const own = describers.get(label(descriptor)) ?? Rdkit.describer(rdkit, descriptor)
  describers.set(label(descriptor), own)
  return own
}

/** Undefined where RDKit chokes, which may leave it unusable, and so is started anew. */
const attempt = async (descriptor: Descriptor, smiles: string): Promise<Description | undefined> => {
  try {
    return describer(descriptor)(smiles)
  } catch (error) {
    if (error instanceof SvgError) throw error
    rdkit = await Rdkit.load()
    describers.clear()
    return undefined
  }
}

// The first time it may be the molecule before that RDKit choked on.
const describe = async (descriptor: Descriptor, smiles: string): Promise<Description> =>
  (await attempt(descriptor, smiles)) ?? (await attempt(descriptor, smiles)) ?? { reason: "refused" }

/** Answers a request. What is wrong with the code here, and not with a molecule, ends the thread. */
const answer = async ({ descriptor, smiles }: Request, send: (description: Description) => void): Promise<void> => {
  try {
    for (const one of smiles) send(await describe(descriptor, one))
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}

const program = Effect.gen(function* () {
  const runner = yield* (yield* WorkerRunner.WorkerRunnerPlatform).start<Description, Request>()
  const run = (port: number, request: Request): void => {
    const send = (description: Description) =>
      runner.sendUnsafe(port, description, isBytes(description) ? [description.buffer] : [])
    void answer(request, send)
  }
  yield* runner.run<void, never, never>(run)
})

Effect.runFork(Effect.provide(program, NodeWorkerRunner.layer))
