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

/** An entry of `env_option_overrides` that turns an option of XLA on or off. */
const turned = (name: string, on: boolean): ReadonlyArray<number> => {
  const key = message(1, [...new TextEncoder().encode(name)])
  return message(7, [...key, ...message(2, number(2, on ? 1 : 0))])
}

/** Platforms whose sums XLA takes in any order unless it is told not to: a run would not repeat its bits there. */
const unordered = ["cuda", "rocm"]

/** The same with XLA told to repeat its bits, on a platform where it would not by itself. */
export const repeatable = (options: Uint8Array, platform: string): Uint8Array =>
  unordered.includes(platform) ? Uint8Array.from([...options, ...turned("xla_gpu_deterministic_ops", true)]) : options

/**
 * The same for a program with numbers in 16 bits: they are rounded where it says so. XLA would else leave out what is rounded and
 * widened again, depending on what it fuses: overflows of float16 would not show, and bits would change with what stands beside them.
 */
export const rounding = (options: Uint8Array): Uint8Array =>
  Uint8Array.from([...options, ...turned("xla_allow_excess_precision", false)])

/** Whether a program has numbers in 16 bits. */
export const rounds = (program: string): boolean => /[x<]b?f16>/.test(program)
