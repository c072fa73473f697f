/** What whoever starts a run as a process of its own may hold it to. */
import { createHash } from "node:crypto"
import * as Option from "effect/Option"
import { errorExitCode } from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Flag from "effect/cli/Flag"
import * as ExitCode from "../../dsl/errors/ExitCode.ts"

/** A program that is not the one that a run was asked for with. */
export class OtherError extends Schema.TaggedError<OtherError>()("OtherError", { program: Schema.String }) {
  override get [errorExitCode](): number {
    return ExitCode.other
  }
  override get message(): string {
    return `program '${this.program}': its levels compute something else than the run was asked for with: the file, or what it imports, is not the same. Restore it, or start the sweep again with what it is now`
  }
}

/** What the levels of a program compute, at one seed. */
export interface Levels {
  readonly seed: number
  readonly hash: string
}

const form = /^(-?\d+):([0-9a-f]{20})$/

/** As an argument: `SEED:HASH`. */
export const written = ({ hash, seed }: Levels): string => `${seed}:${hash}`

/** What {@link written} has written; none of any other text. */
export const read = (text: string): Option.Option<Levels> => {
  const match = form.exec(text)
  return match === null ? Option.none() : Option.some({ seed: Number(match[1]), hash: match[2]! })
}

/** Twenty digits that stand for a text. */
export const short = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 20)

/** The hash of all problems' fingerprints. */
export const hash = (fingerprints: { readonly [problem: string]: unknown }): string =>
  short(JSON.stringify(fingerprints))

/** Flags of `run` that other programs give, rather than people. */
export const flags = {
  beats: Flag.Finite("beats").pipe(
    Flag.withDescription("With --tied: stops too when standard input has told of no beat for so many seconds"),
    Flag.withSchema(Schema.Finite.check(Schema.isGreaterThan(0))),
    Flag.optional
  ),
  claim: Flag.Int("claim").pipe(
    Flag.withDescription("With --into: number of this start; a start with a higher one ends what this one may write"),
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
    Flag.optional
  ),
  expect: Flag.String("expect").pipe(
    Flag.withMetavar("seed:hash"),
    Flag.withDescription("With --into: what its levels compute; exits with 72 where that is something else"),
    Flag.withSchema(Schema.String.check(Schema.isPattern(form))),
    Flag.map((text) => Option.getOrThrow(read(text))),
    Flag.optional
  )
}
