/** A run as one page: readable without scripts, from no place but itself. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as JsonFile from "../../files/JsonFile.ts"
import type { Plan } from "../../runtime/plan/Plan.ts"
import * as Manifest from "../folder/Manifest.ts"
import * as PlanFile from "../folder/PlanFile.ts"
import * as Records from "../folder/Records.ts"
import * as ResultFile from "../folder/ResultFile.ts"
import * as RunFolder from "../folder/RunFolder.ts"
import * as Status from "../folder/Status.ts"
import * as Scored from "../statistics/Scored.ts"
import type * as Standing from "../statistics/Standing.ts"
import * as Config from "../trial/Config.ts"
import * as Labels from "../trial/Labels.ts"
import { trialFolder } from "../trial/Session.ts"
import * as Seeds from "../view/Seeds.ts"
import * as Shell from "../view/Shell.ts"
import * as Verdict from "../view/Verdict.ts"
import * as Curves from "./Curves.ts"
import * as CurveSections from "./CurveSections.ts"
import * as Groups from "./Groups.ts"
import { html, type Markup, nothing, table } from "./Html.ts"
import { page, section } from "./Page.ts"
import * as Sections from "./Sections.ts"

/** Plans that are the same once, under all their names. */
const plans = ({ problems }: PlanFile.Plans): ReadonlyArray<readonly [string, Plan]> => {
  const known = new Map<string, readonly [ReadonlyArray<string>, Plan]>()
  for (const [name, plan] of Object.entries(problems)) {
    const key = JSON.stringify(plan)
    known.set(key, [[...(known.get(key)?.[0] ?? []), name], plan])
  }
  // Those of several seeds are of one method.
  const methodsOf = (names: ReadonlyArray<string>): string => {
    const methods = new Map<string, number>()
    for (const name of names) {
      const [method, seed] = Seeds.seeded(name)
      const key = seed === "" ? name : method
      methods.set(key, (methods.get(key) ?? 0) + 1)
    }
    return [...methods].map(([method, seeds]) => (seeds === 1 ? method : `${method}, ${seeds} seeds`)).join("; ")
  }
  return [...known.values()].map(([names, plan]) => [methodsOf(names), plan])
}

const words: { readonly [state in Status.Status["state"]]: string } = {
  running: "▶ running",
  done: "✓ done",
  failed: "✗ failed",
  interrupted: "‖ interrupted",
  lost: "? lost: its process ended without a word"
}

/** One trial's records as curves, with what its attempts were. */
const trialOf = Effect.fnUntraced(function* (folder: RunFolder.RunFolder, name: string, shown = name) {
  const { attempts, records } = yield* Records.history(trialFolder(folder, name))
  const { training, waiting } = Records.seconds(records)
  return { name: shown, curves: Curves.of(records), training, waiting, attempts } satisfies Groups.Trial as Groups.Trial
})

/** Solves that their solvers do not call sound, by how often. */
const unsound = (
  trials: ReadonlyArray<{ readonly name: string; readonly curves: Curves.Curves }>
): ReadonlyArray<string> =>
  trials.flatMap(({ curves, name }) =>
    curves.hyper.flatMap(({ level, solves }) =>
      solves.flatMap(({ looks, solve, unsound: times }) => {
        const of = name === "" ? level : `${name}, ${level}`
        return times === 0 ? [] : [`The solve ${solve} for ${of} was not sound at ${times} of ${looks} looks.`]
      })
    )
  )

/** Methods that are drawn: a page of more would be large, and nobody would read it. */
const drawn = 24

const some = (parts: ReadonlyArray<Markup>): Markup => html`${parts.filter(({ text }) => text.trim() !== "")}`

/** The parts that curves are drawn in; of how many trials none is drawn. */
const curves = (trials: ReadonlyArray<Groups.Trial>) => {
  const begun = trials.filter((trial) => trial.curves.levels.length > 0)
  const groups = Groups.of(begun)
  const first = (has: (own: Curves.Curves) => boolean) =>
    groups.filter((group) => group.trials.some((trial) => has(trial.curves))).slice(0, drawn)
  const losses = first(() => true)
  return {
    undrawn: begun.length - losses.reduce((sum, group) => sum + group.trials.length, 0),
    sections: [
      section("lambda", "Tradeoff weights", some(first(({ lambda }) => lambda.length > 0).map(CurveSections.lambda))),
      section(
        "hypergradient",
        "Hypergradients",
        some(first(({ hyper }) => hyper.length > 0).map(CurveSections.hypergradients))
      ),
      section("losses", "Losses", some(losses.map((group) => CurveSections.losses(group, losses.length > 3))))
    ]
  }
}

