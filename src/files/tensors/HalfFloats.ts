/** Numbers of 16 bits as float32, which holds each of them exactly. */

/** IEEE half precision: 1 sign, 5 exponent and 10 fraction bits. */
export const fromFloat16 = (halves: Uint16Array): Float32Array => {
  const bits = new Uint32Array(halves.length)
  for (const [i, half] of halves.entries()) {
    const sign = (half & 0x8000) << 16
    const exponent = (half >>> 10) & 0x1f
    const fraction = half & 0x3ff
    if (exponent === 0x1f) bits[i] = sign | 0x7f80_0000 | (fraction << 13)
    else if (exponent > 0) bits[i] = sign | ((exponent + 112) << 23) | (fraction << 13)
    else if (fraction === 0) bits[i] = sign
    else {
      // Below 2⁻¹⁴ the leading bit of the fraction is not implied: float32 has exponents enough to imply it.
      const shift = Math.clz32(fraction) - 21
      bits[i] = sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)
    }
  }
  return new Float32Array(bits.buffer)
}

/** bfloat16: the upper half of a float32. */
export const fromBfloat16 = (halves: Uint16Array): Float32Array => {
  const bits = new Uint32Array(halves.length)
  for (const [i, half] of halves.entries()) bits[i] = half << 16
  return new Float32Array(bits.buffer)
}
