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
import type { Score } from "../folder/Score.ts"
import * as Status from "../folder/Status.ts"
import * as Standing from "../statistics/Standing.ts"
import * as Config from "../trial/Config.ts"
import { trialFolder } from "../trial/Session.ts"
import * as Shell from "../view/Shell.ts"
import * as Curves from "./Curves.ts"
import { html, Markup, nothing, table } from "./Html.ts"
import * as Sections from "./Sections.ts"
import { css } from "./Style.ts"

const section = (id: string, title: string, body: Markup) => ({ id, title, body })

/** Plans that are the same once, under all their names. */
const plans = ({ problems }: PlanFile.Plans): ReadonlyArray<readonly [string, Plan]> => {
  const known = new Map<string, readonly [ReadonlyArray<string>, Plan]>()
  for (const [name, plan] of Object.entries(problems)) {
    const key = JSON.stringify(plan)
    known.set(key, [[...(known.get(key)?.[0] ?? []), name], plan])
  }
  return [...known.values()].map(([names, plan]) => [names.join(", "), plan])
}

/** Scores of each metric on each split, the first method being what the others are compared with. */
const standings = (scores: ReadonlyArray<Score>): ReadonlyArray<Standing.Standings> => {
  const keys = [...new Set(scores.map(({ metric, split }) => JSON.stringify([metric, split])))]
  return keys.map((key) => {
    const own = scores.filter(({ metric, split }) => JSON.stringify([metric, split]) === key)
    return Standing.of(own, own[0]!.method)
  })
}

const words: { readonly [state in Status.Status["state"]]: string } = {
  running: "▶ running",
  done: "✓ done",
  failed: "✗ failed",
  interrupted: "‖ interrupted",
  lost: "? lost: its process ended without a word"
}

/** One trial's records as curves, with what its attempts were. */
const trialOf = Effect.fnUntraced(function* (folder: RunFolder.RunFolder, name: string) {
  const { attempts, records } = yield* Records.history(trialFolder(folder, name))
  const { training, waiting } = Records.seconds(records)
  return { name, curves: Curves.of(records), training, waiting, attempts }
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

/** Trials that are drawn: a page of more would be large, and nobody would read it. */
const drawn = 24

const some = (parts: ReadonlyArray<Markup>): Markup => html`${parts.filter(({ text }) => text.trim() !== "")}`

/** The page of a run, whatever state it is in. */
export const make = Effect.fnUntraced(function* (folder: RunFolder.RunFolder) {
  const [fs, path] = [yield* FileSystem.FileSystem, yield* Path.Path]
  const manifest = yield* Manifest.read(folder)
  const status = yield* Status.read(folder)
  const entries = yield* JsonFile.readSealed(path.join(folder.path, "config.json"), Config.Entries)
  const result = yield* ResultFile.read(folder)
  const planned = plans(yield* PlanFile.read(folder))
  const names = yield* RunFolder.trials(folder)
  const all = yield* Effect.forEach(names.length === 0 ? [""] : names, (name) => trialOf(folder, name))
  const trials = all.filter(({ curves }) => curves.levels.length > 0).slice(0, drawn)
  const undrawn = all.length - trials.length
  const patch = yield* Effect.orElseSucceed(fs.readFileString(path.join(folder.path, "git.patch")), () => "")
  const command = ["tapweight", ...manifest.argv.slice(2)].map(Shell.word).join(" ")
  const scored = standings(result?.scores ?? [])
  const warnings = [
    ...(status.error === null ? [] : [status.error]),
    ...(manifest.git?.dirty === true ? ["The code had changes that no commit has; they are below."] : []),
    ...manifest.data.flatMap(({ dropped, name }) => {
      const rows = dropped.reduce((sum, each) => sum + each.rows, 0)
      return rows === 0 ? [] : [`${rows} rows of ${name} were dropped.`]
    }),
    ...unsound(trials),
    ...(undrawn > 0 ? [`Curves of ${undrawn} of ${all.length} trials are not drawn.`] : [])
  ]
  const { parent } = manifest
  const forked =
    parent === undefined
      ? nothing
      : html`<p>
          Forked from ${parent.run} at tick
          ${parent.tick}${Object.entries(parent.changed).map(([key, { from, to }]) => `; ${key} ${JSON.stringify(from)} → ${JSON.stringify(to)}`)}.
        </p>`
  const sections = [
    section(
      "result",
      "Result",
      html`${forked}${warnings.map((text) => html`<p class="warning">${text}</p>`)}${result === undefined ? html`<p>The run has no result yet.</p>` : html`<pre tabindex="0">${result.text}</pre>`}`
    ),
    section("comparison", "Comparison", Sections.standings(scored)),
    section("lambda", "Tradeoff weights", some(trials.map(({ curves, name }) => Sections.lambda(name, curves)))),
    section(
      "hypergradient",
      "Hypergradients",
      some(trials.map(({ curves, name }) => Sections.hypergradients(name, curves)))
    ),
    section(
      "losses",
      "Losses",
      some(trials.map(({ curves, name }) => Sections.losses(name, curves, trials.length > 3)))
    ),
    section("levels", "Levels", html`${planned.map(([of, plan]) => Sections.plan(of, plan))}`),
    section(
      "cost",
      "Cost",
      html`${Sections.tables(result?.tables ?? [])}${Sections.costs(trials)}${table(
        "Seconds of each trial",
        ["trial", "seconds", "of them waiting for data", "attempts"],
        all.map(({ attempts, name, training, waiting }) => [
          name === "" ? folder.program : name,
          training.toFixed(1),
          waiting.toFixed(1),
          `${attempts}`
        ])
      )}`
    ),
    section("provenance", "Provenance", Sections.provenance(manifest)),
    section("settings", "Settings", Sections.settings(entries)),
    section(
      "repeat",
      "To repeat",
      html`<pre tabindex="0">${manifest.cwd === undefined ? "" : `cd ${Shell.word(manifest.cwd)}\n`}${command}</pre>
        ${
          patch === ""
            ? nothing
            : html`<details>
                <summary>Changes since the commit</summary>
                <pre tabindex="0">${patch}</pre>
              </details>`
        }`
    )
  ].filter(({ body }) => body.text.trim() !== "")
  const title = `${folder.program} ${folder.id}`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <style>
          ${new Markup(css)}
        </style>
      </head>
      <body>
        <header>
          <h1>${folder.program}</h1>
          <p class="soft">
            ${folder.id} · <span class="state">${words[status.state]}</span> · tick ${status.tick} · seed
            ${manifest.seeds.root}
          </p>
          <nav aria-label="Parts">
            <ul>
              ${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}
            </ul>
          </nav>
        </header>
        <main>
          ${sections.map(
            ({ body, id, title }) =>
              html`<section id="${id}" aria-labelledby="${id}-title">
                <h2 id="${id}-title">${title}</h2>
                ${body}
              </section> `
          )}
        </main>
      </body>
    </html> `.text
})
