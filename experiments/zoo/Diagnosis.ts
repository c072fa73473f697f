/** What `tapweight diagnose` says of a problem where a run of it ends, in a line for its card. */
import * as Schema from "effect/Schema"
import { short } from "./Entry.ts"

const Reading = Schema.Struct({ cosine: Schema.NullOr(Schema.Number), relative: Schema.NullOr(Schema.Number) })
const Looked = Schema.Struct({
  reason: Schema.optionalKey(Schema.String),
  tables: Schema.optionalKey(Schema.Array(Schema.Struct({ title: Schema.String, readings: Schema.Array(Reading) }))),
  spectra: Schema.optionalKey(
    Schema.Array(Schema.Struct({ level: Schema.String, dominant: Schema.Number, opposite: Schema.Number }))
  ),
  timeScale: Schema.optionalKey(Schema.Struct({ ratio: Schema.NullOr(Schema.Number) })),
  trajectory: Schema.Struct({
    velocity: Schema.Struct({ first: Schema.Number, last: Schema.Number }),
    retrainGap: Schema.Struct({ online: Schema.Number, retrained: Schema.Number, error: Schema.Number })
  }),
  alarms: Schema.Array(Schema.String)
})

const share = (value: number | null): string => (value === null ? "an unknown part" : `${short(100 * value)} %`)

/** From the command's JSON. */
export const line = (json: string): string => {
  const {
    alarms,
    reason,
    spectra = [],
    tables = [],
    timeScale,
    trajectory
  } = Schema.decodeUnknownSync(Schema.fromJsonString(Looked))(json)
  const [inner, terms] = tables.map(({ readings }) => readings[0]!)
  const { retrainGap, velocity } = trajectory
  return [
    ...(inner === undefined || terms === undefined
      ? [reason ?? ""]
      : [
          `solving further changes the hypergradient by ${share(inner.relative)}, a longer solve by ${share(terms.relative)}`
        ]),
    ...spectra.map(
      ({ dominant, level, opposite }) => `curvature of ${level} from ${short(opposite)} to ${short(dominant)}`
    ),
    ...(timeScale === undefined ? [] : [`time scales ${timeScale.ratio === null ? "–" : short(timeScale.ratio)}`]),
    `an update moves ${short(velocity.first)} at first and ${short(velocity.last)} at last`,
    `retrain gap ${short(retrainGap.retrained - retrainGap.online)} ± ${short(retrainGap.error)}`,
    ...alarms.map((alarm) => `**raises**: ${alarm}`)
  ].join("; ")
}
