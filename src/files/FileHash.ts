import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"

/** The SHA-256 of a file of any length, in hexadecimal. Rejects where it cannot be read. */
export const sha256 = async (file: string): Promise<string> => {
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest("hex")
}
