/** A value as text in which equal arrays are equal. */
export const json = (value: unknown): string =>
  JSON.stringify(value, (_, each) => (ArrayBuffer.isView(each) ? Array.from(each as Float32Array) : each))
