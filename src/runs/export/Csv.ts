/** Comma-separated values (RFC 4180), safe to open in a spreadsheet. */

/** A cell. Text that a spreadsheet would take for a formula begins with an apostrophe; numbers never do. */
const cell = (value: string | number | null): string => {
  if (value === null) return ""
  if (typeof value === "number") return `${value}`
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

type Row = ReadonlyArray<string | number | null>
const line = (row: Row): string => `${row.map(cell).join(",")}\r\n`

/** Characters that become bytes together: no text may be as long as a large file. */
const together = 2 ** 20

/** Rows under a heading, as UTF-8. */
export const bytes = (heading: ReadonlyArray<string>, rows: Iterable<Row>): Uint8Array => {
  const encoder = new TextEncoder()
  const parts: Array<Uint8Array> = []
  let text = line(heading)
  for (const row of rows) {
    text += line(row)
    if (text.length < together) continue
    parts.push(encoder.encode(text))
    text = ""
  }
  return Buffer.concat([...parts, encoder.encode(text)])
}
