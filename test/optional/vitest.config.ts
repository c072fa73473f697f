import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    include: ["test/optional/*.check.ts"],
    maxWorkers: 1,
    setupFiles: ["test/support/setup.ts"],
    testTimeout: 600_000
  }
})
