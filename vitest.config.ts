import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    typecheck: { enabled: true, include: ["test/**/*.test-d.ts"], tsconfig: "./tsconfig.json" },
    maxWorkers: 2,
    setupFiles: ["test/support/setup.ts"],
    testTimeout: 300_000
  }
})
