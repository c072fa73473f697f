/**
 * Uses what Node calls experimental, without its word for that: what is used here is pinned by Node's version, and people who run a
 * program can do nothing about it.
 */
export const quietly = <A>(use: () => A): A => {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return use()
  } finally {
    process.emitWarning = emitWarning
  }
}
