import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const long = ({ moduleId }: TestSpecification): boolean => /\/test\/(?:cli|law|commands)\//.test(moduleId)

/** Long files first: begun among the last, one of them would keep a single worker busy at the end. */
class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    return [...sorted.filter(long), ...sorted.filter((file) => !long(file))]
  }
}

const conditions = ["tapweight-source", "node", "import", "module", "default"]

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: conditions } },
  resolve: { conditions },
  test: {
    include: ["{test,examples,experiments/test}/**/*.test.ts"],
    typecheck: { enabled: true, include: ["test/**/*.test-d.ts"], tsconfig: "./tsconfig.json" },
    // Child processes, too, run the sources.
    env: { NODE_OPTIONS: "--conditions=tapweight-source" },
    maxWorkers: 2,
    // Files share a worker's modules: loading and warming them anew for each was a quarter of the tests' time. What a test
    // sets outside of itself (environment, directory, globals) it sets back.
    isolate: false,
    sequence: { sequencer: LongFirst },
    setupFiles: ["test/support/setup.ts"],
    testTimeout: 300_000
  }
})
