import { turns } from './create-engine.ts'
import { ManualClock } from './manual-clock.ts'

/** Knows whether a slice of the sweep is still to come. */
export class SettlingClock extends ManualClock {
  #soon = 0

  override soon(callback: () => void): void {
    this.#soon++
    super.soon(() => {
      this.#soon--
      callback()
    })
  }

  async settled(): Promise<void> {
    do await turns()
    while (this.#soon > 0)
  }
}
