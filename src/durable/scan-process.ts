import { writeSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeFrame, type Frame, SCAN_PIPE } from './frames.ts'
import { openPatiently } from './open-patiently.ts'

// Reads the whole store of a directory to whoever started this, in a process of its own: LMDB maps the file into memory,
// and a damaged page can end the process that looks at it.
const [directory = ''] = process.argv.slice(2)

// Whoever started this and was killed must not be outlived: the directory would seem to be in use. While it reads, it is
// the pipe that breaks.
process.on('disconnect', () => process.exit(1))

/** Waits for the reader: the pipe holds little. */
function send(kind: Frame['kind'], bytes: Uint8Array): void {
  for (const part of encodeFrame(kind, bytes)) {
    for (let at = 0; at < part.length;) at += writeSync(SCAN_PIPE, part, at)
  }
}

try {
  const store = await openPatiently(directory, sleep)
  const { head, pools, blocks } = store.scan()
  send('head', Buffer.from(JSON.stringify(head)))
  send('pools', pools)
  for (const block of blocks) send('rows', block)
  store.rehearse()
  await store.close()
  send('whole', new Uint8Array())
} catch (error) {
  send('wrong', Buffer.from((error as Error).message))
}
process.disconnect?.()
