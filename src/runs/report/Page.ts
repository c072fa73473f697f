/** What every report is as a page: a heading, its parts with an address each, and nothing from elsewhere. */
import { html, Markup } from "./Html.ts"
import { css } from "./Style.ts"

/** A part of a page. */
export interface Section {
  readonly id: string
  readonly title: string
  readonly body: Markup
}

/** A part; one without a body is left out of the page. */
export const section = (id: string, title: string, body: Markup): Section => ({ id, title, body })

/** The page; `facts` stand below its heading. */
export const page = (title: string, heading: string, facts: Markup, all: ReadonlyArray<Section>): string => {
  const sections = all.filter(({ body }) => body.text.trim() !== "")
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
          <h1>${heading}</h1>
          <p class="soft">${facts}</p>
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
}