const listed = (sentences: ReadonlyArray<string>): Markup =>
  sentences.length === 0
    ? nothing
    : html`<ul class="verdict">
        ${sentences.map((text) => html`<li>${text}</li>`)}
      </ul>`

const warned = (warnings: ReadonlyArray<string>): Markup =>
  html`${warnings.map((text) => html`<p class="warning">${text}</p>`)}`

const commandOf = ({ argv, cwd }: Manifest.Manifest): string =>
  `${cwd === undefined ? "" : `cd ${Shell.word(cwd)}\n`}${["tapweight", ...argv.slice(2)].map(Shell.word).join(" ")}`

const entriesOf = Effect.fnUntraced(function* (folder: RunFolder.RunFolder) {
  return yield* JsonFile.readSealed((yield* Path.Path).join(folder.path, "config.json"), Config.Entries)
})

const trialsOf = Effect.fnUntraced(function* (folder: RunFolder.RunFolder) {
  const names = yield* RunFolder.trials(folder)
  return names.length === 0 ? [""] : names
})

/** The page of a run, whatever state it is in. */
export const make = Effect.fnUntraced(function* (folder: RunFolder.RunFolder) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const manifest = yield* Manifest.read(folder)
  const status = yield* Status.read(folder)
  const entries = yield* entriesOf(folder)
  const result = yield* ResultFile.read(folder)
  const planned = plans(yield* PlanFile.read(folder))
  const all = yield* Effect.forEach(yield* trialsOf(folder), (name) => trialOf(folder, name))
  const { sections, undrawn } = curves(all)
  const patch = yield* Effect.orElseSucceed(fs.readFileString(path.join(folder.path, "git.patch")), () => "")
  const scored = Scored.standings(result?.scores ?? [])
  const warnings = [
    ...(status.error === null ? [] : [status.error]),
    ...(manifest.git?.dirty === true ? ["The code had changes that no commit has; they are below."] : []),
    ...manifest.data.flatMap(({ dropped, name }) => {
      const rows = dropped.reduce((sum, each) => sum + each.rows, 0)
      return rows === 0 ? [] : [`${rows} rows of ${name} were dropped.`]
    }),
    ...unsound(all),
    ...(undrawn > 0 ? [`Losses of ${undrawn} of ${all.length} trials are not drawn.`] : [])
  ]
  const { parent } = manifest
  const forked =
    parent === undefined
      ? nothing
      : html`<p>
          Forked from ${parent.run} at tick
          ${parent.tick}${Object.entries(parent.changed).map(([key, { from, to }]) => `; ${key} ${JSON.stringify(from)} → ${JSON.stringify(to)}`)}.
        </p>`
  return page(
    `${folder.program} ${folder.id}`,
    folder.program,
    html`${folder.id} · <span class="state">${words[status.state]}</span> · tick ${status.tick} · seed
      ${manifest.seeds.root}`,
    [
      section(
        "result",
        "Result",
        html`${forked}${listed(Verdict.sentences(scored))}${warned(warnings)}${result === undefined ? html`<p>The run has no result yet.</p>` : html`<pre tabindex="0">${result.text}</pre>`}`
      ),
      section("comparison", "Comparison", Sections.standings(scored)),
      ...sections,
      section("levels", "Levels", html`${planned.map(([of, plan]) => Sections.plan(of, plan))}`),
      section(
        "cost",
        "Cost",
        html`${Sections.tables(result?.tables ?? [])}${CurveSections.costs(Groups.of(all), folder.program)}`
      ),
      section("provenance", "Provenance", Sections.provenance(manifest)),
      section("settings", "Settings", Sections.settings(entries)),
      section(
        "repeat",
        "To repeat",
        html`<pre tabindex="0">${commandOf(manifest)}</pre>
          ${
            patch === ""
              ? nothing
              : html`<details>
                  <summary>Changes since the commit</summary>
                  <pre tabindex="0">${patch}</pre>
                </details>`
          }`
      )
    ]
  )
})

