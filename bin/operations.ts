/** Writes docs/operations.md: `node --conditions=tapweight-source bin/operations.ts`. */
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { page } from "../test/support/operations.ts"

writeFileSync(fileURLToPath(new URL("../docs/operations.md", import.meta.url)), page())
