import { once } from 'node:events'
// A CommonJS module whose names Node does not find out.
import sonicBoom, { type SonicBoom } from 'sonic-boom'
import type { Clock } from '../clock.ts'
import type { AuditEntry } from './audit-entry.ts'
import { RepeatedEntries } from './repeated-entries.ts'

/** How much is kept for a file that can't be written; what comes then is lost, and that is told. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024

export interface AuditTrailOptions {
  /** The path of a file, or a descriptor. */
  destination: string | number
  clock: Pick<Clock, 'now' | 'after'>
  onFault: (error: Error) => void
}

/**
 * A line of JSON for each change, in order, appended to a file or a descriptor by the logger's own writer. A fault does not
 * stop the service: lines are kept, in bounds, and written with the next one that can be.
 */
export class AuditTrail {
  readonly #options: AuditTrailOptions
  readonly #repeated: RepeatedEntries
  #sink: SonicBoom
  #fault: string | undefined
  #closed: Promise<void> | undefined

  private constructor(options: AuditTrailOptions, sink: SonicBoom) {
    this.#options = options
    this.#sink = sink
    this.#repeated = new RepeatedEntries(options.clock, entry => this.write(entry))
    this.#listen(sink)
  }

  /** Rejects where the file can't be opened. */
  static async open(options: AuditTrailOptions): Promise<AuditTrail> {
    return new AuditTrail(options, await openSink(options.destination))
  }

  /** Why lines are not written at present, undefined where they are. */
  get fault(): string | undefined {
    return this.#fault
  }

  /** Appends a line; not after the end. */
  write(entry: AuditEntry): void {
    if (this.#closed !== undefined) return
    const time = new Date(this.#options.clock.now()).toISOString()
    this.#sink.write(`${JSON.stringify({ time, ...entry })}\n`)
  }

  /** Appends a line, unless it would be one of many alike: then their number, within a minute. */
  sumUp(entry: AuditEntry): void {
    if (this.#closed === undefined) this.#repeated.add(entry)
  }

  /** Opens the file anew, after somebody has moved it away. Where that fails, the old one is written on. */
  async reopen(): Promise<void> {
    const { destination, onFault } = this.#options
    if (typeof destination === 'number') return
    try {
      const sink = await openSink(destination)
      const last = this.#sink
      this.#sink = sink
      this.#fault = undefined
      this.#listen(sink)
      last.end()
    } catch (error) {
      onFault(error as Error)
    }
  }

  /** Resolves when all lines are written, or can't be. */
  close(): Promise<void> {
    this.#repeated.flush()
    this.#closed ??= new Promise(resolve => {
      this.#sink.once('close', resolve).once('error', () => resolve())
      this.#sink.end()
    })
    return this.#closed
  }

  #listen(sink: SonicBoom): void {
    sink.on('error', (error: Error) => {
      if (sink !== this.#sink) {
        // What an old file did not take is lost with it.
        sink.destroy()
        this.#options.onFault(error)
      } else if (this.#fault !== error.message) {
        this.#fault = error.message
        this.#options.onFault(error)
      }
    })
    let losing = false
    sink.on('drain', () => {
      losing = false
      if (sink === this.#sink) this.#fault = undefined
    })
    sink.on('drop', () => {
      if (!losing) this.#options.onFault(new Error('too many lines wait to be written: more are lost'))
      losing = true
    })
  }
}

async function openSink(destination: string | number): Promise<SonicBoom> {
  if (typeof destination === 'number') {
    // The log may go there too: lines that are written at once do not mix.
    return new sonicBoom.SonicBoom({ fd: destination, sync: true, maxLength: MAX_KEPT_BYTES })
  }
  const sink = new sonicBoom.SonicBoom({ dest: destination, append: true, maxLength: MAX_KEPT_BYTES })
  await once(sink, 'ready')
  return sink
}
