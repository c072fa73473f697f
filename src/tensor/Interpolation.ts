/** How a resize along one axis reads its input. */
interface Sampling {
  readonly alignCorners: boolean
  readonly halfPixelCenters: boolean
}

/** Rows [to, from] of weights with which a resize along one axis sums its input. */
export const interpolation = (
  from: number,
  to: number,
  { alignCorners, halfPixelCenters }: Sampling,
  nearest: boolean
): Float32Array => {
  const scale = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to
  const weights = new Float32Array(from * to)
  for (let i = 0; i < to; i++) {
    const at = halfPixelCenters && !nearest ? scale * (i + 0.5) - 0.5 : halfPixelCenters ? scale * (i + 0.5) : scale * i
    if (nearest) {
      const row = Math.max(0, Math.min(from - 1, alignCorners ? Math.round(at) : Math.floor(at)))
      weights[i * from + row] = 1
      continue
    }
    const low = Math.max(0, Math.floor(at))
    const high = Math.min(from - 1, Math.ceil(at))
    const share = at - low
    weights[i * from + low]! += 1 - share
    weights[i * from + high]! += share
  }
  return weights
}
