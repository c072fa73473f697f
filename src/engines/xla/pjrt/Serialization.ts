/** Executables as bytes, where a plugin can write and read them. */
import type { Api, Pointer } from "./Api.ts"

/** The bytes of a loaded executable. Throws an `XlaError` where the plugin has none. */
export const serialize = ({ block, bytes, call, callAt }: Api, loaded: Pointer): Uint8Array => {
  const [holding, writing, ending] = [
    block("LoadedExecutable_GetExecutable").word(16, loaded),
    block("Executable_Serialize"),
    block("Executable_Destroy")
  ]
  try {
    call("LoadedExecutable_GetExecutable", holding)
    const executable = holding.read(24)
    try {
      call("Executable_Serialize", writing.word(16, executable))
      const copy = bytes(writing.read(24), Number(writing.read(32)))
      callAt(writing.read(48), writing.read(40))
      return copy
    } finally {
      call("Executable_Destroy", ending.word(16, executable))
    }
  } finally {
    for (const each of [holding, writing, ending]) each.free()
  }
}

/** Loads an executable from its bytes, on another thread. Rejects with an `XlaError` where the plugin reads them not. */
export const deserialize = async (
  { block, callAside, words }: Api,
  client: Pointer,
  bytes: Uint8Array
): Promise<Pointer> => {
  // In memory of its own: the other thread reads it while this one may collect what nobody here looks at any more.
  const copy = words(Math.ceil(bytes.length / 8)).write(bytes)
  const args = block("Executable_DeserializeAndLoad").word(16, client).word(24, copy.at).word(32, bytes.length)
  try {
    await callAside("Executable_DeserializeAndLoad", args)
    return args.read(40)
  } finally {
    for (const each of [args, copy]) each.free()
  }
}
