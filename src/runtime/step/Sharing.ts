/** How a dataset's batches are shared by several devices: each field by its rows, where those can be divided equally. */

interface Field {
  readonly dtype: string
  readonly shape: ReadonlyArray<number>
}

/** Fields by name. */
export type Fields = { readonly [name: string]: Field }

/** A key of noise is one for all rows. */
const isKey = ({ dtype, shape }: Field): boolean => dtype === "int32" && shape.length === 1 && shape[0] === 2

/** A level, as far as its data goes. */
interface Level {
  readonly name: string
  readonly data: { readonly name: string; readonly fields: Fields }
}

const rowsOf = (field: Field): number | undefined => (isKey(field) ? undefined : field.shape[0])

/** The rows of a batch: those that most fields have, of several such numbers the greatest. Undefined where no field has rows. */
export const rows = (fields: Fields): number | undefined => {
  const counts = new Map<number, number>()
  for (const field of Object.values(fields)) {
    const own = rowsOf(field)
    if (own !== undefined) counts.set(own, (counts.get(own) ?? 0) + 1)
  }
  return [...counts].sort(([a, m], [b, n]) => n - m || b - a)[0]?.[0]
}

/** Whether each of so many devices has a part of a field's rows; else each has all of the field. */
export const isShared = (field: Field, devices: number): boolean => {
  const own = rowsOf(field)
  return devices > 1 && own !== undefined && own > 0 && own % devices === 0
}

/** Why devices cannot share a level's batches, and what to change; undefined where they can. */
const unequal = ({ data, name }: Level, devices: number): string | undefined => {
  const all = rows(data.fields)
  if (all === undefined || all % devices === 0) return undefined
  const below = devices * Math.floor(all / devices)
  const sizes = [...(below > 0 ? [below] : []), below + devices]
  const fewer = Array.from({ length: devices - 1 }, (_, i) => i + 1).filter((n) => all % n === 0)
  return (
    `dataset '${data.name}' of level '${name}' has ${all} rows a batch, which ${devices} devices cannot share equally: ` +
    `give it ${sizes.join(" or ")} rows, or ask for ${fewer.join(" or ")} ${fewer.length === 1 ? "device" : "devices"}`
  )
}

/** Why devices cannot share the batches of one of these levels; undefined where they can. */
export const ofLevels = (levels: Iterable<Level>, devices: number): string | undefined =>
  [...levels].flatMap((level) => unequal(level, devices) ?? [])[0]

/** What several devices share, for people: a line for each level's data, and one for the state. */
export const text = (levels: Iterable<Level>, devices: number, shardOptimizer: boolean): string => {
  const lines = [...levels].map(({ data, name }) => {
    const fields = Object.entries(data.fields)
    const named = (shared: boolean) =>
      fields.flatMap(([field, type]) => (isShared(type, devices) === shared ? [field] : [])).join(", ")
    const all = rows(data.fields)
    const parts =
      all === undefined || named(true) === "" ? [] : [`${all / devices} of ${all} rows on each (${named(true)})`]
    const whole = named(false) === "" ? [] : [`${named(false)} whole on each`]
    const said = [...parts, ...whole]
    return `  ${name}: data ${data.name}${said.length === 0 ? ", which is empty" : `, ${said.join(", ")}`}`
  })
  const optimizers = shardOptimizer ? ", the optimizers' in parts along the first axis that can be divided" : ""
  return [`on ${devices} devices`, ...lines, `  state: whole on each${optimizers}`].join("\n")
}
