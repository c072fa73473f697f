import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"

/** The SHA-256 of a regular file of any length, in hexadecimal. Rejects where it cannot be read. */
export const sha256 = async (file: string): Promise<string> => {
  // A pipe never ends, and neither does a device.
  if (!(await stat(file)).isFile()) throw new Error("it is not a file that can be read")
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest("hex")
}
