import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { assertUsable } from './data-directory.ts'
import { decodeFrames, type Frame, SCAN_PIPE } from './frames.ts'
import { FILE } from './layout.ts'
import type { Head, Scan } from './row-store.ts'

/** The same file, before and after compilation. */
const SCRIPT = fileURLToPath(import.meta.url.replace(/scan(\.[jt]s)$/, 'scan-process$1'))

/**
 * HOW A STORE IS READ AT A START
 *
 * Once, by a process of its own, which checks each row and sends it here, where it is put into memory meanwhile. LMDB has
 * no checksums, and maps the file: a page that is not what was written may make it give other rows, or end the process
 * that reads. So nothing of a scan counts until all of it has come, and the store is opened in this process only then.
 */
export class StoreScan {
  readonly #directory: string
  readonly #path: string
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #frames: AsyncGenerator<Frame>

  /** Throws where the directory can't be used. */
  constructor(directory: string) {
    assertUsable(directory)
    this.#directory = directory
    this.#path = join(directory, FILE)
    this.#child = fork(SCRIPT, [directory], { stdio: ['ignore', 'ignore', 'ignore', 'ipc', 'pipe'] })
    // Not 'close', which does not come as long as something is left to be read.
    this.#ended = once(this.#child, 'exit')
    // Told by whoever reads.
    this.#ended.catch(() => undefined)
    this.#frames = decodeFrames(this.#child.stdio[SCAN_PIPE] as Readable)
  }

  /** Rejected, as the blocks are, with a message for people where the directory is in use, or the data are damaged. */
  async read(): Promise<Scan> {
    const head = JSON.parse((await this.#next()).bytes.toString()) as Head
    const { bytes: pools } = await this.#next()
    return { head, pools, blocks: this.#blocks() }
  }

  /** Ends it. Resolved when the directory is let go. */
  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended.catch(() => undefined)
  }

  async *#blocks(): AsyncGenerator<Buffer> {
    for (let frame = await this.#next(); frame.kind !== 'whole'; frame = await this.#next()) yield frame.bytes
    await this.#ended
  }

  async #next(): Promise<Frame> {
    const { value: frame } = (await this.#frames.next()) as IteratorResult<Frame, undefined>
    if (frame === undefined) {
      await this.#ended
      throw new Error(
        this.#child.signalCode === 'SIGKILL'
          ? `the reading of ${this.#path} was killed, for want of memory perhaps: start again`
          : `${this.#path} is damaged: reading it ends the process that reads`
      )
    }
    if (frame.kind !== 'wrong') return frame
    const wrong = frame.bytes.toString()
    // What LMDB says by itself names no file.
    throw new Error(wrong.includes(this.#directory) ? wrong : `${this.#path} can not be read: ${wrong}`)
  }
}
