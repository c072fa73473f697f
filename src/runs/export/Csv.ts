/** Comma-separated values (RFC 4180), safe to open in a spreadsheet. */

/** A cell. Text that a spreadsheet would take for a formula begins with an apostrophe; numbers never do. */
const cell = (value: string | number | null): string => {
  if (value === null) return ""
  if (typeof value === "number") return `${value}`
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Rows under a heading. */
export const text = (
  heading: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number | null>>
): string => [heading, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("")
