// Molecules a second through RDKit on two worker threads, of a file of SMILES (any that the readers take):
//   nice node bench/molecules.ts FILE [how many]
// Beside wall time stands what a second of processor time does, which other programs on the machine do not disturb.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Seed } from "tapweight"
import * as Chemistry from "../molecules/rdkit/Chemistry.ts"
import * as Descriptor from "../molecules/rdkit/Descriptor.ts"
import * as KMeans from "../molecules/structures/KMeans.ts"
import * as Table from "../molecules/tables/Table.ts"

const [file = "", limit = "4000"] = process.argv.slice(2)
const descriptors: ReadonlyArray<Descriptor.Descriptor> = [
  { name: "structure" },
  { name: "maccs" },
  { name: "picture", size: 224 },
  { name: "picture", size: 64 },
  { name: "picture", size: 32 }
]

const program = Effect.gen(function* () {
  const all = yield* Table.allSmiles(file)
  const every = Math.max(1, Math.floor(all.length / Number(limit)))
  const smiles = all.filter((_, i) => i % every === 0)
  const lists = Array.from({ length: Math.ceil(smiles.length / 128) }, (_, i) => smiles.slice(i * 128, (i + 1) * 128))
  const { describe, workers } = yield* Chemistry.Chemistry
  // Both threads start before anything is measured.
  yield* Effect.forEach(lists.slice(0, workers), (list) => describe(descriptors[0]!, list.slice(0, 8)), {
    concurrency: workers
  })
  const keys: Array<Uint8Array> = []
  for (const descriptor of descriptors) {
    const [usage, begun] = [process.cpuUsage(), performance.now()]
    const described = yield* Effect.forEach(lists, (list) => describe(descriptor, list), { concurrency: workers + 1 })
    const seconds = (performance.now() - begun) / 1000
    const used = process.cpuUsage(usage)
    const processor = (used.user + used.system) / 1e6
    const [wall, perSecond] = [smiles.length / seconds, smiles.length / processor].map(Math.round)
    yield* Console.log(
      `${Descriptor.label(descriptor)}: ${wall} a second on ${workers} threads, ${perSecond} a processor second`
    )
    if (descriptor.name !== "maccs") continue
    keys.push(...described.flat().filter(Descriptor.isBytes))
  }
  for (const k of [100, 1000]) {
    const usage = process.cpuUsage()
    const { history } = yield* KMeans.cluster(KMeans.bits(keys, Descriptor.maccsBits), {
      k,
      seed: Seed.make(1),
      iterations: 5
    })
    const used = process.cpuUsage(usage)
    const each = (used.user + used.system) / 1e6 / history.length
    yield* Console.log(`${k} clusters of ${keys.length}: ${each.toFixed(3)} processor seconds an iteration`)
  }
}).pipe(Effect.provide(Chemistry.layer()))

NodeRuntime.runMain(program)
