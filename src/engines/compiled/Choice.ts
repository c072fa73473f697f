/** Two backends as one: each function runs on the one that its graph is for, and arrays follow. */
import * as Effect from "effect/Effect"
import { suits } from "../../compiler/webassembly/Work.ts"
import type { LeafType } from "../../compiler/graph/Graph.ts"
import type { EngineError } from "../Engine.ts"
import type { Backend, Call, Loaded, Recorded, Reply } from "../graph/Backend.ts"
import { type Numbers, pack, type Packed, unpack } from "../Packed.ts"

/** Where arrays are: on the host, until a function takes them, or with a backend. */
const [onHost, inSmall, inLarge] = [0, 1, 2] as const
type Place = typeof onHost | typeof inSmall | typeof inLarge

const outward = (place: Place, handle: number): number => 3 * handle + place
const placeOf = (handle: number): Place => (handle % 3) as Place
const inward = (handle: number): number => Math.floor(handle / 3)

/** A function on one of the backends. */
export type Chosen<S extends Loaded, L extends Loaded> =
  | (Loaded & { readonly place: typeof inSmall; readonly own: S })
  | (Loaded & { readonly place: typeof inLarge; readonly own: L })

const joined = (parts: ReadonlyArray<Packed>): Packed => {
  if (parts.length === 1) return parts[0]!
  return pack(parts.map((part) => new Int32Array(part)))
}

/** What runs a program, by what it is: see `Work.suits`. `counts` is told of each function that is made ready. */
export const make = <S extends Loaded, L extends Loaded>(
  small: Backend<S>,
  large: Backend<L>,
  counts: { small: number; large: number }
): Backend<Chosen<S, L>> => {
  const host = new Map<number, Numbers>()
  let next = 1
  const at = (place: typeof inSmall | typeof inLarge): Backend<never> => (place === inSmall ? small : large) as never

  const release = (handles: ReadonlyArray<number>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const by = ([inSmall, inLarge] as const).map(
        (place) => [at(place), handles.filter((handle) => placeOf(handle) === place).map(inward)] as const
      )
      for (const handle of handles) if (placeOf(handle) === onHost) host.delete(inward(handle))
      return Effect.forEach(by, ([backend, own]) => (own.length === 0 ? Effect.void : backend.release(own)), {
        discard: true
      })
    })

  const download = (handles: ReadonlyArray<number>): Effect.Effect<Packed, EngineError> =>
    Effect.suspend(() => {
      const places = new Set(handles.map(placeOf))
      const [place] = places
      if (place === undefined || (places.size === 1 && place === onHost))
        return Effect.succeed(pack(handles.map((handle) => host.get(inward(handle))!)))
      if (places.size === 1) return at(place as typeof inSmall).download(handles.map(inward))
      return Effect.map(
        Effect.forEach(handles, (handle) => download([handle])),
        joined
      )
    })

  /** Arrays with a backend: those that are not there come there. */
  const brought = (
    handles: ReadonlyArray<number>,
    types: ReadonlyArray<LeafType>,
    place: typeof inSmall | typeof inLarge
  ) => Effect.flatMap(download(handles), (packed) => at(place).upload(types, unpack(types, packed)))

  /** Calls that follow one another on one backend. */
  const ran = Effect.fnUntraced(function* (
    calls: ReadonlyArray<Call<Chosen<S, L>>>,
    held: ReadonlyArray<number>,
    consume: boolean
  ) {
    const { inputs, place } = calls[0]!.loaded
    const there = held.every((handle) => placeOf(handle) === place)
    const own = there
      ? held.map(inward)
      : yield* Effect.ensuring(
          brought(held, inputs.slice(0, held.length), place),
          consume ? release(held) : Effect.void
        )
    const inner = calls.map(({ arrays, loaded }) => ({ arrays, loaded: loaded.own as never }))
    const reply = yield* at(place).run(inner, own, consume || !there)
    return { ...reply, kept: reply.kept.map((handle) => outward(place, handle)) } satisfies Reply
  })

  return {
    name: "compiled",
    load: ({ inputs, keeps, sends, ...rest }: Recorded) => {
      const recorded = { inputs, keeps, sends, ...rest }
      return suits(inputs, [...keeps, ...sends])
        ? Effect.map(small.load(recorded), (own) => {
            counts.small++
            return { ...own, place: inSmall, own }
          })
        : Effect.map(large.load(recorded), (own) => {
            counts.large++
            return { ...own, place: inLarge, own }
          })
    },
    unload: (loaded) => (loaded.place === inSmall ? small.unload(loaded.own) : large.unload(loaded.own)),
    run: Effect.fnUntraced(function* (calls, held, consume) {
      let [state, owned] = [held, consume]
      const sent: Array<Packed> = []
      let [done, bytes, from] = [0, 0, 0]
      while (from < calls.length) {
        const { place } = calls[from]!.loaded
        const end = calls.findIndex(({ loaded }, i) => i > from && loaded.place !== place)
        const part = calls.slice(from, end < 0 ? calls.length : end)
        const reply = yield* ran(part, state, owned)
        sent.push(reply.sent)
        done += reply.done
        bytes += reply.bytes
        if (reply.error !== undefined) return { kept: [], sent: joined(sent), done, error: reply.error, bytes }
        // What comes between is nobody else's.
        ;[state, owned] = [reply.kept, true]
        from += part.length
      }
      return { kept: state, sent: joined(sent), done, error: undefined, bytes }
      // What was brought on the way would stay.
    }, Effect.uninterruptible),
    upload: (_, arrays) =>
      Effect.sync(() =>
        arrays.map((array) => {
          host.set(next, array.slice())
          return outward(onHost, next++)
        })
      ),
    download,
    release,
    live: Effect.map(Effect.all([small.live, large.live]), ([a, b]) => host.size + a + b)
  }
}
