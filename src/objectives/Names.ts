/** Names that pair losses with weights, whatever order a record lists them in. */

// JavaScript moves keys that are whole numbers to the front of a record, whatever their place in the text.
const wholeNumber = /^(0|[1-9]\d*)$/

/** Refuses names that cannot stand for elements of a vector: none at all, one twice, or a whole number. */
export const check = (where: string, names: ReadonlyArray<string>): void => {
  if (names.length === 0) throw new RangeError(`${where}: it has no names; give one for each weight`)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new RangeError(`${where}: '${twice}' stands twice; give each weight a name of its own`)
  const moved = names.find((name) => wholeNumber.test(name))
  if (moved === undefined) return
  const reason = `'${moved}' is a whole number, which a record does not keep in its place`
  throw new RangeError(`${where}: ${reason}; give it a name that starts with a letter`)
}

/** Refuses a record that has not these keys and no others. */
export const checkKeys = (where: string, names: ReadonlyArray<string>, record: object): void => {
  const missing = names.filter((name) => !Object.hasOwn(record, name))
  const extra = Object.keys(record).filter((key) => !names.includes(key))
  if (missing.length === 0 && extra.length === 0) return
  const differences = [
    ...(missing.length === 0 ? [] : [`it lacks ${missing.join(", ")}`]),
    ...(extra.length === 0 ? [] : [`it has ${extra.join(", ")} besides`])
  ]
  throw new RangeError(`${where}: ${differences.join(" and ")}; give one each for ${names.join(", ")}`)
}