/** Several finished runs side by side. */
export interface Several {
  readonly title: string
  readonly folders: ReadonlyArray<RunFolder.RunFolder>
  readonly standings: ReadonlyArray<Standing.Standings>
  readonly warnings: ReadonlyArray<string>
}

/** What trials of runs are called beside one another: by settings that tell the runs apart, and their own seed or the run's. */
const called = (program: string, label: string, seed: number, trial: string): string => {
  const [method, own] = Seeds.seeded(trial)
  const words = [label, method].filter((word) => word !== "")
  return [...(words.length === 0 ? [program] : words), `seed ${own === "" ? seed : own}`].join(", ")
}

/** The page of several runs: how their methods stand, their curves over one another, and what each was. */
export const several = Effect.fnUntraced(function* ({ folders, standings: scored, title, warnings }: Several) {
  const runs = yield* Effect.forEach(folders, (folder) =>
    Effect.gen(function* () {
      const manifest = yield* Manifest.read(folder)
      const status = yield* Status.read(folder)
      return { folder, manifest, status, entries: yield* entriesOf(folder) }
    })
  )
  const labels = Labels.labels(runs.map(({ entries }) => entries))
  const trials = (yield* Effect.forEach(runs, ({ folder, manifest }, i) =>
    Effect.flatMap(trialsOf(folder), (names) =>
      Effect.forEach(names, (name) =>
        trialOf(folder, name, called(folder.program, labels[i]!, manifest.seeds.root, name))
      )
    )
  )).flat()
  const { sections, undrawn } = curves(trials)
  const keys = [...new Set(runs.flatMap(({ entries }) => Object.keys(entries)))]
  const value = (i: number, key: string) => JSON.stringify(runs[i]!.entries[key]?.value)
  const differing = keys.filter((key) => runs.some((_, i) => value(i, key) !== value(0, key)))
  const ids = runs.map(({ folder }) => folder.id)
  return page(title, title, html`${ids.slice(0, 8).join(", ")}${ids.length > 8 ? ` and ${ids.length - 8} more` : ""}`, [
    section(
      "result",
      "Result",
      html`${listed(Verdict.sentences(scored))}${warned([...warnings, ...unsound(trials), ...(undrawn > 0 ? [`Losses of ${undrawn} of ${trials.length} trials are not drawn.`] : [])])}`
    ),
    section("comparison", "Comparison", Sections.standings(scored)),
    ...sections,
    section("cost", "Cost", CurveSections.costs(Groups.of(trials), title)),
    section(
      "runs",
      "Runs",
      html`${table(
        "Runs, and the settings that tell them apart",
        ["run", "state", "seed", ...differing.filter((key) => key !== "seed")],
        runs.map(({ folder, manifest, status }, i) => [
          folder.id,
          words[status.state],
          manifest.seeds.root,
          ...differing.filter((key) => key !== "seed").map((key) => value(i, key) ?? "-")
        ])
      )}
      ${table(
        "Where they come from",
        ["run", "commit", "engine", "machine", "data", "command"],
        runs.map(({ folder, manifest }) => [
          folder.id,
          manifest.git === null
            ? "none"
            : `${manifest.git.commit.slice(0, 12)}${manifest.git.dirty ? ", and changes" : ""}`,
          Manifest.computing(manifest.engine),
          `${manifest.hardware.cpu}, ${manifest.hardware.cores} cores`,
          manifest.data.map(({ name, sha256 }) => `${name} ${sha256?.slice(0, 12) ?? "-"}`).join(", ") || "-",
          commandOf(manifest).split("\n").at(-1)!
        ])
      )}`
    ),
    section(
      "settings",
      "Settings",
      table(
        `Settings that all ${ids.length} have`,
        ["setting", "value"],
        keys.filter((key) => !differing.includes(key)).map((key) => [key, value(0, key) ?? "-"])
      )
    )
  ])
})
