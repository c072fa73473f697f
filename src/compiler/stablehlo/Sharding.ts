/** How arrays lie on several devices, as XLA's partitioner Shardy is told: it makes one program of each device's part of the work. */

/** The axes along which devices share a function's inputs and what is kept, in order. What is sent is whole on each device. */
export interface Sharding {
  readonly devices: number
  readonly inputs: ReadonlyArray<number | undefined>
  readonly kept: ReadonlyArray<number | undefined>
}

/** One device. */
export const alone: Sharding = { devices: 1, inputs: [], kept: [] }

/** The devices as a row, as Shardy names them. */
export const mesh = (devices: number): string => `sdy.mesh @devices = <["rows"=${devices}]>`

/** The attribute of a parameter or result. */
export const attribute = (rank: number, axis: number | undefined): string => {
  const axes = Array.from({ length: rank }, (_, i) => (i === axis ? '{"rows"}' : "{}"))
  return `sdy.sharding = #sdy.sharding<@devices, [${axes.join(", ")}]>`
}
