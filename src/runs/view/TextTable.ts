/** Text in columns. */

type Rows = ReadonlyArray<ReadonlyArray<string>>

const laid = (rows: Rows, pad: (cell: string, width: number, column: number) => string): string => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => pad(cell, widths[i]!, i))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

/** Words: every column begins at one place. */
export const words = (rows: Rows): string => laid(rows, (cell, width) => cell.padEnd(width))

/** Numbers behind a name: all columns but the first end at one place. */
export const numbers = (rows: Rows): string =>
  laid(rows, (cell, width, column) => (column === 0 ? cell.padEnd(width) : cell.padStart(width)))
