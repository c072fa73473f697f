/** HTML from text, in which nothing from data becomes markup. */
import * as Printable from "../../files/Printable.ts"

/** Markup that is complete as it stands. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = Markup | string | number | ReadonlyArray<Part>

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** Text as it may stand in an element or a quoted attribute; control characters, which HTML cannot say, are shown by name. */
export const escape = (text: string): string => Printable.lines(text).replace(/[&<>"']/g, (c) => entities[c]!)

const said = (part: Part): string => {
  if (part instanceof Markup) return part.text
  return typeof part === "string" || typeof part === "number" ? escape(`${part}`) : part.map(said).join("")
}

/** Markup with values in it: text is escaped, markup stays, lists follow one another. */
export const html = (strings: TemplateStringsArray, ...parts: ReadonlyArray<Part>): Markup =>
  new Markup(strings.map((text, i) => (i === 0 ? text : said(parts[i - 1]!) + text)).join(""))

/** Nothing. */
export const nothing = new Markup("")

/** Whether a cell is a number, perhaps with a unit, a sign or a deviation behind it. */
const isNumber = (cell: string): boolean => /^(?:< )?[-+×]?(?:\d[\d.,]*(?:e[-+]?\d+)?|NaN|Infinity)(?:\s|$)/.test(cell)

/** A table with a caption; the first cell of a row heads it, and columns of numbers stand to the right, their headings with them. */
export const table = (
  caption: string,
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number>>
): Markup => {
  const kinds = head.map((_, i) => {
    const cells = rows.map((row) => `${row[i] ?? ""}`).filter((cell) => cell !== "-" && cell !== "")
    const words = cells.filter((cell) => !isNumber(cell)).length
    // A word may stand for a number, as that of the baseline does.
    return i > 0 && words < cells.length && words <= 1 ? html` class="n"` : ""
  })
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map((cell, i) => html`<th scope="col" ${kinds[i]!}>${cell}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([first, ...cells]) =>
            html`<tr>
              <th scope="row">${first ?? ""}</th>
              ${cells.map((cell, i) => html`<td ${kinds[i + 1] ?? ""}>${cell}</td>`)}
            </tr> `
        )}
      </tbody>
    </table>
  </div>`
}

/** What may be wider than the page: it scrolls by itself, also by the keyboard. */
export const scrolled = (content: Markup, name: string): Markup =>
  html`<div class="scroll" tabindex="0" role="group" aria-label="${name}">${content}</div>`

/** A figure with what it shows in words, and its numbers to unfold. */
export const figure = (svg: Markup, caption: string, numbers: Markup): Markup =>
  html`<figure>
    ${scrolled(svg, caption)}
    <figcaption>${caption}</figcaption>
    <details>
      <summary>Numbers<span class="unseen">: ${caption}</span></summary>
      ${numbers}
    </details>
  </figure>`
