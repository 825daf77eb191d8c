import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { ALIVE_FILE, FILE } from './layout.ts'

/** Throws, with a message for people, where a directory is none, can't be written, or has lost its data. */
export function assertUsable(directory: string): void {
  const is = statSync(directory, { throwIfNoEntry: false })
  if (is === undefined) throw new Error(`the data directory ${directory} is not there: make it, or mount it`)
  if (!is.isDirectory()) throw new Error(`${directory} is no directory`)
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    throw new Error(`the data directory ${directory} can not be written by this user`)
  }
  assertNotEmptied(directory)
}

/** Without a file, or with an empty one, LMDB begins anew. */
function assertNotEmptied(directory: string): void {
  const path = join(directory, FILE)
  const isUsed = statSync(join(directory, ALIVE_FILE), { throwIfNoEntry: false }) !== undefined
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (isUsed && size === 0) {
    throw new Error(
      `${path} is damaged: it is missing or empty, though there were data; to begin anew, empty ${directory}`
    )
  }
}
