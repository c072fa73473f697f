/** `verify` and `diagnose`: how far the hypergradient of a program can be trusted. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Diagnose from "../diagnose/Diagnose.ts"
import * as Verify from "../runtime/run/Verify.ts"
import { CheckError } from "./Check.ts"
import * as Launch from "./launch/Launch.ts"
import * as Load from "./launch/Load.ts"
import * as Options from "./Options.ts"

/** What both are told: a program, one of its problems and a level of that, and how it is computed. */
const inspected = (programs: Load.Programs) => ({
  program: Options.program(Object.keys(programs)),
  ...Options.settings,
  engine: Options.engine,
  plugin: Options.plugin,
  precision: Options.precision,
  devices: Options.devices,
  shardOptimizer: Options.shardOptimizer,
  format: Options.format,
  problem: Flag.String("problem").pipe(
    Flag.withDescription(
      "The problem that is looked at, of a program with several; the first with a hypergradient where absent"
    ),
    Flag.optional
  ),
  level: Flag.String("level").pipe(
    Flag.withDescription("The level whose gradient is looked at; the top one where absent"),
    Flag.optional
  ),
  solve: Flag.Int("solve").pipe(
    Flag.withDescription(
      `Ticks given to the levels below to solve their problems (default: ${Verify.defaults.solveTicks})`
    ),
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
    Flag.withDefault(Verify.defaults.solveTicks)
  )
})

/** The problem that is asked for. */
const choose = Effect.fnUntraced(function* (
  programs: Load.Programs,
  options: Parameters<typeof Launch.resolve>[1] & {
    readonly program: string
    readonly precision: Parameters<typeof Launch.ready>[2]
    readonly problem: Option.Option<string>
  }
) {
  const loaded = yield* Load.load(programs, options.program)
  const { value } = yield* Launch.resolve(loaded, options)
  const { planned } = yield* Launch.ready(loaded, value, options.precision)
  const name = Option.getOrUndefined(options.problem)
  const chosen =
    name === undefined
      ? (planned.find(({ plan }) => plan.sweeps.some(({ hops }) => hops.length > 0)) ?? planned[0])
      : planned.find((one) => one.name === name)
  if (chosen !== undefined) return { chosen, value }
  const reason = `there is no problem '${name}': there is ${planned.map((one) => one.name).join(", ")}`
  return yield* new Load.ProgramError({ program: loaded.source, reason })
})

/** `tapweight verify`. */
export const verify = (programs: Load.Programs) =>
  Command.make(
    "verify",
    {
      ...inspected(programs),
      directions: Flag.Int("directions").pipe(
        Flag.withDescription(`Directions to compare along (default: ${Verify.defaults.directions})`),
        Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
        Flag.withDefault(Verify.defaults.directions)
      ),
      radius: Flag.Finite("radius").pipe(
        Flag.withDescription(
          `Step of the central difference, a distance in the variable (default: ${Verify.defaults.radius})`
        ),
        Flag.withSchema(Schema.Finite.check(Schema.isGreaterThan(0))),
        Flag.withDefault(Verify.defaults.radius)
      ),
      require: Flag.Finite("require").pipe(
        Flag.withDescription(
          "Exits with 3 if the relative error is above this, or that of the direction where an estimator claims no size"
        ),
        Flag.optional
      )
    },
    Effect.fnUntraced(function* (options) {
      const { chosen, value } = yield* choose(programs, options)
      const found = yield* Verify.verify(chosen.problem, {
        seed: value.seed,
        directions: options.directions,
        solveTicks: options.solve,
        radius: options.radius,
        ...(Option.isSome(options.level) ? { level: options.level.value } : {})
      }).pipe(Effect.provide(Options.engineLayer(options.engine, options)))
      yield* Launch.print(options.format, Verify.text(found), found)
      const reason = Option.isSome(options.require) ? Verify.failing(found, options.require.value) : undefined
      if (reason !== undefined) return yield* new CheckError({ reason })
    }, Effect.scoped)
  ).pipe(
    Command.withDescription(
      "Compares a program's hypergradient with central differences of what its estimators claim: the solved problem, or the last updates"
    )
  )

/** `tapweight diagnose`. */
export const diagnose = (programs: Load.Programs) =>
  Command.make(
    "diagnose",
    {
      ...inspected(programs),
      ticks: Flag.Int("ticks").pipe(
        Flag.withDescription(
          "Looks at where a run of so many ticks ends; and whether the level came to rest, and what its value is worth to levels below that start anew"
        ),
        Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(10))),
        Flag.optional
      ),
      require: Flag.Boolean("require").pipe(
        Flag.withDescription("Exits with 3 if anything is found to be wrong"),
        Flag.withDefault(false)
      )
    },
    Effect.fnUntraced(function* (options) {
      const { chosen, value } = yield* choose(programs, options)
      const { seed } = value
      const level = Option.isSome(options.level) ? { level: options.level.value } : {}
      const engine = Options.engineLayer(options.engine, options)
      const ran = Option.isNone(options.ticks)
        ? undefined
        : yield* Diagnose.trajectory(chosen.problem, { seed, ticks: options.ticks.value, ...level }).pipe(
            Effect.provide(engine)
          )
      const at = { seed, solveTicks: options.solve, ...level, ...(ran === undefined ? {} : Diagnose.atEnd(ran)) }
      const looked = Diagnose.diagnose(chosen.problem, at).pipe(Effect.provide(engine))
      // Of a run there is something to say where its hypergradient cannot be looked at.
      const found = yield* Effect.catchIf(
        looked,
        (error) => ran !== undefined && error instanceof Diagnose.DiagnoseError,
        (error) => Effect.succeed({ reason: (error as Diagnose.DiagnoseError).reason })
      )
      const said = [
        "tables" in found ? Diagnose.text(found) : found.reason,
        ...(ran === undefined ? [] : [Diagnose.trajectoryText(ran)])
      ]
      const alarms = [
        ...("tables" in found ? Diagnose.alarms(found) : []),
        ...(ran === undefined ? [] : Diagnose.trajectoryAlarms(ran))
      ]
      const { vars: _, ...trajectory } = ran ?? { vars: undefined }
      const json = { ...found, ...(ran === undefined ? {} : { trajectory }), alarms }
      yield* Launch.print(options.format, said.join("\n\n"), json)
      if (options.require && alarms.length > 0) return yield* new CheckError({ reason: alarms.join("\n") })
    }, Effect.scoped)
  ).pipe(
    Command.withDescription(
      "Looks at a hypergradient where the levels below are solved: by other solvers, radii and dampings, further solved, on other batches, and time scales"
    )
  )
