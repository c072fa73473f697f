import { existsSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Disk from "../../src/files/Disk.ts"

describe("Disk", () => {
  it.effect.skipIf(!existsSync("/dev/full"))("calls a full disk one, and a missing file; else gives the cause", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const full = yield* Effect.flip(fs.writeFileString("/dev/full", "x"))
      assert.isTrue(Disk.isFull(full))
      assert.match(Disk.said(full), /^the disk is full/)
      const none = yield* Effect.flip(fs.readFile("/dev/nothing-of-this-name"))
      assert.deepStrictEqual([Disk.isFull(none), Disk.said(none)], [false, "there is no such file"])
      assert.match(Disk.said(yield* Effect.flip(fs.makeDirectory("/dev/full/x"))), /ENOTDIR/)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
