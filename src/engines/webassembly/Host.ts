/** What of WebAssembly's interface is needed here. Node has it; the types of Node leave it to those of browsers. */

/** Memory that modules share. */
export interface Memory {
  readonly buffer: ArrayBuffer
  /** More of it, in pages of 64 KiB. A buffer from before is then empty. */
  readonly grow: (pages: number) => number
}

declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => Memory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly [name: string]: unknown } }
}

/** A memory of so many pages. */
export const memory = (pages: number): Memory => new WebAssembly.Memory({ initial: pages })

/** What a module exports, with its imports. */
export const instantiate = (module: Uint8Array, imports: object): { readonly [name: string]: unknown } =>
  new WebAssembly.Instance(new WebAssembly.Module(module), imports).exports
