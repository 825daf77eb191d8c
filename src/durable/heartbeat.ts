import type { Clock, Timer } from '../clock.ts'
import { AliveFile, type LastSeen } from './alive-file.ts'

/** How far what is noted may be behind while nothing happens, in milliseconds. */
const EVERY_MS = 100

/**
 * Notes that the process lives, every now and then, with each transaction, and at once where a key's life has ended:
 * whoever was told so must not see the key again after a crash.
 */
export class Heartbeat {
  readonly #file: AliveFile
  readonly #onFault: (error: unknown) => void
  #clock: Clock | undefined
  #timer: Timer | undefined
  #transaction = 0
  #failed = false

  /** Opens the file of a directory. */
  constructor(path: string, onFault: (error: unknown) => void) {
    this.#file = new AliveFile(path)
    this.#onFault = onFault
  }

  /** Of the process before this one. */
  get last(): LastSeen {
    return this.#file.read()
  }

  begin(clock: Clock, transaction: number): void {
    this.#clock = clock
    this.#transaction = transaction
    this.#beat()
  }

  /** Notes the present instant, and the transaction that is on disk by now. */
  note(transaction = this.#transaction): void {
    this.#transaction = transaction
    if (this.#clock === undefined) return
    try {
      this.#file.write({ at: this.#clock.now(), transaction })
      this.#failed = false
    } catch (error) {
      // The outage then counts from earlier: no key dies of it. Told once, not ten times a second.
      if (!this.#failed) this.#onFault(error)
      this.#failed = true
    }
  }

  close(): void {
    this.note()
    this.#timer?.cancel()
    this.#clock = undefined
    this.#file.close()
  }

  #beat(): void {
    this.note()
    this.#timer = this.#clock?.after(EVERY_MS, () => this.#beat())
  }
}
