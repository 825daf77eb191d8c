import type { Clock, Timer } from '../clock.ts'
import type { AuditEntry } from './audit-entry.ts'

/** For how long lines are summed up. */
export const SUM_MS = 60_000
/** How many callers have lines of their own in that time. */
export const MAX_CALLERS = 20

/**
 * Refusals that cost their callers nothing and would fill a disk, as those of strangers do: of each caller and outcome the
 * first is told at once, and a minute later how many followed. Callers beyond the first few are summed up together, so that
 * there are at most some fifty lines a minute, whoever calls, and from however many addresses. (Vault leaves requests beyond
 * a quota out of its audit logs altogether, unless it is told not to.)
 */
export class RepeatedEntries {
  readonly #clock: Pick<Clock, 'after'>
  readonly #write: (entry: AuditEntry) => void
  readonly #sums = new Map<string, AuditEntry & { times: number }>()
  #timer: Timer | undefined

  constructor(clock: Pick<Clock, 'after'>, write: (entry: AuditEntry) => void) {
    this.#clock = clock
    this.#write = write
  }

  add(entry: AuditEntry): void {
    const { token, remote, outcome } = entry
    const own = JSON.stringify([token, remote, outcome])
    if (this.#sums.has(own) || this.#sums.size < MAX_CALLERS) this.#count(own, entry, { token, remote })
    else this.#count(outcome, entry, { token: null, remote: null })
  }

  /** Tells what has been counted until now. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (const sum of this.#sums.values()) if (sum.times > 0) this.#write(sum)
    this.#sums.clear()
  }

  #count(group: string, entry: AuditEntry, who: Pick<AuditEntry, 'token' | 'remote'>): void {
    const sum = this.#sums.get(group)
    if (sum !== undefined) {
      sum.times++
      return
    }
    this.#timer ??= this.#clock.after(SUM_MS, () => this.flush())
    this.#sums.set(group, {
      ...who,
      verb: null,
      pool: null,
      id: null,
      fence: null,
      outcome: entry.outcome,
      requestId: null,
      times: 0
    })
    this.#write(entry)
  }
}
