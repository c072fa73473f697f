/** `CompileOptionsProto` of openxla/xla (`xla/pjrt/proto/compile_options.proto`), as far as it is needed, in bytes. */

const varint = (value: number): ReadonlyArray<number> =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]

const number = (field: number, value: number): ReadonlyArray<number> => [...varint(field << 3), ...varint(value)]

const message = (field: number, bytes: ReadonlyArray<number>): ReadonlyArray<number> => [
  ...varint((field << 3) | 2),
  ...varint(bytes.length),
  ...bytes
]

/**
 * `executable_build_options` of one replica and as many partitions as there are devices, named by their ids in the plugin. A
 * program for several devices is partitioned by Shardy; without numbers of replicas and partitions XLA ends the process.
 */
export const encode = (devices: ReadonlyArray<number>): Uint8Array => {
  const [replicas, partitions] = [number(4, 1), number(5, devices.length)]
  if (devices.length === 1) return Uint8Array.from(message(3, [...replicas, ...partitions]))
  const useSpmdPartitioning = number(6, 1)
  // `replica_count`, `computation_count`, and for each partition a list of the devices of its replicas.
  const assignment = message(9, [
    ...number(1, 1),
    ...number(2, devices.length),
    ...devices.flatMap((id) => message(3, message(1, varint(id))))
  ])
  const useShardy = number(19, 1)
  return Uint8Array.from(message(3, [...replicas, ...partitions, ...useSpmdPartitioning, ...assignment, ...useShardy]))
}

/** An entry of `env_option_overrides` that turns an option of XLA off. */
const without = (name: string): ReadonlyArray<number> => {
  const key = message(1, [...new TextEncoder().encode(name)])
  const off = message(2, number(2, 0))
  return message(7, [...key, ...off])
}

/**
 * The same for a program with numbers in 16 bits: they are rounded where it says so. XLA would else leave out what is rounded and
 * widened again, depending on what it fuses: overflows of float16 would not show, and bits would change with what stands beside them.
 */
export const rounding = (options: Uint8Array): Uint8Array =>
  Uint8Array.from([...options, ...without("xla_allow_excess_precision")])

/** Whether a program has numbers in 16 bits. */
export const rounds = (program: string): boolean => /[x<]b?f16>/.test(program)
