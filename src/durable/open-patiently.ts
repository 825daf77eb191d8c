import { Store, StoreInUse } from './store.ts'

/** How long others may take to let the directory go: what a killed process has started ends a little later than itself. */
const PATIENCE_MS = 2000
const ASKED_EVERY_MS = 50

/** Opens the store of a directory; where others have it, waits for them. Rejected with StoreInUse or DamagedStore. */
export async function openPatiently(directory: string, sleep: (ms: number) => Promise<unknown>): Promise<Store> {
  for (let waitedMs = 0; ; waitedMs += ASKED_EVERY_MS) {
    try {
      return new Store(directory)
    } catch (error) {
      if (!(error instanceof StoreInUse) || waitedMs >= PATIENCE_MS) throw error
    }
    await sleep(ASKED_EVERY_MS)
  }
}
