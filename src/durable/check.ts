import { fork } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ALIVE_FILE, FILE } from './layout.ts'

/** Rejected with a message for people where a directory is none, can't be written, is in use, or its data are damaged. */
export async function checkStore(directory: string): Promise<void> {
  assertDirectory(directory)
  const path = join(directory, FILE)
  assertNotEmptied(directory, path)
  const wrong = await verdict(directory)
  if (wrong === 'killed') throw new Error(`the check of ${path} was killed, for want of memory perhaps: start again`)
  if (wrong === undefined) throw new Error(`${path} is damaged: reading it ends the process that reads`)
  // What LMDB says by itself names no file.
  if (wrong !== null) throw new Error(wrong.includes(directory) ? wrong : `${path} can not be read: ${wrong}`)
}

function assertDirectory(directory: string): void {
  const is = statSync(directory, { throwIfNoEntry: false })
  if (is === undefined) throw new Error(`the data directory ${directory} is not there: make it, or mount it`)
  if (!is.isDirectory()) throw new Error(`${directory} is no directory`)
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    throw new Error(`the data directory ${directory} can not be written by this user`)
  }
}

/** Without a file, or with an empty one, LMDB begins anew. */
function assertNotEmptied(directory: string, path: string): void {
  const isUsed = statSync(join(directory, ALIVE_FILE), { throwIfNoEntry: false }) !== undefined
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (isUsed && size === 0) {
    throw new Error(
      `${path} is damaged: it is missing or empty, though there were data; to begin anew, empty ${directory}`
    )
  }
}

/** What is wrong with the data, null where nothing is, undefined where the process that looked did not come back. */
function verdict(directory: string): Promise<string | null | undefined> {
  // The same file, before and after compilation.
  const script = import.meta.url.replace(/check(\.[jt]s)$/, 'check-process$1')
  const child = fork(fileURLToPath(script), [directory], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  return new Promise((resolve, reject) => {
    let wrong: string | null | undefined
    child.on('message', (message: { wrong: string | null }) => (wrong = message.wrong))
    child.on('error', reject)
    child.on('close', (_code, signal) => resolve(signal === 'SIGKILL' ? 'killed' : wrong))
  })
}
